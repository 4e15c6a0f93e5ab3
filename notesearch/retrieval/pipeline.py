"""A search from query to hits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from notesearch.encoders import Encoder
from notesearch.records import Filters, Hit
from notesearch.retrieval.dense import DenseScores, ExactScan
from notesearch.retrieval.fusion import fuse, lexical_weight
from notesearch.retrieval.lexical import LexicalScores, chunks_with_phrases, match_lexical
from notesearch.retrieval.passages import RankedNote, show_passages
from notesearch.retrieval.query import parse_query
from notesearch.storage import IndexReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]

Mode = Literal["lexical", "dense", "hybrid"]

# Each retriever proposes more notes than wanted, so that one that is good on both counts is not missed, and more
# chunks than notes, since a note has several.
_LEAST_NOTES = 300
_NOTES_A_HIT = 3
_CHUNKS_A_NOTE = 2
# The lexical side scores many more than it proposes: a note that the dense side proposes should have its words counted.
_MOST_LEXICAL_NOTES = 5_000


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Notes that the retrievers propose, with the scores that rank them and their parts; one row each."""

    note_ids: list[int]
    scores: Scores
    parts: dict[str, Scores]
    # What a point of BM25 counted against a point of similarity.
    lexical_weight: float


class Searcher:
    """Answers queries from one index.

    Args:
        reader: The index.
        open_encoder: Opens the index's encoder; called once, and only for a query that needs it.
    """

    def __init__(self, reader: IndexReader, open_encoder: Callable[[], Encoder]) -> None:
        self._reader = reader
        self._open_encoder = open_encoder
        self._encoder_to_come: Future[Encoder] | None = None
        self._scan: ExactScan | None = None

    def search(self, typed: str, *, limit: int, mode: Mode, filters: Filters) -> list[Hit]:
        """Finds notes.

        Args:
            typed: The query; words in quotation marks must occur as they stand.
            limit: The most hits, ≥ 1.
            mode: Which retrievers take part.
            filters: Which notes may be found.

        Returns:
            Hits, best first, one a note.

        Raises:
            UsageError: The query is empty.
        """
        query = parse_query(typed)
        if mode != "lexical":
            self._begin_to_open_encoder()
        required = chunks_with_phrases(self._reader, query, filters)
        lexical = dense = None
        if mode != "dense":
            lexical = match_lexical(self._reader, query, _MOST_LEXICAL_NOTES, filters)
            if required is not None:  # the phrases' letters, not only their stems
                lexical = lexical.only(set(self._reader.notes_of_chunks(required.tolist()).values()))
        if mode != "lexical":
            dense = self._score_chunks(query.text, filters)
            dense = dense if required is None else dense.only(required)
        found = self._propose(lexical, dense, max(_LEAST_NOTES, _NOTES_A_HIT * limit))
        ranked = [
            RankedNote(
                note_id=found.note_ids[row],
                score=float(found.scores[row]),
                parts={name: float(part[row]) for name, part in found.parts.items()},
            )
            for row in np.argsort(-found.scores, kind="stable")[:limit]
        ]

        def rank_chunks(lexical_shares: Scores, chunk_ids: NDArray[np.int64]) -> Scores:
            if dense is None:
                return lexical_shares
            return fuse(lexical_shares, self._encoder.scale.similarity(dense.of(chunk_ids)), found.lexical_weight)

        return show_passages(self._reader, query, ranked, required, rank_chunks)

    @property
    def _encoder(self) -> Encoder:
        return self._begin_to_open_encoder().result()

    def _begin_to_open_encoder(self) -> Future[Encoder]:
        """Opens the encoder in a thread of its own: it takes as long as the lexical side and the scan's loading."""
        if self._encoder_to_come is None:
            pool = ThreadPoolExecutor(max_workers=1)
            self._encoder_to_come = pool.submit(self._open_encoder)
            pool.shutdown(wait=False)
        return self._encoder_to_come

    def _score_chunks(self, text: str, filters: Filters) -> DenseScores:
        self._scan = self._scan or ExactScan(self._reader)
        return self._scan.score(self._encoder.encode_query(text), filters)

    def _propose(self, lexical: LexicalScores | None, dense: DenseScores | None, wanted: int) -> _Candidates:
        """Joins what the retrievers found."""
        matched = lexical.notes if lexical else {}
        proposed = sorted(matched, key=lambda note_id: (-matched[note_id], note_id))[:wanted]
        if dense is None:
            scores = np.array([matched[note_id] for note_id in proposed], dtype=np.float32)
            return _Candidates(proposed, scores, {"lexical": scores}, lexical_weight=1.0)
        chunk_notes = self._reader.notes_of_chunks(dense.best(_CHUNKS_A_NOTE * wanted).tolist())
        chunk_notes |= self._reader.chunk_ids_of_notes(proposed)
        closest = _closest_chunks(chunk_notes, dense)
        note_ids = list(closest)
        cosines = np.array(list(closest.values()), dtype=np.float32)
        similarity = self._encoder.scale.similarity(cosines)
        if not lexical or not matched:
            return _Candidates(note_ids, similarity, {"dense": cosines}, lexical_weight=0.0)
        bm25 = np.array([matched.get(note_id, 0.0) for note_id in note_ids], dtype=np.float32)
        highest = self._encoder.scale.similarity(np.array([dense.highest], dtype=np.float32))
        weight = lexical_weight(float(highest[0]), lexical.coverage)
        return _Candidates(note_ids, fuse(bm25, similarity, weight), {"lexical": bm25, "dense": cosines}, weight)


def _closest_chunks(chunk_notes: Mapping[int, int], dense: DenseScores) -> dict[int, float]:
    """Notes, and the cosine of each one's closest chunk; of the chunks given, those that are admitted count."""
    chunk_ids = np.array(sorted(chunk_notes), dtype=np.int64)
    chunk_ids = chunk_ids[np.isin(chunk_ids, dense.chunk_ids)]
    closest: dict[int, float] = {}
    for chunk_id, cosine in zip(chunk_ids.tolist(), dense.of(chunk_ids).tolist(), strict=True):
        note_id = chunk_notes[chunk_id]
        closest[note_id] = max(cosine, closest.get(note_id, -1.0))
    return closest
