"""A search from query to hits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from notesearch.encoders import Encoder
from notesearch.records import Filters, Hit
from notesearch.retrieval.dense import DenseScores, ExactScan
from notesearch.retrieval.fusion import fuse, standardize
from notesearch.retrieval.lexical import LexicalMatch, chunks_with_phrases, match_lexical
from notesearch.retrieval.query import Query, parse_query
from notesearch.retrieval.snippets import find_highlights, make_snippet, words_of
from notesearch.storage import IndexReader, StoredChunk

if TYPE_CHECKING:
    from numpy.typing import NDArray

Mode = Literal["lexical", "dense", "hybrid"]

# Chunks taken from each retriever: several for each note wanted, since notes have several, and never very few.
_CANDIDATES_A_NOTE = 3
_LEAST_CANDIDATES = 300


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Chunks worth a closer look, one row each.

    Attributes:
        chunk_ids: int64 `(n,)`.
        note_ids: int64 `(n,)`.
        lexical: float32 `(n,)`, 0 for chunks that the lexical side did not find.
        cosines: float32 `(n,)`.
    """

    chunk_ids: NDArray[np.int64]
    note_ids: NDArray[np.int64]
    lexical: NDArray[np.float32]
    cosines: NDArray[np.float32]


class Searcher:
    """Answers queries from one index.

    Args:
        reader: The index.
        open_encoder: Opens the index's encoder; called once, and only for a query that needs it.
    """

    def __init__(self, reader: IndexReader, open_encoder: Callable[[], Encoder]) -> None:
        self._reader = reader
        self._open_encoder = open_encoder
        self._encoder: Encoder | None = None
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
        wanted = max(_LEAST_CANDIDATES, _CANDIDATES_A_NOTE * limit)
        required = chunks_with_phrases(self._reader, query, filters)
        lexical = [] if mode == "dense" else match_lexical(self._reader, query, wanted, filters, required)
        dense = None if mode == "lexical" else self._dense(query, filters, required)
        candidates = self._gather(lexical, dense, wanted)
        parts = _score_parts(candidates, dense, mode)
        return self._hits(query, candidates, parts, limit)

    def _dense(self, query: Query, filters: Filters, required: NDArray[np.int64] | None) -> DenseScores:
        self._encoder = self._encoder or self._open_encoder()
        self._scan = self._scan or ExactScan(self._reader)
        scores = self._scan.score(self._encoder.encode_query(query.text), filters)
        return scores if required is None else scores.only(required)

    def _gather(self, lexical: list[LexicalMatch], dense: DenseScores | None, wanted: int) -> _Candidates:
        """Joins what the retrievers found."""
        note_ids = {match.chunk_id: match.note_id for match in lexical}
        lexical_scores = {match.chunk_id: match.score for match in lexical}
        if dense is not None:
            closest = dense.chunk_ids[dense.best(wanted)].tolist()
            note_ids |= self._reader.notes_of_chunks([chunk for chunk in closest if chunk not in note_ids])
        chunk_ids = np.array(sorted(note_ids), dtype=np.int64)
        return _Candidates(
            chunk_ids=chunk_ids,
            note_ids=np.array([note_ids[chunk] for chunk in chunk_ids.tolist()], dtype=np.int64),
            lexical=np.array([lexical_scores.get(chunk, 0.0) for chunk in chunk_ids.tolist()], dtype=np.float32),
            cosines=dense.of(chunk_ids) if dense is not None else np.zeros(len(chunk_ids), dtype=np.float32),
        )

    def _hits(
        self, query: Query, candidates: _Candidates, parts: dict[str, NDArray[np.float32]], limit: int
    ) -> list[Hit]:
        """Ranks notes by their best chunk, and fetches what is shown of them."""
        rows, counts = _best_rows(candidates.note_ids, parts["score"], limit)
        chunks = self._reader.chunks(candidates.chunk_ids[rows].tolist())
        notes = self._reader.notes(candidates.note_ids[rows].tolist())
        telling = self._telling_words(query, list(chunks.values()))
        hits = []
        for rank, (row, count) in enumerate(zip(rows, counts, strict=True), start=1):
            chunk = chunks[int(candidates.chunk_ids[row])]
            note = notes[int(candidates.note_ids[row])]
            snippet = make_snippet(chunk.text, telling)
            hits.append(
                Hit(
                    rank=rank,
                    score=float(parts["score"][row]),
                    path=note.path,
                    title=note.title,
                    heading=chunk.heading,
                    start_line=chunk.start_line,
                    end_line=chunk.end_line,
                    snippet=snippet,
                    tags=note.tags,
                    date=note.date,
                    scores={name: float(values[row]) for name, values in parts.items() if name != "score"},
                    more_passages=count - 1,
                    highlights=find_highlights(snippet, telling),
                )
            )
        return hits

    def _telling_words(self, query: Query, chunks: list[StoredChunk]) -> set[str]:
        """The words of some chunks that have the same stem as a word of the query."""
        words = set(query.words).union(*(words_of(chunk.text) for chunk in chunks))
        stems = self._reader.stems(words)
        wanted = {stem for word in query.words for stem in stems[word]}
        return {word for word in words if any(stem in wanted for stem in stems[word])}


def _score_parts(candidates: _Candidates, dense: DenseScores | None, mode: Mode) -> dict[str, NDArray[np.float32]]:
    """The scores that rank the candidates, under `score`, and what they were made of."""
    if mode == "lexical" or dense is None:
        return {"score": candidates.lexical, "lexical": candidates.lexical}
    if mode == "dense":
        return {"score": candidates.cosines, "dense": candidates.cosines}
    fused = fuse(candidates.lexical, standardize(candidates.cosines, dense))
    return {"score": fused, "lexical": candidates.lexical, "dense": candidates.cosines}


def _best_rows(note_ids: NDArray[np.int64], scores: NDArray[np.float32], limit: int) -> tuple[list[int], list[int]]:
    """The best row of each note, best first, and how many rows each of these notes has."""
    best: dict[int, int] = {}
    counts: dict[int, int] = {}
    for row in np.argsort(-scores, kind="stable").tolist():
        note_id = int(note_ids[row])
        best.setdefault(note_id, row)
        counts[note_id] = counts.get(note_id, 0) + 1
    notes = list(best)[:limit]
    return [best[note_id] for note_id in notes], [counts[note_id] for note_id in notes]
