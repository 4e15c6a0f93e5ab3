"""Putting lexical and dense scores together (docs/decisions/0004-fusion.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from notesearch.retrieval.dense import DenseScores

if TYPE_CHECKING:
    from numpy.typing import NDArray

# So much BM25 weighs as much as one standard deviation of the cosines.
BM25_A_DEVIATION = 6.0


def standardize(cosines: NDArray[np.float32], scores: DenseScores) -> NDArray[np.float32]:
    """Cosines as standard deviations above the collection's mean: how much closer than other notes to this query."""
    return (cosines - np.float32(scores.mean)) / np.float32(max(scores.deviation, 1e-6))


def fuse(lexical: NDArray[np.float32], standardized: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fuses BM25 scores with standardized cosines; both keep how good a match is at all.

    A convex combination of scores scaled query by query (Bruch et al., 2022) forgets that: there the best lexical hit
    gets 1, even where it matched one common word of ten.
    """
    return lexical / np.float32(BM25_A_DEVIATION) + standardized
