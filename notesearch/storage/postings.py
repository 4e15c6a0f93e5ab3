"""BM25 from memory: what the full-text index says of a word, kept once it was read.

The scores are those of FTS5's own `bm25()` but for rounding, which tests see to. FTS5 reads all places of the words of
a query anew each time; a word in thousands of notes takes it milliseconds, and most queries have such words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from notesearch.storage.bm25 import K1, B, idf

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Rows of notes kept, of 16 bytes each: beyond that, begin anew. A term takes as much as so many of them, also one that
# no note holds.
_MOST_KEPT = 5_000_000
_ROWS_A_TERM = 32


class _Term(NamedTuple):
    """Where a term stands: rows of the notes that hold it, and how often it stands in their titles and texts."""

    rows: NDArray[np.intp]
    in_title: NDArray[np.int32]
    in_text: NDArray[np.int32]


class Postings:
    """The full-text index of one state of an index.

    Args:
        query: Runs SQL.
    """

    def __init__(self, query: Callable[..., list[Any]]) -> None:
        self._query = query
        self._terms: dict[str, _Term] = {}
        self._kept = 0
        query("CREATE VIRTUAL TABLE IF NOT EXISTS temp.places USING fts5vocab (main, note_words, instance)")
        sizes = query("SELECT id, sz FROM note_words_docsize ORDER BY id")
        self.note_ids: NDArray[np.int64] = np.array([row[0] for row in sizes], dtype=np.int64)
        self._lengths = np.array([_sum_of_varints(row[1]) for row in sizes], dtype=np.float64)

    def score(self, terms: Sequence[str], weights: tuple[float, float]) -> NDArray[np.float64]:
        """Scores all notes by terms, as often as each is given.

        Args:
            terms: As the full-text index has them.
            weights: BM25 weights of title and text.

        Returns:
            float64 `(len(note_ids),)`, 0 for notes that hold none of the terms.
        """
        scores = np.zeros(len(self.note_ids))
        if not len(scores):
            return scores
        usual_length = self._lengths.mean() or 1.0  # 0 where no note has any words
        norms = K1 * (1 - B + B * self._lengths / usual_length)
        for term in terms:
            rows, in_title, in_text = self._places(term)
            frequency = weights[0] * in_title + weights[1] * in_text
            scores[rows] += idf(len(scores), len(rows)) * frequency * (K1 + 1) / (frequency + norms[rows])
        return scores

    def _places(self, term: str) -> _Term:
        found = self._terms.get(term)
        if found is None:
            if self._kept > _MOST_KEPT:
                self._terms.clear()
                self._kept = 0
            found = self._terms[term] = self._read(term)
            self._kept += _ROWS_A_TERM + len(found.rows)
        return found

    def _read(self, term: str) -> _Term:
        # As one text: a third of the time that a row for each place takes.
        joined = "SELECT group_concat(2 * doc + (col = 'title'), ' ') FROM temp.places WHERE term = ?"
        places = np.fromstring(self._query(joined, [term])[0][0] or "", dtype=np.int64, sep=" ")
        of_places = np.searchsorted(self.note_ids, places // 2)
        rows, places_of_rows = np.unique(of_places, return_inverse=True)
        counts = np.bincount(places_of_rows, minlength=len(rows)).astype(np.int32)
        in_title = np.bincount(places_of_rows, weights=places % 2, minlength=len(rows)).astype(np.int32)
        return _Term(rows, in_title, counts - in_title)


def best_of(
    note_ids: NDArray[np.int64], scores: NDArray[np.float64], limit: int, only: NDArray[np.int64] | None
) -> list[tuple[int, float]]:
    """The best notes that scored at all, best first, equally good ones by id.

    Args:
        note_ids: Ids, ascending.
        scores: Their scores.
        limit: The most notes.
        only: Ids of the notes to admit; `None` for all.
    """
    rows = np.flatnonzero(scores > 0 if only is None else (scores > 0) & np.isin(note_ids, only))
    order = rows[np.argsort(-scores[rows], kind="stable")[:limit]]
    return list(zip(note_ids[order].tolist(), scores[order].tolist(), strict=True))


def _sum_of_varints(stored: bytes) -> int:
    """The sum of the numbers in a blob, each in SQLite's bytes of seven bits, the highest first."""
    total = number = 0
    for byte in stored:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            total += number
            number = 0
    return total
