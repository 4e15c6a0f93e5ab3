"""Lexical retrieval: BM25 by FTS5, on a scale that says how well the words were matched at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from notesearch.records import Filters
from notesearch.retrieval.query import Query
from notesearch.storage import IndexReader, searchable_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

# BM25 weights of title, heading and text (docs/decisions/0004-fusion.md).
_FIELD_WEIGHTS = (2.0, 1.5, 1.0)
# k1 + 1: the most that FTS5's BM25 gives a term, as a multiple of its IDF (k1 = 1.2).
_SATURATION = 2.2
# A phrase that more chunks hold than this is no phrase to search by.
_MOST_PHRASE_MATCHES = 5_000


@dataclass(frozen=True, slots=True)
class LexicalMatch:
    """A chunk that holds words of the query.

    Attributes:
        chunk_id: The chunk.
        note_id: Its note.
        score: BM25 as a part of the most that any chunk could get for this query, 0 to 1.
    """

    chunk_id: int
    note_id: int
    score: float


def match_lexical(
    reader: IndexReader, query: Query, limit: int, filters: Filters, required: NDArray[np.int64] | None = None
) -> list[LexicalMatch]:
    """Finds the chunks that match a query's words best, best first.

    Args:
        reader: The index.
        query: The query.
        limit: The most chunks to return.
        filters: Which notes may be found.
        required: The only chunks that may be found, where not all may.
    """
    if not query.words:
        return []
    expression = " OR ".join(_quoted(word) for word in query.words)
    if query.phrases:
        expression = f"({expression}) AND {_all_phrases(query)}"
    matches = reader.match_words(expression, _FIELD_WEIGHTS, limit, filters)
    if required is not None:
        admitted = set(required.tolist())
        matches = [match for match in matches if match[0] in admitted]
    if not matches:
        return []
    most = _SATURATION * sum(_inverse_document_frequencies(reader, query))
    return [LexicalMatch(chunk_id, note_id, score / most) for chunk_id, note_id, score in matches]


def chunks_with_phrases(reader: IndexReader, query: Query, filters: Filters) -> NDArray[np.int64] | None:
    """Ids of the chunks in which all phrases of a query occur, ascending; `None` for a query without phrases.

    The full-text index knows words by their stems; so its matches are looked at once more, letter by letter (case and
    white space aside).
    """
    if not query.phrases:
        return None
    matches = reader.match_words(_all_phrases(query), _FIELD_WEIGHTS, _MOST_PHRASE_MATCHES, filters)
    chunks = reader.chunks([chunk_id for chunk_id, _, _ in matches]).values()
    titles = {note.id: note.title for note in reader.notes([note_id for _, note_id, _ in matches]).values()}
    phrases = [_comparable(phrase) for phrase in query.phrases]
    found = []
    for chunk in chunks:
        searched = _comparable(f"{titles[chunk.note_id]}\n{chunk.heading}\n{chunk.text}")
        if all(phrase in searched for phrase in phrases):
            found.append(chunk.id)
    return np.array(sorted(found), dtype=np.int64)


def _all_phrases(query: Query) -> str:
    return " AND ".join(_quoted(phrase) for phrase in query.phrases)


def _comparable(text: str) -> str:
    return " ".join(text.casefold().split())


def _inverse_document_frequencies(reader: IndexReader, query: Query) -> list[float]:
    """The IDF of each of the query's terms, as FTS5 computes it."""
    chunks = reader.count_chunks()
    terms = reader.stems(query.words).values()
    frequencies = reader.chunk_frequencies(term for parts in terms for term in parts)
    # A word that is several terms (a pair of characters) is at most as frequent as the rarest of them.
    counts = [min((frequencies.get(term, 0) for term in parts), default=0) for parts in terms]
    return [max(math.log((chunks - count + 0.5) / (count + 0.5)), 1e-6) for count in counts]


def _quoted(words: str) -> str:
    """Words as an FTS5 string: nothing in it can be taken for query syntax."""
    return '"' + searchable_words(words).replace('"', '""') + '"'
