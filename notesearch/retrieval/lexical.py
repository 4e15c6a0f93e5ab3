"""Lexical retrieval: BM25 over whole notes, by FTS5."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from notesearch.records import Filters
from notesearch.retrieval.query import Query
from notesearch.storage import IndexReader, StoredChunk, searchable_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

# BM25 weights of title and text; anything from 1.5 to 3 does equally well (docs/decisions/0004-fusion.md).
_FIELD_WEIGHTS = (2.0, 1.0)
# A phrase that more notes hold than this is no phrase to search by.
_MOST_PHRASE_MATCHES = 2_000


def match_lexical(reader: IndexReader, query: Query, limit: int, filters: Filters) -> dict[int, float]:
    """Finds the notes that match a query's words best.

    Returns:
        Note ids and their BM25 scores, best first. The scores are not scaled: how much of a query's rare words was
        matched is just what they should tell.
    """
    if not query.words:
        return {}
    expression = " OR ".join(_quoted(word) for word in query.words)
    if query.phrases:
        expression = f"({expression}) AND {_all_phrases(query)}"
    return dict(reader.match_words(expression, _FIELD_WEIGHTS, limit, filters))


def chunks_with_phrases(reader: IndexReader, query: Query, filters: Filters) -> NDArray[np.int64] | None:
    """Ids of the chunks of notes in which all phrases of a query occur, ascending; `None` for a query without phrases.

    The full-text index knows words by their stems; so what it finds is looked at once more, letter by letter (case and
    white space aside). Where some chunks of a note hold a phrase, the others are left out.
    """
    if not query.phrases:
        return None
    note_ids = [
        note_id for note_id, _ in reader.match_words(_all_phrases(query), (1, 1), _MOST_PHRASE_MATCHES, filters)
    ]
    titles = {note.id: note.title for note in reader.notes(note_ids).values()}
    chunks: dict[int, list[StoredChunk]] = {}
    for chunk in reader.chunks_of_notes(note_ids):
        chunks.setdefault(chunk.note_id, []).append(chunk)
    found: list[int] = []
    for note_id, parts in chunks.items():
        whole = _comparable([titles[note_id], *(part.text for part in parts)])
        if all(_comparable([phrase]) in whole for phrase in query.phrases):
            holders = [
                part.id for part in parts if any(_comparable([p]) in _comparable([part.text]) for p in query.phrases)
            ]
            found += holders or [part.id for part in parts]
    return np.array(sorted(found), dtype=np.int64)


def _all_phrases(query: Query) -> str:
    return " AND ".join(_quoted(phrase) for phrase in query.phrases)


def _comparable(texts: Iterable[str]) -> str:
    return " ".join(" ".join(texts).casefold().split())


def _quoted(words: str) -> str:
    """Words as an FTS5 string: nothing in it can be taken for query syntax."""
    return '"' + searchable_words(words).replace('"', '""') + '"'
