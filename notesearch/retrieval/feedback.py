"""Feedback: candidates compared with a query once more, in the light of what was found.

The measurements are in docs/decisions/0009-feedback.md.

What the passages around a query have in common says what the query is about, and so little about which of them answers
it: half of it is taken off every vector before they are compared. What the best notes have in common then says a little
about which other notes answer too (Rocchio, 1971).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders import ScoreScale
from notesearch.retrieval.candidates import Candidate
from notesearch.retrieval.dense import DenseScores
from notesearch.storage import IndexReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Scores = NDArray[np.float32]

# The passages closest to a query whose common part is taken off, and how much of it.
BACKGROUND_PASSAGES = 300
_COMMON_PART = 0.5
# What few passages have in common is chance: the fewer there are, the less all of this counts, and in the end nothing.
_LEAST_PASSAGES = 50
# The best notes that others are compared with, and what being like them counts against being like the query.
_BEST_NOTES = 5
_LIKENESS_WEIGHT = 0.1


class Feedback:
    """Feedback for one query. The best notes are chosen among the candidates that it is given first.

    Args:
        reader: The index.
        dense: How similar chunks are to the query.
        vector: The query's vector, float32 `(dim,)` of length 1.
        scale: What cosines mean.
    """

    def __init__(self, reader: IndexReader, dense: DenseScores, vector: Vectors, scale: ScoreScale) -> None:
        self._reader = reader
        self._dense = dense
        self._vector = vector
        self._scale = scale
        self._background = dense.best(BACKGROUND_PASSAGES).tolist()
        self._strength = min(1.0, len(self._background) / BACKGROUND_PASSAGES)
        self._common: Vectors | None = None
        self._best: Vectors | None = None

    def rescore(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """See `Stage`; compares the passages that late interaction looked at."""
        chunk_ids = [chunk_id for candidate in candidates for chunk_id in candidate.passages]
        if len(self._background) < _LEAST_PASSAGES or not all(candidate.passages for candidate in candidates):
            return list(candidates)
        vectors = self._reader.vectors_of_chunks([*self._background, *chunk_ids] if self._common is None else chunk_ids)
        if self._common is None:
            background = np.stack([vectors[chunk_id] for chunk_id in self._background])
            self._common = np.float32(_COMMON_PART * self._strength) * background.mean(axis=0)
        notes, passages = self._compare(
            self._common,
            np.stack([vectors[chunk_id] for chunk_id in chunk_ids]),
            self._dense.of(np.array(chunk_ids, dtype=np.int64)),
            np.cumsum([0, *(len(candidate.passages) for candidate in candidates[:-1])]),
            np.array([candidate.score for candidate in candidates], dtype=np.float32),
        )
        added = dict(zip(chunk_ids, passages.tolist(), strict=True))
        return [
            candidate.with_part("feedback", part, part, {chunk_id: added[chunk_id] for chunk_id in candidate.passages})
            for candidate, part in zip(candidates, notes.tolist(), strict=True)
        ]

    def _compare(
        self, common: Vectors, vectors: Vectors, cosines: Scores, firsts: NDArray[np.int64], scores: Scores
    ) -> tuple[Scores, Scores]:
        """What feedback adds to scores.

        Args:
            common: What is taken off every vector, float32 `(dim,)`.
            vectors: Those of the passages of all notes, one note after the other, float32 `(passages, dim)`.
            cosines: Between each and the query.
            firsts: Where the passages of each note begin, ascending.
            scores: The notes' scores so far.

        Returns:
            What is added to the score of each note, and to that of each passage.
        """
        apart = _scaled(vectors - common)
        to_query = apart @ _scaled(self._vector - common)
        before, after = self._scale.similarity(cosines), self._scale.similarity(to_query)
        moved = scores + _highest(after, firsts) - _highest(before, firsts)
        if self._best is None:
            ends = np.append(firsts[1:], len(vectors))
            best = np.argsort(-moved, kind="stable")[:_BEST_NOTES]
            closest = [firsts[note] + to_query[firsts[note] : ends[note]].argmax() for note in best]
            self._best = _scaled(apart[closest].mean(axis=0))
        likeness = self._scale.similarity(apart @ self._best)
        likeness *= np.float32(_LIKENESS_WEIGHT * self._strength)
        return moved - scores + _highest(likeness, firsts), after - before + likeness


def _highest(values: Scores, firsts: NDArray[np.int64]) -> Scores:
    highest: Scores = np.maximum.reduceat(values, firsts)
    return highest


def _scaled(vectors: Vectors) -> Vectors:
    scaled: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32(1e-12))
    return scaled
