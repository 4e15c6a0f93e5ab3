"""Candidates: the notes that the retrievers propose, ranked by their fused scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders import ScoreScale
from notesearch.retrieval.dense import DenseScores
from notesearch.retrieval.fusion import fuse
from notesearch.retrieval.lexical import NOTHING_MATCHED, LexicalScores
from notesearch.storage import Reader

if TYPE_CHECKING:
    from numpy.typing import NDArray

# More chunks are looked at than notes wanted, since a note has several.
_CHUNKS_A_NOTE = 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """A note that may be a hit.

    Attributes:
        note_id: The note.
        score: What it is ranked by.
        parts: The scores that this was made of, each on its own scale.
        contributions: What each of them adds to the score; empty where that is no sum.
    """

    note_id: int
    score: float
    parts: dict[str, float]
    contributions: dict[str, float]

    def with_part(self, name: str, score: float, contribution: float) -> Candidate:
        """The same note with a further part in its score."""
        return replace(
            self,
            score=self.score + contribution,
            parts=self.parts | {name: score},
            contributions=self.contributions | {name: contribution},
        )


def propose_lexical(
    lexical: LexicalScores, wanted: int, weight: float | None = None, also: Set[int] = frozenset()
) -> list[Candidate]:
    """The notes that match a query's words best, best first.

    Args:
        lexical: What matched.
        wanted: The most notes.
        weight: What a point of BM25 counts, where other parts will be added; else the score is BM25 itself.
        also: Notes to propose besides, matching or not.
    """
    note_ids = dict.fromkeys([*_best_notes(lexical, wanted), *sorted(also)])
    scores = {note_id: float(np.float32(lexical.notes.get(note_id, 0.0))) for note_id in note_ids}
    if weight is None:
        return [Candidate(note_id, bm25, {"lexical": bm25}, {}) for note_id, bm25 in scores.items()]
    return [
        Candidate(note_id, weight * bm25, {"lexical": bm25}, {"lexical": weight * bm25})
        for note_id, bm25 in scores.items()
    ]


def propose_dense(
    reader: Reader,
    dense: DenseScores,
    scale: ScoreScale,
    wanted: int,
    lexical: LexicalScores = NOTHING_MATCHED,
    weight: float = 0.0,
    also: Set[int] = frozenset(),
    most: int | None = None,
) -> list[Candidate]:
    """The notes that are closest to a query, and those that match its words best, by fused scores, best first.

    Args:
        reader: The index.
        dense: How close the chunks are.
        scale: What the cosines mean.
        wanted: How many notes each retriever proposes.
        lexical: What matched the words, if they count.
        weight: What a point of BM25 counts against similarity.
        also: Notes to propose besides.
        most: How many candidates to return, the best, and those of `also`; `None` for all.
    """
    chunk_notes = reader.notes_of_chunks(dense.best(_CHUNKS_A_NOTE * wanted).tolist())
    matched = lexical.notes
    chunk_notes |= reader.chunk_ids_of_notes([*_best_notes(lexical, wanted), *also])
    note_ids, cosines = _closest_of_each(chunk_notes, dense)
    similarity = scale.similarity(cosines)
    bm25 = np.array([matched.get(note_id, 0.0) for note_id in note_ids], dtype=np.float32)
    fused = fuse(bm25, similarity, weight)
    candidates = []
    for place, row in enumerate(np.argsort(-fused, kind="stable").tolist()):
        if most is not None and place >= most and note_ids[row] not in also:
            continue
        parts = {"dense": float(cosines[row])}
        contributions = {"dense": float(similarity[row])}
        if matched:
            parts = {"lexical": float(bm25[row])} | parts
            contributions = {"lexical": weight * float(bm25[row])} | contributions
        candidates.append(Candidate(note_ids[row], float(fused[row]), parts, contributions))
    return candidates


def _best_notes(lexical: LexicalScores, wanted: int) -> list[int]:
    note_ids = np.fromiter(lexical.notes.keys(), dtype=np.int64, count=len(lexical.notes))
    scores = np.fromiter(lexical.notes.values(), dtype=np.float64, count=len(lexical.notes))
    best: list[int] = note_ids[np.lexsort((note_ids, -scores))[:wanted]].tolist()
    return best


def _closest_of_each(chunk_notes: Mapping[int, int], dense: DenseScores) -> tuple[list[int], NDArray[np.float32]]:
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


def closest_chunks(
    chunk_notes: Mapping[int, int], dense: DenseScores, most: int
) -> dict[int, tuple[list[int], list[float]]]:
    """For each note the chunks that are closest to a query, and their cosines, closest first.

    Args:
        chunk_notes: Ids of chunks, and of their notes; of these, the admitted ones count.
        dense: How close the chunks are.
        most: The most chunks a note.
    """
    chunk_ids = dense.admitted(np.array(sorted(chunk_notes), dtype=np.int64))
    cosines = dense.of(chunk_ids)
    order = np.argsort(-cosines, kind="stable")
    closest: dict[int, tuple[list[int], list[float]]] = {}
    for chunk_id, cosine in zip(chunk_ids[order].tolist(), cosines[order].tolist(), strict=True):
        note_id = chunk_notes[chunk_id]
        if note_id not in closest:
            closest[note_id] = [chunk_id], [cosine]
        elif len(closest[note_id][0]) < most:
            closest[note_id][0].append(chunk_id)
            closest[note_id][1].append(cosine)
    return closest


def continue_below(ranked: Sequence[Candidate], rest: Sequence[Candidate]) -> list[Candidate]:
    """Puts notes that were not scored again after those that were, in their order, with scores that say so."""
    if not ranked or not rest:
        return [*ranked, *rest]
    floor = ranked[-1].score
    drop = rest[0].score - floor
    if drop <= 0:
        return [*ranked, *rest]
    lowered = (min(candidate.score - drop, floor) for candidate in rest)  # rounding may leave it a little above
    return [*ranked, *(Candidate(c.note_id, score, c.parts, {}) for c, score in zip(rest, lowered, strict=True))]
