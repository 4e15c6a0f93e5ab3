"""Reading an index in SQLite. Standard library and numpy only."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from notesearch.errors import IndexDamaged, IndexMissing
from notesearch.records import Filters
from notesearch.storage.database import HOW_TO_INDEX, blame_damage, database_file, open_for_reading, translated_errors
from notesearch.storage.filters import admitted_notes
from notesearch.storage.full_text import RANK, TOKENIZER, WordQuery, searchable_words
from notesearch.storage.known import KNOWN_COLUMNS, KnownNote
from notesearch.storage.reader import Fingerprint, StoredChunk, StoredLink, StoredNote, StoredProperty, Unfinished
from notesearch.storage.vectors import VectorFileRecord, map_vectors, unpack, vector_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

Record = TypeVar("Record")

_TAGS_OF_NOTE = "SELECT 1 FROM tags WHERE note_id = notes.id AND NOT of_part"
_CHUNK_COLUMNS = "id, note_id, start, end, start_line, end_line, heading, text, page, end_page"
# So many terms that begin alike are looked up faster by reading all that do.
_MANY_TERMS = 100
_BEGINNING_CHARS = 2
_LAST_CHAR = "\U0010ffff"


class IndexReader:
    """An index opened for reading; see `Reader`.

    Attributes:
        fingerprint: See `Reader`.
    """

    def __init__(self, index_dir: Path) -> None:
        self._index_dir = index_dir
        self._connection = open_for_reading(index_dir)
        with self._errors():
            self._connection.execute("PRAGMA temp_store = MEMORY")
            self._connection.execute("BEGIN")
            fingerprint = read_fingerprint(self._connection)
        if fingerprint is None:
            raise IndexMissing(f"the index in {index_dir} is empty", HOW_TO_INDEX)
        self.fingerprint = fingerprint

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        blame_damage(database_file(self._index_dir), error)

    def close(self) -> None:
        """See `Reader`."""
        self._connection.close()

    def count_notes(self) -> int:
        """See `Reader`."""
        return int(self._query("SELECT count(*) FROM notes")[0][0])

    def stems(self, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """See `Reader`."""
        distinct = list(dict.fromkeys(words))
        self._query(f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.words USING fts5 (word, tokenize = '{TOKENIZER}')")
        self._query("CREATE VIRTUAL TABLE IF NOT EXISTS temp.word_terms USING fts5vocab (temp, words, instance)")
        self._query("DELETE FROM temp.words")
        with self._errors():
            self._connection.executemany(
                "INSERT INTO temp.words (rowid, word) VALUES (?, ?)",
                [(row, searchable_words(word)) for row, word in enumerate(distinct)],
            )
        terms: dict[str, list[str]] = {word: [] for word in distinct}
        for row, term in self._query("SELECT doc, term FROM temp.word_terms ORDER BY doc, offset"):
            terms[distinct[row]].append(term)
        return {word: tuple(parts) for word, parts in terms.items()}

    def note_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """See `Reader`."""
        self._query("CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary USING fts5vocab (main, note_words, row)")
        by_beginning: dict[str, set[str]] = defaultdict(set)
        for term in terms:
            by_beginning[term[:_BEGINNING_CHARS]].add(term)
        single: list[str] = []
        found: dict[str, int] = {}
        for beginning, wanted in by_beginning.items():
            if len(wanted) < _MANY_TERMS:
                single += wanted
                continue
            sql = "SELECT term, doc FROM temp.vocabulary WHERE term >= ? AND term < ?"
            rows = self._query(sql, [beginning, beginning + _LAST_CHAR])
            found |= {term: notes for term, notes in rows if term in wanted}
        marks = ",".join("?" * len(single))
        sql = f"SELECT term, doc FROM temp.vocabulary WHERE term IN ({marks})"
        return found | dict(self._query(sql, sorted(single)))

    def match(self, query: WordQuery, limit: int, filters: Filters) -> list[tuple[int, float]]:
        """See `Reader`."""
        admitted, parameters = admitted_notes(filters)
        condition = f"AND rowid IN ({admitted})" if admitted else ""
        sql = f"""
            SELECT rowid, -rank FROM note_words WHERE note_words MATCH ? AND rank MATCH '{RANK}' {condition}
            ORDER BY rank LIMIT ?"""
        return self._query(sql, [query.expression(), *parameters, limit])

    def chunk_ids_of_notes(self, note_ids: Sequence[int]) -> dict[int, int]:
        """See `Reader`."""
        return dict(self._query_many("SELECT id, note_id FROM chunks WHERE note_id IN ({})", note_ids))

    def notes_of_chunks(self, chunk_ids: Sequence[int]) -> dict[int, int]:
        """See `Reader`."""
        return dict(self._query_many("SELECT id, note_id FROM chunks WHERE id IN ({})", chunk_ids))

    def chunks_of_notes(self, note_ids: Sequence[int]) -> list[StoredChunk]:
        """See `Reader`."""
        sql = f"SELECT {_CHUNK_COLUMNS} FROM chunks WHERE note_id IN ({{}}) ORDER BY note_id, position"
        return [StoredChunk(*row) for row in self._query_many(sql, note_ids)]

    def notes(self, note_ids: Sequence[int]) -> dict[int, StoredNote]:
        """See `Reader`."""
        tags = defaultdict[int, list[str]](list)
        file_tags = defaultdict[int, list[str]](list)
        for note_id, tag, of_part in self._query_many(
            "SELECT note_id, tag, of_part FROM tags WHERE note_id IN ({}) ORDER BY note_id, position", note_ids
        ):
            tags[note_id].append(tag)
            if not of_part:
                file_tags[note_id].append(tag)
        rows = self._query_many("SELECT id, path, title, date FROM notes WHERE id IN ({})", note_ids)
        return {
            note_id: StoredNote(note_id, path, title, date, tuple(tags[note_id]), tuple(file_tags[note_id]))
            for note_id, path, title, date in rows
        }

    def properties(self, note_ids: Sequence[int]) -> dict[int, list[StoredProperty]]:
        """See `Reader`."""
        sql = """SELECT note_id, name, value FROM properties WHERE note_id IN ({}) AND words != ''
                 ORDER BY note_id, position"""
        found: dict[int, list[StoredProperty]] = {}
        for note_id, *stored in self._query_many(sql, note_ids):
            found.setdefault(note_id, []).append(StoredProperty(*stored))
        return found

    def admitted_chunks(self, filters: Filters) -> NDArray[np.int64] | None:
        """See `Reader`."""
        admitted, parameters = admitted_notes(filters)
        if not admitted:
            return None
        return self._ids(f"SELECT id FROM chunks WHERE note_id IN ({admitted}) ORDER BY id", parameters)

    def vectors(self) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """See `Reader`.

        The first pair may be mapped from `vectors.hnsw`; the last comes from SQLite: what the file does not hold, or
        everything where the file is missing, stale or damaged.
        """
        return self._read_vectors(verify=False)

    def _read_vectors(self, *, verify: bool) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """See `vectors` and `map_vectors`."""
        record = self._vector_file_record()
        mapped = record and map_vectors(vector_file(self._index_dir), record, self.fingerprint.dim, verify=verify)
        stored = self._stored_vectors(record.last_chunk_id if record and mapped else 0)
        return [pair for pair in (mapped, stored) if pair and len(pair[0])]

    def dead_chunks(self) -> NDArray[np.int64]:
        """See `Reader`."""
        return self._ids("SELECT chunk_id FROM dead_vectors ORDER BY chunk_id")

    def graph(self) -> Any:
        """See `Reader`; loading it never pays for one search."""
        return None

    def vectors_of_chunks(self, chunk_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """See `Reader`."""
        rows = self._query_many("SELECT chunk_id, vector FROM embeddings WHERE chunk_id IN ({})", chunk_ids)
        return dict(zip([row[0] for row in rows], _unpacked(rows, self.fingerprint.dim), strict=True))

    def token_codes(self, chunk_ids: Sequence[int]) -> dict[int, bytes]:
        """See `Reader`."""
        return dict(self._query_many("SELECT chunk_id, codes FROM token_codes WHERE chunk_id IN ({})", chunk_ids))

    def note_at(self, path: str) -> KnownNote | None:
        """What tells whether the note at a path has changed since; `None` where there is none."""
        rows = self._query(f"SELECT {KNOWN_COLUMNS} FROM notes WHERE path = ?", [path])
        return KnownNote.of_row(rows[0]) if rows else None

    def note_ids(self, *, tagged: bool | None = None) -> list[int]:
        """Ids of the notes that have tags of the whole note, of those that have none, or of all, by path."""
        conditions = {True: f"WHERE EXISTS ({_TAGS_OF_NOTE})", False: f"WHERE NOT EXISTS ({_TAGS_OF_NOTE})", None: ""}
        return [row[0] for row in self._query(f"SELECT id FROM notes {conditions[tagged]} ORDER BY path")]

    def folders_of_notes(self) -> dict[int, tuple[str, str]]:
        """Maps the ids of all notes to their paths and those of the indexed folders that they are in."""
        rows = self._query("SELECT n.id, n.path, f.path FROM notes n JOIN folders f ON f.id = n.folder_id")
        return {note_id: (path, folder) for note_id, path, folder in rows}

    def paths(self) -> dict[int, str]:
        """Maps the ids of all notes to their paths."""
        return dict(self._query("SELECT id, path FROM notes"))

    def titles(self) -> dict[str, str]:
        """Maps the paths of all notes to their titles."""
        return dict(self._query("SELECT path, title FROM notes ORDER BY path"))

    def owners_of_chunks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids of all chunks, and of their notes, note by note: both int64, ascending by the note's id."""
        rows = self._query("SELECT id, note_id FROM chunks ORDER BY note_id, position")
        table = np.array(rows, dtype=np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def folders(self) -> list[str]:
        """Paths of the folders that the index covers."""
        return [row[0] for row in self._query("SELECT path FROM folders ORDER BY path")]

    def tag_counts(self) -> list[tuple[str, int]]:
        """All tags, and how many notes have each, the most frequent first; spellings by case count as one."""
        sql = "SELECT min(tag), count(DISTINCT note_id) AS notes FROM tags GROUP BY key ORDER BY notes DESC, key"
        return self._query(sql)

    def property_names(self) -> dict[str, str]:
        """See `Reader`."""
        return dict(self._query("SELECT key, min(name) FROM properties GROUP BY key"))

    def property_counts(self) -> list[tuple[str, int, int]]:
        """All properties, how many notes have each and how many values, those of most notes first."""
        sql = """SELECT min(name), count(DISTINCT note_id) AS notes, count(DISTINCT value_key) FROM properties
                 GROUP BY key ORDER BY notes DESC, key"""
        return self._query(sql)

    def value_counts(self, key: str) -> list[tuple[str, str, int]]:
        """The values of a property, their types, and how many notes have each, the most frequent first.

        Args:
            key: Of the property, as `words.key_of` gives it.
        """
        sql = """SELECT min(value),
                 CASE WHEN max(number) NOT NULL THEN 'number' WHEN max(moment) NOT NULL THEN 'date' ELSE 'text' END,
                 count(DISTINCT note_id) AS notes
                 FROM properties WHERE key = ? GROUP BY value_key ORDER BY notes DESC, max(number), value_key"""
        return self._query(sql, [key])

    def links(self) -> list[StoredLink]:
        """All links as written, note by note."""
        sql = "SELECT note_id, target, anchor, kind, line FROM links ORDER BY note_id, position"
        return [StoredLink(*row) for row in self._query(sql)]

    def note_ids_by_link(self) -> dict[str, int]:
        """Maps the ids by which links may call notes to the ids that the notes have here."""
        return dict(self._query("SELECT name, note_id FROM names ORDER BY note_id DESC"))

    def values_of(self, keys: Collection[str]) -> list[tuple[str, str]]:
        """The values of some properties, given by their keys, with the paths of the notes; by path."""
        marks = ",".join("?" * len(keys))
        sql = f"""SELECT properties.value, notes.path FROM properties JOIN notes ON notes.id = note_id
                  WHERE key IN ({marks}) ORDER BY path, position"""
        return self._query(sql, [*keys])

    def synced(self) -> dict[str, datetime]:
        """Maps the paths of folders to when they were last brought in step, UTC; one that never was is missing."""
        with self._errors():
            return read_synced(self._connection)

    def unfinished(self) -> tuple[Unfinished, ...]:
        """See `Reader`."""
        with self._errors():
            expected = _read_record(self._connection, "first_run", _first_run)
        return () if expected is None else (Unfinished(self.count_notes(), expected),)

    def _vector_file_record(self) -> VectorFileRecord | None:
        with self._errors():
            return read_vector_file_record(self._connection)

    def _stored_vectors(self, after_chunk_id: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        with self._errors():
            return read_vectors(self._connection, after_chunk_id, self.fingerprint.dim)

    def _ids(self, sql: str, parameters: Sequence[Any] = ()) -> NDArray[np.int64]:
        return np.array([row[0] for row in self._query(sql, parameters)], dtype=np.int64)

    def _admitted_ids(self, filters: Filters) -> NDArray[np.int64] | None:
        """Ids of the notes that the filters admit; `None` where every note is admitted."""
        admitted, parameters = admitted_notes(filters)
        return self._ids(admitted, parameters) if admitted else None

    def _query_many(self, sql: str, ids: Sequence[int]) -> list[Any]:
        """Runs a query with a list of ids in the place of `{}`."""
        return self._query(sql.format(",".join(str(int(i)) for i in ids)))

    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._errors():
            return self._connection.execute(sql, parameters).fetchall()

    def _errors(self) -> Any:
        return translated_errors(database_file(self._index_dir))


def read_fingerprint(connection: sqlite3.Connection) -> Fingerprint | None:
    """Reads what the vectors of an index depend on; `None` where none was ever written."""
    return _read_record(connection, "fingerprint", Fingerprint)


def read_vector_file_record(connection: sqlite3.Connection) -> VectorFileRecord | None:
    """Reads what SQLite knows of the vector file; `None` where there is none."""
    return _read_record(connection, "vector_file", VectorFileRecord.of_json)


def read_synced(connection: sqlite3.Connection) -> dict[str, datetime]:
    """Maps the paths of folders to when they were last brought in step, UTC; one that never was is missing."""
    return _read_record(connection, "synced", _times) or {}


def _times(**written: str) -> dict[str, datetime]:
    return {path: datetime.fromisoformat(when) for path, when in written.items()}


def _first_run(notes: int) -> int:
    return int(notes)


def _read_record(connection: sqlite3.Connection, key: str, kind: Callable[..., Record]) -> Record | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", [key]).fetchone()
    try:
        return kind(**json.loads(row[0])) if row else None
    except (TypeError, ValueError, RecursionError) as error:
        raise IndexDamaged(f"the index is damaged: what it knows of its {key} cannot be read") from error


def read_vectors(
    connection: sqlite3.Connection, after_chunk_id: int, dim: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Reads the embeddings of all chunks with greater ids: ids int64 `(n,)` and vectors float32 `(n, dim)`."""
    rows = connection.execute(
        "SELECT chunk_id, vector FROM embeddings WHERE chunk_id > ? ORDER BY chunk_id", [after_chunk_id]
    ).fetchall()
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    return ids, _unpacked(rows, dim)


def _unpacked(rows: Sequence[tuple[int, bytes]], dim: int) -> NDArray[np.float32]:
    """The vectors of chunks, given with their ids."""
    try:
        return unpack([row[1] for row in rows], dim)
    except (TypeError, ValueError) as error:
        raise IndexDamaged("the index is damaged: an embedding in it cannot be read") from error
