"""Whether what is in `notes.db` holds together: what `doctor` asks of SQLite, beyond what SQLite asks of itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from notesearch.storage.database import database_file, open_for_reading, translated_errors
from notesearch.storage.reader import Fingerprint, StoredChunk, read_fingerprint, read_vector_file_record
from notesearch.storage.schema import create_schema
from notesearch.storage.vector_file import is_sound, map_vectors, vector_file
from notesearch.storage.vectors import pack, unpack
from notesearch.storage.words import searchable_words

PassageHash = Callable[[str, str, str], bytes]
"""Gives the hash of what is encoded of a chunk: of its note's title, its heading path, its text."""

_BATCH = 4096
_MOST_PROBLEMS = 100
# How long to wait for another process to finish a batch.
_PATIENCE_MS = 2_000
# Vectors have length 1; rounding their components to bytes changes that by much less.
_LENGTH_TOLERANCE = 0.05

# The note that a row belongs to, by table.
_NOTE_OF_CHUNK = "(SELECT note_id FROM chunks WHERE chunks.id = chunk_id)"
_OWNERS = {
    "notes": "id",
    "tags": "note_id",
    "links": "note_id",
    "names": "note_id",
    "chunks": "note_id",
    "embeddings": _NOTE_OF_CHUNK,
    "token_codes": _NOTE_OF_CHUNK,
}
# Without what SQLite and FTS5 make on their own, and may word as they like.
_DESCRIPTIONS = """SELECT name, sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*'
                   AND (name NOT GLOB 'note_words_*' OR name = 'note_words_source')"""
_OWNERLESS = ("folders", "skipped", "meta", "dead_vectors")


@dataclass(frozen=True, slots=True)
class Expected:
    """What the rows of an index must fit; storage itself knows nothing of models and passages.

    Attributes:
        dim: Length of a vector.
        code_bytes: Bytes of one token code; `None` where that is not known.
        passage_hash: `None` where passages are made in another way than when the index was.
    """

    dim: int
    code_bytes: int | None
    passage_hash: PassageHash | None


class DatabaseCheck:
    """`notes.db` opened to be looked through from end to end, for reading only.

    Raises:
        StoreError: It cannot be opened; see `open_for_reading`.
    """

    def __init__(self, index_dir: Path) -> None:
        self._index_dir = index_dir
        self._connection = open_for_reading(index_dir)
        # What is no UTF-8 is looked for, and must not be tripped over.
        self._connection.text_factory = lambda data: data.decode("utf-8", "replace")

    def close(self) -> None:
        """Closes the database."""
        self._connection.close()

    def broken_pages(self) -> list[str]:
        """What SQLite finds wrong with the file: its pages, its indexes, its constraints."""
        found = [" ".join(str(row[0]).split()) for row in self._rows(f"PRAGMA integrity_check({_MOST_PROBLEMS})")]
        return [] if found == ["ok"] else found

    def altered_tables(self) -> list[str]:
        """Tables, indexes and views that are described in another way than this notesearch does."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
            create_schema(fresh)
            wanted = dict(fresh.execute(_DESCRIPTIONS).fetchall())
        found = dict(self._rows(_DESCRIPTIONS))
        return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))

    def orphans(self) -> dict[str, int]:
        """How many rows of each table refer to something that is gone."""
        counts: dict[str, int] = {}
        for table, *_ in self._rows("PRAGMA foreign_key_check"):
            counts[table] = counts.get(table, 0) + 1
        return counts

    def fingerprint(self) -> Fingerprint | None:
        """What the vectors depend on.

        Raises:
            IndexDamaged: It cannot be read.
        """
        with self._errors():
            return read_fingerprint(self._connection)

    def wrong_values(self) -> list[str]:
        """Tables that belong to no note in particular, and in which a value is of another kind than it should be."""
        return [table for table in _OWNERLESS if any(True for _ in self._wrong_rows(table, "0"))]

    def flawed_notes(self, expected: Expected) -> dict[int, str]:
        """Maps the ids of notes, of which something stored is not as it was written, to what that is."""
        flaws: dict[int, str] = {}
        for flaw, note_ids in self._flaws(expected):
            for note_id in note_ids:
                if isinstance(note_id, int):  # a row without a note is an orphan
                    flaws.setdefault(note_id, flaw)
        return flaws

    def chunks_without_codes(self) -> int:
        """Chunks that were indexed before there were token codes."""
        return int(self._rows("SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk_id FROM token_codes)")[0][0])

    def vector_file_flaw(self, dim: int) -> str:
        """What is wrong with the vector file; empty where it is sound, or where there is and should be none.

        Raises:
            IndexDamaged: What SQLite knows of it cannot be read.
        """
        path = vector_file(self._index_dir)
        with self._errors():
            record = read_vector_file_record(self._connection)
        last_chunk_id = record.last_chunk_id if record else 0
        dead = set(self._ids("SELECT chunk_id FROM dead_vectors"))
        alive = set(self._ids("SELECT id FROM chunks WHERE id <= ?", last_chunk_id))
        if max(dead, default=0) > last_chunk_id or dead & alive:
            return "chunks count as gone that are not"
        if record is None:
            return "the file is not this index's" if path.exists() else ""
        if not path.exists():
            return "the file is missing"
        if not is_sound(path, record):
            return "the file is not as it was written"
        mapped = map_vectors(path, record, dim)
        if mapped is None:
            return "the file has an unknown layout"
        return "" if set(mapped[0].tolist()) - dead == alive else "the file holds other chunks than the index"

    def sample_chunks(self, count: int) -> list[tuple[str, StoredChunk, bytes]]:
        """Some chunks from all over the index, each with its note's title and its vector as stored."""
        sql = """SELECT title, c.id, note_id, start, end, start_line, end_line, heading, text, vector
                 FROM chunks c JOIN notes ON notes.id = note_id JOIN embeddings ON chunk_id = c.id
                 WHERE c.id % max(1, (SELECT count(*) / ? FROM chunks)) = 0 AND text != '' ORDER BY c.id LIMIT ?"""
        return [(title, StoredChunk(*chunk), vector) for title, *chunk, vector in self._rows(sql, count, count)]

    def _flaws(self, expected: Expected) -> Iterator[tuple[str, list[Any]]]:
        for table, owner in _OWNERS.items():
            yield f"a value in {table} is not of its kind", list(self._wrong_rows(table, owner))
        yield (
            "its chunks are not in order",
            self._ids(
                """SELECT note_id FROM chunks GROUP BY note_id
                   HAVING min(position) != 0 OR max(position) != count(*) - 1 OR count(DISTINCT position) != count(*)"""
            ),
        )
        yield (
            "a chunk has impossible lines",
            self._ids("SELECT note_id FROM chunks WHERE start < 0 OR start_line < 1 OR end_line < start_line"),
        )
        yield "it has no chunks", self._ids("SELECT id FROM notes WHERE id NOT IN (SELECT note_id FROM chunks)")
        yield (
            "a chunk has no vector",
            self._ids("SELECT note_id FROM chunks WHERE id NOT IN (SELECT chunk_id FROM embeddings)"),
        )
        yield (
            "it is not in its folder",
            self._ids(
                """SELECT notes.id FROM notes JOIN folders ON folders.id = folder_id
                   WHERE substr(notes.path, 1, length(rtrim(folders.path, '/')) + 1) != rtrim(folders.path, '/') || '/'
                   """
            ),
        )
        yield "a tag and its key do not agree", list(self._notes_with_wrong_keys())
        if expected.passage_hash:
            yield "a chunk is not as it was encoded", list(self._notes_with_other_text(expected.passage_hash))
        yield "a vector is none", list(self._notes_with_wrong_vectors(expected.dim))
        if expected.code_bytes:
            sql = f"SELECT {_NOTE_OF_CHUNK} FROM token_codes WHERE length(codes) = 0 OR length(codes) % ? != 0"
            yield "token codes have a wrong length", self._ids(sql, expected.code_bytes)

    def _wrong_rows(self, table: str, owner: str) -> Iterator[Any]:
        """Owners of the rows with a value of another type than its column's, or with a text that is not UTF-8."""
        types = {row[1]: row[2].lower() for row in self._rows(f"PRAGMA table_info({table})")}
        wrong = " OR ".join(f"typeof({column}) != '{kind}'" for column, kind in types.items())
        yield from self._ids(f"SELECT {owner} FROM {table} WHERE {wrong}")
        if texts := [f"CAST({column} AS BLOB)" for column, kind in types.items() if kind == "text"]:
            for owner_id, *values in self._each(f"SELECT {owner}, {', '.join(texts)} FROM {table}"):
                if not all(_is_utf8(value) for value in values):
                    yield owner_id

    def _notes_with_wrong_keys(self) -> Iterator[Any]:
        for note_id, tag, key in self._each("SELECT note_id, tag, key FROM tags"):
            if str(tag).casefold() != key:
                yield note_id

    def _notes_with_other_text(self, passage_hash: PassageHash) -> Iterator[Any]:
        sql = """SELECT note_id, title, heading, text, end - start, passage_hash
                 FROM chunks JOIN notes ON notes.id = note_id"""
        for note_id, title, heading, text, length, stored in self._each(sql):
            if len(str(text)) != length or passage_hash(str(title), str(heading), str(text)) != stored:
                yield note_id

    def _notes_with_wrong_vectors(self, dim: int) -> Iterator[Any]:
        row_bytes = len(pack(np.zeros((1, dim), dtype=np.float32))[0])
        with self._errors():
            cursor = self._connection.execute(f"SELECT {_NOTE_OF_CHUNK}, vector FROM embeddings")
            while rows := cursor.fetchmany(_BATCH):
                whole = [row for row in rows if isinstance(row[1], bytes) and len(row[1]) == row_bytes]
                yield from {row[0] for row in rows} - {row[0] for row in whole}
                lengths = np.linalg.norm(unpack([row[1] for row in whole], dim).astype(np.float64), axis=1)
                for row, length in zip(whole, lengths, strict=True):
                    if not abs(length - 1) <= _LENGTH_TOLERANCE:  # not a number is wrong too
                        yield row[0]

    def _ids(self, sql: str, *parameters: Any) -> list[Any]:
        return [row[0] for row in self._rows(sql, *parameters)]

    def _rows(self, sql: str, *parameters: Any) -> list[Any]:
        with self._errors():
            return self._connection.execute(sql, parameters).fetchall()

    def _each(self, sql: str) -> Iterator[Any]:
        with self._errors():
            yield from self._connection.execute(sql)

    def _errors(self) -> Any:
        return translated_errors(database_file(self._index_dir))


def has_tables(index_dir: Path) -> bool:
    """Whether there is anything in a database, whatever it says its version is."""
    uri = f"{database_file(index_dir).absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        try:
            return bool(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
        except (sqlite3.DatabaseError, UnicodeDecodeError):  # the latter where SQLite quotes what is damaged
            return True


def words_are_sound(index_dir: Path) -> bool:
    """Holds the full-text index against the notes; nothing is changed, but SQLite takes it for a change.

    Raises:
        IndexBusy: Another process is writing.
        StoreError: The database may not be written.
    """
    path = database_file(index_dir)
    # Not by open_for_writing, which changes what it finds: modes, schema.
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    try:
        connection.create_function("words", 1, searchable_words, deterministic=True)
        connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
        with translated_errors(path):
            connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO note_words (note_words, rank) VALUES ('integrity-check', 1)")
        return True
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # of many kinds; having begun, we are alone and may write
        return False
    finally:
        connection.close()  # which takes everything back


def _is_utf8(data: Any) -> bool:
    try:
        bytes(data).decode("utf-8")
    except (UnicodeDecodeError, TypeError):
        return False
    return True
