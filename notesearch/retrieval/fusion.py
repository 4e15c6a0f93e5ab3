"""Putting lexical and dense scores together (docs/decisions/0004-fusion.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from notesearch.encoders import ScoreScale

    Vectors = NDArray[np.float32]
    Scores = NDArray[np.float32]


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


# Feedback: candidates compared with a query once more, in the light of what was found.

# The passages closest to a query whose common part is taken off, and how much of it.
BACKGROUND_PASSAGES = 300
_COMMON_SHARE = 0.5
# What few passages have in common is chance: the fewer there are, the less all of this counts, and in the end nothing.
_LEAST_PASSAGES = 50
# The best notes that others are compared with, and what being like them counts against being like the query.
_BEST_NOTES = 5
_LIKENESS_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Background:
    """What the passages around a query have in common.

    Attributes:
        query: What sets the query apart from them, float32 `(dim,)` of length 1.
        common: The part of every vector that is taken off, float32 `(dim,)`.
        strength: How much feedback counts, 0 to 1.
    """

    query: Vectors
    common: Vectors
    strength: float

    @classmethod
    def of(cls, query: Vectors, closest: Vectors) -> Background | None:
        """The background of a query.

        Args:
            query: Its vector, float32 `(dim,)` of length 1.
            closest: Those of the passages closest to it, float32 `(n, dim)`.

        Returns:
            `None` where there are too few passages.
        """
        if len(closest) < _LEAST_PASSAGES:
            return None
        strength = min(1.0, len(closest) / BACKGROUND_PASSAGES)
        common = np.float32(_COMMON_SHARE * strength) * closest.mean(axis=0)
        return cls(_scaled(query - common), common, strength)

    def feed_back(
        self, vectors: Vectors, cosines: Scores, firsts: NDArray[np.int64], scores: Scores, scale: ScoreScale
    ) -> tuple[Scores, Scores]:
        """What feedback adds to scores.

        Args:
            vectors: Those of the passages of all notes, one note after the other, float32 `(passages, dim)`.
            cosines: Between each and the query.
            firsts: Where the passages of each note begin, ascending.
            scores: The notes' scores so far.
            scale: What cosines mean.

        Returns:
            What is added to the score of each note, and to that of each passage.
        """
        apart = _scaled(vectors - self.common)
        to_query = apart @ self.query
        before, after = scale.similarity(cosines), scale.similarity(to_query)
        moved = scores + _highest(after, firsts) - _highest(before, firsts)
        best = np.argsort(-moved, kind="stable")[:_BEST_NOTES]
        ends = np.append(firsts[1:], len(vectors))
        closest = [firsts[note] + to_query[firsts[note] : ends[note]].argmax() for note in best]
        likeness = scale.similarity(apart @ _scaled(apart[closest].mean(axis=0)))
        likeness *= np.float32(_LIKENESS_WEIGHT * self.strength)
        return moved - scores + _highest(likeness, firsts), after - before + likeness


def _highest(values: Scores, firsts: NDArray[np.int64]) -> Scores:
    highest: Scores = np.maximum.reduceat(values, firsts)
    return highest


def _scaled(vectors: Vectors) -> Vectors:
    scaled: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32(1e-12))
    return scaled
