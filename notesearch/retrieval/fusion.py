"""Putting lexical and dense scores together (docs/decisions/0004-fusion.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from notesearch.retrieval.dense import DenseScores

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A perfect lexical match weighs as much as this many standard deviations of the cosines.
_LEXICAL_WEIGHT = 8.0


def standardize(cosines: NDArray[np.float32], scores: DenseScores) -> NDArray[np.float32]:
    """Cosines as standard deviations above the collection's mean: how much closer than any note to this query."""
    return (cosines - np.float32(scores.mean)) / np.float32(max(scores.deviation, 1e-6))


def fuse(lexical: NDArray[np.float32], standardized: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fuses lexical scores (0 to 1) with standardized cosines; both keep how good the match is at all.

    A convex combination of scores scaled by query (Bruch et al., 2022) forgets that: there the best lexical hit gets
    1 even where it matched one word of ten.
    """
    return np.float32(_LEXICAL_WEIGHT) * lexical + standardized
