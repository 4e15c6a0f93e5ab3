"""Feedback: candidates compared with a query once more, in the light of what was found.

The measurements are in docs/decisions/0009-feedback.md.

What the passages around a query have in common says what the query is about, and so little about which of them answers
it: half of it is taken off every vector before they are compared. What the best notes have in common then says a little
about which other notes answer too (Rocchio, 1971).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from notesearch.encoders import ScoreScale

    Vectors = NDArray[np.float32]
    Scores = NDArray[np.float32]

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
