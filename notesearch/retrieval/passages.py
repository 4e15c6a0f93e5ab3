"""Which passage of a note to show, and what of it."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from notesearch.records import Hit
from notesearch.retrieval.query import Query
from notesearch.retrieval.snippets import find_highlights, make_snippet
from notesearch.retrieval.words import telling_words
from notesearch.storage import IndexReader, StoredChunk
from notesearch.words import distinct_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Scores = NDArray[np.float32]
    RankChunks = Callable[[Scores, NDArray[np.int64]], Scores]


@dataclass(frozen=True, slots=True)
class RankedNote:
    """A note in its place in the result, with its score and what that was made of."""

    note_id: int
    score: float
    parts: dict[str, float]


def show_passages(
    reader: IndexReader,
    query: Query,
    ranked: Sequence[RankedNote],
    required: NDArray[np.int64] | None,
    rank_chunks: RankChunks,
) -> list[Hit]:
    """Fetches what is shown of ranked notes.

    Args:
        reader: The index.
        query: The query.
        ranked: Notes, best first.
        required: Ids of the only chunks that may be shown, where not all may.
        rank_chunks: Scores some chunks of one note, given each one's share of the note's lexical score, and their ids.
    """
    note_ids = [note.note_id for note in ranked]
    notes = reader.notes(note_ids)
    passages: dict[int, list[StoredChunk]] = {note_id: [] for note_id in note_ids}
    admitted = None if required is None else set(required.tolist())
    for chunk in reader.chunks_of_notes(note_ids):
        if admitted is None or chunk.id in admitted:
            passages[chunk.note_id].append(chunk)
    words = {chunk.id: distinct_words(chunk.text) for chunks in passages.values() for chunk in chunks}
    telling = telling_words(reader, query.words, set().union(*words.values()))
    hits = []
    for rank, found in enumerate(ranked, start=1):
        note = notes[found.note_id]
        chunks = passages[found.note_id]
        held = [{telling[word] for word in words[chunk.id] & telling.keys()} for chunk in chunks]
        shares = _lexical_shares(held, found.parts.get("lexical", 0.0))
        chunk_ids = np.array([chunk.id for chunk in chunks], dtype=np.int64)
        passage = chunks[int(rank_chunks(shares, chunk_ids).argmax())]
        snippet = make_snippet(passage.text, telling)
        hits.append(
            Hit(
                rank=rank,
                score=found.score,
                path=note.path,
                title=note.title,
                heading=passage.heading,
                start_line=passage.start_line,
                end_line=passage.end_line,
                snippet=snippet,
                tags=note.tags,
                date=note.date,
                scores=found.parts,
                more_passages=len(chunks) - 1,
                highlights=find_highlights(snippet, telling),
            )
        )
    return hits


def _lexical_shares(held: Sequence[Set[str]], lexical: float) -> Scores:
    """Shares out a note's lexical score by how many of the query's words that it holds are in each chunk."""
    most = max(1, len(set().union(*held)))
    return np.array([lexical * len(words) / most for words in held], dtype=np.float32)
