"""Candidates and their scores: fusion of the lexical and the dense score, then feedback.

Another method of fusion, reciprocal rank fusion say, is added in `Fusion` (docs/decisions/0004-fusion.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from notesearch.encoders import ScoreScale
from notesearch.retrieval.dense import DenseScores
from notesearch.retrieval.lexical import LexicalScores
from notesearch.storage import Reader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Scores = NDArray[np.float32]

# More chunks are looked at than notes wanted, since a note has several.
_CHUNKS_A_NOTE = 2
# What BM25 counts against similarity (0 unrelated, 1 an answer) at the reference point below.
_LEXICAL_WEIGHT = 0.027
# Where the closest passage is this similar, the words weigh as above; the less similar it is, the more they weigh.
_REFERENCE_SIMILARITY = 1.34
_SIMILARITY_SLOPE = 1.4
_LEAST_DOUBT, _MOST_DOUBT = 0.2, 3.0
# A query of whose words the best note matches less than this is worded differently from the notes.
_REFERENCE_COVERAGE = 0.3
_LEAST_TRUST, _MOST_TRUST = 0.3, 1.5

# To so many candidates comes one of the best by words: a note that holds a rare word may be like nothing in the query.
_ONE_BY_WORDS = 5

# The passages closest to a query whose common part is taken off, and how much of it.
BACKGROUND_PASSAGES = 300
_COMMON_PART = 0.5
# What few passages have in common is chance: the fewer there are, the less feedback counts; below this it is left out.
_LEAST_PASSAGES = 50
# The best notes that others are compared with, and what being like them counts against being like the query.
_BEST_NOTES = 5
_LIKENESS_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A note that may become a hit.

    Attributes:
        note_id: The note.
        score: What it is ranked by.
        parts: The scores that this was made of, each on its own scale.
        contributions: What each of them adds to the score; empty where that is no sum.
        passages: What stages after fusion add to the scores of single passages, by chunk id; they look at some only.
    """

    note_id: int
    score: float
    parts: dict[str, float]
    contributions: dict[str, float]
    passages: dict[int, float] = field(default_factory=dict)

    def with_part(
        self, name: str, score: float, contribution: float, passages: Mapping[int, float] | None = None
    ) -> Candidate:
        """The same note with a further part in its score.

        Args:
            name: The part's name.
            score: The part on its own scale.
            contribution: What it adds to the score of the note.
            passages: What it adds to the scores of passages.
        """
        return replace(
            self,
            score=self.score + contribution,
            parts=self.parts | {name: score},
            contributions=self.contributions | {name: contribution},
            passages=self.passages | {i: self.passages.get(i, 0.0) + added for i, added in (passages or {}).items()},
        )


class Stage(Protocol):
    """What scores candidates again after fusion."""

    def rescore(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Adds a part to the score of each candidate, in the order given."""
        ...


def run_stages(candidates: Sequence[Candidate], stages: Iterable[Stage]) -> list[Candidate]:
    """Sends candidates through stages, one after another; returns them best first."""
    for stage in stages:
        candidates = stage.rescore(candidates)
    return sorted(candidates, key=lambda candidate: -candidate.score)


class Fusion:
    """The scores of one query: similarity, plus BM25 times a weight that depends on the query.

    Both are on scales that keep how good a match is at all. A convex combination of scores scaled query by query (Bruch
    et al., 2022) forgets that: there the best lexical hit gets 1, even where it matched one common word of ten.

    Args:
        reader: The index.
        lexical: How well notes match the query's words.
        dense: How similar chunks are to the query; `None` where no vectors are compared: then BM25 itself is the score.
        scale: What cosines mean.
        by_words: Whether notes are proposed and scored by words alone; vectors then only choose among their passages.
    """

    def __init__(
        self,
        reader: Reader,
        lexical: LexicalScores,
        dense: DenseScores | None = None,
        scale: ScoreScale = ScoreScale(unrelated=0.0, related=1.0),
        *,
        by_words: bool = False,
    ) -> None:
        self._reader = reader
        self._lexical = lexical
        self._dense = dense
        self._scale = scale
        self._by_words = by_words
        self._weight = 1.0
        if dense:
            highest = float(scale.similarity(np.array([dense.highest], dtype=np.float32))[0])
            self._weight = lexical_weight(highest, lexical.coverage) if lexical.notes else 0.0

    def best(self, proposed: int, most: int) -> list[Candidate]:
        """The best of the notes that the retrievers propose, best first.

        Args:
            proposed: How many notes each retriever proposes: more than are returned, so that a note that is good on
                both counts is not missed.
            most: The most candidates, beside those that are the best by words.
        """
        by_words = self._lexical.best(proposed)
        if self._by_words or self._dense is None:
            return self._score_words(by_words[:most])
        by_meaning = self._reader.notes_of_chunks(self._dense.best(_CHUNKS_A_NOTE * proposed).tolist())
        candidates = self._score_both(self._dense, by_meaning | self._reader.chunk_ids_of_notes(by_words), most)
        known = {candidate.note_id for candidate in candidates}
        return [
            *candidates,
            *self.score([note_id for note_id in by_words[: most // _ONE_BY_WORDS] if note_id not in known]),
        ]

    def score(self, note_ids: Sequence[int]) -> list[Candidate]:
        """Scores any notes that may be found, whether a retriever proposes them or not."""
        if self._by_words or self._dense is None:
            return self._score_words(note_ids)
        return self._score_both(self._dense, self._reader.chunk_ids_of_notes(note_ids), len(note_ids))

    def score_passages(self, note_id: int, chunk_ids: Sequence[int], held: Sequence[Set[str]]) -> Scores:
        """Scores passages of a note; its BM25 is shared out by how many of the query's words each of them holds.

        Args:
            note_id: The note.
            chunk_ids: The passages.
            held: The words of the query that each of them holds.

        Returns:
            float32 `(len(chunk_ids),)`.
        """
        bm25 = float(np.float32(self._lexical.notes.get(note_id, 0.0)))
        most = max(1, len(set().union(*held)))
        shares = np.array([bm25 * len(words) / most for words in held], dtype=np.float32)
        if self._dense is None:
            return shares
        return self._sum(shares, self._scale.similarity(self._dense.of(np.array(chunk_ids, dtype=np.int64))))

    def held(self, words: Set[str]) -> float:
        """How much of the query some of its words are, by their rarity: from 0 to 1."""
        rarity = self._lexical.rarity
        return sum(rarity[word] for word in words & rarity.keys()) / sum(rarity.values()) if rarity else 0.0

    def _sum(self, bm25: Scores, similarity: Scores) -> Scores:
        fused: Scores = similarity + bm25 * np.float32(self._weight)
        return fused

    def _score_words(self, note_ids: Sequence[int]) -> list[Candidate]:
        candidates = []
        for note_id in note_ids:
            bm25 = float(np.float32(self._lexical.notes.get(note_id, 0.0)))
            contributions = {} if self._dense is None else {"lexical": self._weight * bm25}
            candidates.append(Candidate(note_id, self._weight * bm25, {"lexical": bm25}, contributions))
        return candidates

    def _score_both(self, dense: DenseScores, chunk_notes: Mapping[int, int], most: int) -> list[Candidate]:
        """Scores notes by their most similar chunk and by their words.

        Args:
            dense: How similar chunks are.
            chunk_notes: Chunks of the notes, and their notes.
            most: The most candidates.
        """
        note_ids, cosines = _closest_of_each(chunk_notes, dense)
        similarity = self._scale.similarity(cosines)
        matched = self._lexical.notes
        bm25 = np.array([matched.get(note_id, 0.0) for note_id in note_ids], dtype=np.float32)
        fused = self._sum(bm25, similarity)
        candidates = []
        for row in np.argsort(-fused, kind="stable")[:most].tolist():
            parts = {"dense": float(cosines[row])}
            contributions = {"dense": float(similarity[row])}
            if matched:
                parts = {"lexical": float(bm25[row])} | parts
                contributions = {"lexical": self._weight * float(bm25[row])} | contributions
            candidates.append(Candidate(note_ids[row], float(fused[row]), parts, contributions))
        return candidates


def lexical_weight(best_similarity: float, coverage: float) -> float:
    """How much a point of BM25 counts for this query.

    Args:
        best_similarity: Of the closest passage, see `ScoreScale.similarity`. The words count more where the meaning
            finds nothing: a name, an error code.
        coverage: See `LexicalScores`. They count less where they match by accident.
    """
    doubt = 1 + _SIMILARITY_SLOPE * (_REFERENCE_SIMILARITY - best_similarity)
    trust = math.sqrt(coverage / _REFERENCE_COVERAGE)
    return _LEXICAL_WEIGHT * _clipped(doubt, _LEAST_DOUBT, _MOST_DOUBT) * _clipped(trust, _LEAST_TRUST, _MOST_TRUST)


def _closest_of_each(chunk_notes: Mapping[int, int], dense: DenseScores) -> tuple[list[int], Scores]:
    """The notes of some chunks, and the cosine of each one's closest chunk, closest first."""
    chunk_ids = np.fromiter(chunk_notes.keys(), dtype=np.int64, count=len(chunk_notes))
    notes = np.fromiter(chunk_notes.values(), dtype=np.int64, count=len(chunk_notes))[np.argsort(chunk_ids)]
    chunk_ids.sort()
    admitted = dense.admitted(chunk_ids)
    cosines = dense.of(admitted)
    order = np.argsort(-cosines, kind="stable")
    notes = notes[np.searchsorted(chunk_ids, admitted)][order]
    firsts = np.sort(np.unique(notes, return_index=True)[1])
    return notes[firsts].tolist(), cosines[order][firsts]


def _clipped(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)


class Feedback:
    """Feedback for one query. The best notes are chosen among the candidates that it is given first.

    Args:
        reader: The index.
        dense: How similar chunks are to the query.
        vector: The query's vector, float32 `(dim,)` of length 1.
        scale: What cosines mean.
    """

    def __init__(self, reader: Reader, dense: DenseScores, vector: Vectors, scale: ScoreScale) -> None:
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
