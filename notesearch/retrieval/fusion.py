"""Putting lexical and dense scores together (docs/decisions/0004-fusion.md)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from notesearch.encoders import ScoreScale

# What BM25 counts against similarity (0 unrelated, 1 an answer) at the reference point below.
_LEXICAL_WEIGHT = 0.027
# Where the closest passage is this similar, the words weigh as above; the less similar it is, the more they weigh.
_REFERENCE_SIMILARITY = 1.34
_SIMILARITY_SLOPE = 1.4
_LEAST_DOUBT, _MOST_DOUBT = 0.2, 3.0
# What late interaction counts against similarity, both with 0 for unrelated and 1 for an answer.
LATE_WEIGHT = 0.5
# A query of whose words the best note matches less than this is worded differently from the notes.
_REFERENCE_COVERAGE = 0.3
_LEAST_TRUST, _MOST_TRUST = 0.3, 1.5


def lexical_weight(best_similarity: float, coverage: float) -> float:
    """How much a point of BM25 counts for this query.

    Args:
        best_similarity: Of the closest passage, see `CosineScale.similarity`. The words count more where the meaning
            finds nothing: a name, an error code.
        coverage: See `LexicalScores`. They count less where they match by accident.
    """
    doubt = 1 + _SIMILARITY_SLOPE * (_REFERENCE_SIMILARITY - best_similarity)
    trust = math.sqrt(coverage / _REFERENCE_COVERAGE)
    return _LEXICAL_WEIGHT * _clipped(doubt, _LEAST_DOUBT, _MOST_DOUBT) * _clipped(trust, _LEAST_TRUST, _MOST_TRUST)


def fuse(lexical: NDArray[np.float32], similarity: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """Fuses BM25 scores with similarities; both are on scales that keep how good a match is at all.

    A convex combination of scores scaled query by query (Bruch et al., 2022) forgets that: there the best lexical hit
    gets 1, even where it matched one common word of ten.
    """
    fused: NDArray[np.float32] = similarity + lexical * lexical.dtype.type(weight)
    return fused


def late_contributions(late: NDArray[np.float32], scale: ScoreScale) -> NDArray[np.float32]:
    """What scores of late interaction, on a scale of their own, add to similarities."""
    contributions: NDArray[np.float32] = late.dtype.type(LATE_WEIGHT) * scale.similarity(late)
    return contributions


def _clipped(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)
