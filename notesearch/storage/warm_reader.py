"""Reading an index again and again: what one state of it holds is kept in memory for as long as that state lasts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.files import Stamp
from notesearch.records import Filters
from notesearch.storage.database import database_file
from notesearch.storage.full_text import WordQuery
from notesearch.storage.index_reader import IndexReader
from notesearch.storage.vectors import load_graph, vector_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

# SQLite's own is 2 MB, less than what a search reads.
_PAGE_CACHE_KB = 65_536
_MOST_WORDS_KEPT = 100_000
# Scores kept, of 16 bytes each: beyond that, begin anew. A word takes as much as so many of them, also one that no note
# holds.
_MOST_SCORES_KEPT = 5_000_000
_SCORES_A_WORD = 32
_NO_LIMIT = -1
# From so many chunks on, loading the graph pays: the exact scan of fewer takes less than 3 ms.
GRAPH_FROM = 30_000


class WarmReader(IndexReader):
    """An index opened for many searches. It sees one state of the index, until that is found to have changed.

    Between `rest` and `is_current` no transaction is open: one that lasted would keep SQLite from emptying the log,
    which would grow with every run of `index`. What is kept here, and the file that is mapped, stay what they were.

    Args:
        index_dir: The directory of the index.
        graph_from: From how many chunks on `vectors.hnsw` is loaded as a graph; below, it is scanned where it lies.
    """

    def __init__(self, index_dir: Path, *, graph_from: int = GRAPH_FROM) -> None:
        self._file = _file_of(index_dir)  # before it is opened: another file may take its place at any time
        super().__init__(index_dir)
        self._query(f"PRAGMA cache_size = -{_PAGE_CACHE_KB}")
        self._version = self._data_version()
        self._all_note_ids = self._ids("SELECT id FROM notes ORDER BY id")
        self._chunk_ids, self._note_ids = self._columns("SELECT id, note_id FROM chunks ORDER BY id")
        self._by_note = np.argsort(self._note_ids, kind="stable")
        self._sorted_note_ids = self._note_ids[self._by_note]
        self._pairs = self._read_vectors(verify=True)
        self._dead = super().dead_chunks()
        self._rows_of_pairs = [np.argsort(ids, kind="stable") for ids, _ in self._pairs]
        self._stems: dict[str, tuple[str, ...]] = {}
        self._frequencies: dict[str, int] = {}
        self._scores: dict[tuple[str, ...], tuple[NDArray[np.intp], NDArray[np.float64]]] = {}
        self._scores_kept = 0
        self._graph = self._load_graph() if len(self._chunk_ids) >= graph_from else None

    def is_current(self) -> bool:
        """Begins to read again; says whether the index is as it was when it was opened. If not, open it again."""
        if _file_of(self._index_dir) != self._file:
            return False
        self._query("BEGIN")
        return self._data_version() == self._version

    def rest(self) -> None:
        """Ends the reading, until `is_current` is asked."""
        if self._connection.in_transaction:
            self._query("COMMIT")  # not ROLLBACK, which would take back temporary tables

    def graph(self) -> Any:
        """See `Reader`; `None` also where the vector file cannot be trusted."""
        return self._graph

    def count_notes(self) -> int:
        """See `Reader`."""
        return len(self._all_note_ids)

    def stems(self, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """See `Reader`."""
        distinct = list(dict.fromkeys(words))
        if len(self._stems) > _MOST_WORDS_KEPT:
            self._stems.clear()
        if unknown := [word for word in distinct if word not in self._stems]:
            self._stems |= super().stems(unknown)
        return {word: self._stems[word] for word in distinct}

    def note_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """See `Reader`."""
        distinct = set(terms)
        if len(self._frequencies) > _MOST_WORDS_KEPT:
            self._frequencies.clear()
        if unknown := distinct - self._frequencies.keys():
            self._frequencies |= dict.fromkeys(unknown, 0) | super().note_frequencies(unknown)
        return {term: count for term in distinct if (count := self._frequencies[term])}

    def match(self, query: WordQuery, limit: int, filters: Filters) -> list[tuple[int, float]]:
        """See `Reader`; words are looked up once, while pairs are seldom asked for again."""
        if query.pairs:
            return super().match(query, limit, filters)
        scores = np.zeros(len(self._all_note_ids))
        stems = self.stems(query.words)
        for word in query.words:
            rows, own = self._scores_of(word, stems[word])
            scores[rows] += own
        admitted = self._admitted_ids(filters)
        is_found = scores > 0 if admitted is None else (scores > 0) & np.isin(self._all_note_ids, admitted)
        rows = np.flatnonzero(is_found)
        best = rows[np.argsort(-scores[rows], kind="stable")[: limit if limit >= 0 else None]]
        return list(zip(self._all_note_ids[best].tolist(), scores[best].tolist(), strict=True))

    def _scores_of(self, word: str, stems: tuple[str, ...]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """The notes that hold a word, as rows of `_all_note_ids`, and what it adds to their scores."""
        if stems not in self._scores:
            if self._scores_kept > _MOST_SCORES_KEPT:
                self._scores.clear()
                self._scores_kept = 0
            found = super().match(WordQuery((word,)), _NO_LIMIT, Filters())
            note_ids = np.array([note_id for note_id, _ in found], dtype=np.int64)
            scores = np.array([score for _, score in found], dtype=np.float64)
            self._scores[stems] = np.searchsorted(self._all_note_ids, note_ids), scores
            self._scores_kept += _SCORES_A_WORD + len(found)
        return self._scores[stems]

    def chunk_ids_of_notes(self, note_ids: Sequence[int]) -> dict[int, int]:
        """See `Reader`."""
        wanted = np.unique(np.array(note_ids, dtype=np.int64))
        firsts, ends = (np.searchsorted(self._sorted_note_ids, wanted, side) for side in ("left", "right"))
        rows = np.concatenate([self._by_note[a:b] for a, b in zip(firsts, ends, strict=True)] or [self._by_note[:0]])
        return dict(zip(self._chunk_ids[rows].tolist(), self._note_ids[rows].tolist(), strict=True))

    def notes_of_chunks(self, chunk_ids: Sequence[int]) -> dict[int, int]:
        """See `Reader`."""
        wanted = np.array(chunk_ids, dtype=np.int64)
        wanted = wanted[np.isin(wanted, self._chunk_ids)]
        rows = np.searchsorted(self._chunk_ids, wanted)
        return dict(zip(wanted.tolist(), self._note_ids[rows].tolist(), strict=True))

    def admitted_chunks(self, filters: Filters) -> NDArray[np.int64] | None:
        """See `Reader`."""
        note_ids = self._admitted_ids(filters)
        return None if note_ids is None else self._chunk_ids[np.isin(self._note_ids, note_ids)]

    def vectors(self) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """See `Reader`."""
        return self._pairs

    def dead_chunks(self) -> NDArray[np.int64]:
        """See `Reader`."""
        return self._dead

    def vectors_of_chunks(self, chunk_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """See `Reader`."""
        wanted = np.array(chunk_ids, dtype=np.int64)
        found: dict[int, NDArray[np.float32]] = {}
        for (ids, vectors), order in zip(self._pairs, self._rows_of_pairs, strict=True):
            own = wanted[np.isin(wanted, ids)]
            rows = order[np.searchsorted(ids, own, sorter=order)]
            found |= zip(own.tolist(), vectors[rows], strict=True)
        return found

    def _load_graph(self) -> Any:
        record = self._vector_file_record()
        if record is None or not self._pairs or len(self._pairs[0][0]) != record.count:
            return None
        return load_graph(vector_file(self._index_dir), record, self.fingerprint.dim, self._dead)

    def _columns(self, sql: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        columns = np.array(self._query(sql), dtype=np.int64).reshape(-1, 2)
        return np.ascontiguousarray(columns[:, 0]), np.ascontiguousarray(columns[:, 1])

    def _data_version(self) -> int:
        self._query("SELECT 1 FROM meta LIMIT 1")  # the transaction begins to see a state with the first thing it reads
        return int(self._query("PRAGMA data_version")[0][0])


def _file_of(index_dir: Path) -> Stamp | None:
    """Tells a database file from another one in its place; and, since SQLite cannot where it may not write, changes.

    `None` where there is none.
    """
    try:
        return Stamp.of(os.stat(database_file(index_dir)))  # noqa: PTH116 - for each search
    except OSError:
        return None
