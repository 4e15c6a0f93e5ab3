"""A search from query to hits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from notesearch.encoders import Encoder
from notesearch.records import Filters, Hit
from notesearch.retrieval.dense import DenseScores, ExactScan
from notesearch.retrieval.fusion import fuse, standardize
from notesearch.retrieval.lexical import chunks_with_phrases, match_lexical
from notesearch.retrieval.query import Query, parse_query
from notesearch.retrieval.snippets import find_highlights, make_snippet
from notesearch.retrieval.words import find_words, telling_words
from notesearch.storage import IndexReader, StoredChunk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]

Mode = Literal["lexical", "dense", "hybrid"]

# What each retriever is asked for: more notes than wanted, so that one that is good on both counts is not missed,
# and more chunks than that, since a note has several.
_LEAST_NOTES = 300
_NOTES_A_HIT = 3
_CHUNKS_A_NOTE = 2


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
        wanted = max(_LEAST_NOTES, _NOTES_A_HIT * limit)
        required = chunks_with_phrases(self._reader, query, filters)
        lexical = {} if mode == "dense" else match_lexical(self._reader, query, wanted, filters)
        dense = None if mode == "lexical" else self._dense(query, filters, required)
        note_ids, parts = self._score_notes(lexical, dense, wanted, required)
        order = np.argsort(-parts["score"], kind="stable")[:limit]
        ranked = [(note_ids[row], {name: float(scores[row]) for name, scores in parts.items()}) for row in order]
        return self._hits(query, ranked, dense, required)

    def _dense(self, query: Query, filters: Filters, required: NDArray[np.int64] | None) -> DenseScores:
        self._encoder = self._encoder or self._open_encoder()
        self._scan = self._scan or ExactScan(self._reader)
        scores = self._scan.score(self._encoder.encode_query(query.text), filters)
        return scores if required is None else scores.only(required)

    def _score_notes(
        self,
        lexical: Mapping[int, float],
        dense: DenseScores | None,
        wanted: int,
        required: NDArray[np.int64] | None,
    ) -> tuple[list[int], dict[str, Scores]]:
        """Joins what the retrievers found.

        Returns:
            Note ids, and the scores of each: `score`, which ranks it, and what that was made of. A note's cosine is
            that of its closest chunk.
        """
        if required is not None:  # the phrases' letters, not only their stems
            admitted = set(self._reader.notes_of_chunks(required.tolist()).values())
            lexical = {note_id: score for note_id, score in lexical.items() if note_id in admitted}
        if dense is None:
            scores = np.array(list(lexical.values()), dtype=np.float32)
            return list(lexical), {"score": scores, "lexical": scores}
        closest = dense.chunk_ids[dense.best(_CHUNKS_A_NOTE * wanted)].tolist()
        chunk_notes = self._reader.notes_of_chunks(closest) | self._reader.chunk_ids_of_notes(list(lexical))
        cosines = _best_cosines(chunk_notes, dense)
        dense_scores = np.array(list(cosines.values()), dtype=np.float32)
        if not lexical:
            return list(cosines), {"score": dense_scores, "dense": dense_scores}
        lexical_scores = np.array([lexical.get(note_id, 0.0) for note_id in cosines], dtype=np.float32)
        fused = fuse(lexical_scores, standardize(dense_scores, dense))
        return list(cosines), {"score": fused, "lexical": lexical_scores, "dense": dense_scores}

    def _hits(
        self,
        query: Query,
        ranked: Sequence[tuple[int, dict[str, float]]],
        dense: DenseScores | None,
        required: NDArray[np.int64] | None,
    ) -> list[Hit]:
        """Fetches what is shown of the ranked notes."""
        note_ids = [note_id for note_id, _ in ranked]
        notes = self._reader.notes(note_ids)
        chunks: dict[int, list[StoredChunk]] = {}
        for chunk in self._reader.chunks_of_notes(note_ids):
            chunks.setdefault(chunk.note_id, []).append(chunk)
        telling = telling_words(self._reader, query.words, _texts(chunks.values()))
        shown = None if required is None else set(required.tolist())
        hits = []
        for rank, (note_id, scores) in enumerate(ranked, start=1):
            note = notes[note_id]
            passages = [chunk for chunk in chunks[note_id] if shown is None or chunk.id in shown]
            passage = _best_passage(passages, scores.get("lexical", 0.0), dense, telling)
            snippet = make_snippet(passage.text, telling)
            hits.append(
                Hit(
                    rank=rank,
                    score=scores["score"],
                    path=note.path,
                    title=note.title,
                    heading=passage.heading,
                    start_line=passage.start_line,
                    end_line=passage.end_line,
                    snippet=snippet,
                    tags=note.tags,
                    date=note.date,
                    scores={name: score for name, score in scores.items() if name != "score"},
                    more_passages=len(passages) - 1,
                    highlights=find_highlights(snippet, telling),
                )
            )
        return hits


def _best_cosines(chunk_notes: Mapping[int, int], dense: DenseScores) -> dict[int, float]:
    """The cosine of each note's closest chunk, among the chunks given and admitted."""
    chunk_ids = np.array(sorted(chunk_notes), dtype=np.int64)
    chunk_ids = chunk_ids[np.isin(chunk_ids, dense.chunk_ids)]
    best: dict[int, float] = {}
    for chunk_id, cosine in zip(chunk_ids.tolist(), dense.of(chunk_ids).tolist(), strict=True):
        note_id = chunk_notes[chunk_id]
        best[note_id] = max(cosine, best.get(note_id, -1.0))
    return best


def _best_passage(
    passages: Sequence[StoredChunk], lexical: float, dense: DenseScores | None, telling: Mapping[str, str]
) -> StoredChunk:
    """The passage to show of a note: the note's score again, its lexical part shared out by the words each holds."""
    words = [{telling[word] for _, _, word in find_words(passage.text) if word in telling} for passage in passages]
    most = max(1, len(set().union(*words)))
    shares = np.array([lexical * len(held) / most for held in words], dtype=np.float32)
    if dense is None:
        return passages[int(shares.argmax())]
    cosines = dense.of(np.array([passage.id for passage in passages], dtype=np.int64))
    return passages[int(fuse(shares, standardize(cosines, dense)).argmax())]


def _texts(chunks: Iterable[Iterable[StoredChunk]]) -> Iterable[str]:
    return (chunk.text for parts in chunks for chunk in parts)
