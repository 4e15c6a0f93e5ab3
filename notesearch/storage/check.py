"""Whether `notes.db` and `vectors.hnsw` hold together: what `doctor` asks of SQLite."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from notesearch.storage.database import database_file, open_empty, translated_errors
from notesearch.storage.full_text import searchable_words
from notesearch.storage.index_reader import IndexReader
from notesearch.storage.vectors import is_sound, unpack, vector_file
from notesearch.words import passage_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

# How long to wait for another process to finish a batch.
_PATIENCE_MS = 2_000
_LENGTH_TOLERANCE = 0.05  # rounding changes the length of a vector, which is 1, by much less
_TYPES = {"INTEGER": int, "TEXT": str, "BLOB": bytes, "REAL": float}
_TABLES = ("meta", "folders", "notes", "tags", "links", "names", "properties", "chunks", "dead_vectors", "skipped")
# Tables, indexes and views; without what SQLite and FTS5 make on their own, and may word as they like.
_DESCRIPTIONS = """SELECT name, sql FROM sqlite_schema
                   WHERE sql NOT NULL AND (name NOT GLOB 'note_words_*' OR name = 'note_words_source')"""
# What there must be none of, and where to look for it.
_FAULTS = {
    "notes without chunks": "notes WHERE id NOT IN (SELECT note_id FROM chunks)",
    "chunks without a vector": "chunks WHERE id NOT IN (SELECT chunk_id FROM embeddings)",
    "chunks without token codes": "chunks WHERE id NOT IN (SELECT chunk_id FROM token_codes)",
    "chunks on impossible lines": "chunks WHERE start_line < 1 OR end_line < start_line",
    "chunks that count as removed": "dead_vectors WHERE chunk_id IN (SELECT id FROM chunks)",
    "token codes that are none": "token_codes WHERE typeof(codes) != 'blob' OR length(codes) = 0",
    "rows that belong to nothing": "pragma_foreign_key_check",
}


class IndexCheck(IndexReader):
    """An index opened to be looked through from end to end."""

    def damage(self) -> str:
        """What is first found wrong with the file: how its tables are described, its pages; empty where all is well."""
        with closing(open_empty()) as fresh:
            missing = {*fresh.execute(_DESCRIPTIONS)} - {*self._query(_DESCRIPTIONS)}
        if missing:
            return f"notes.db is damaged: {min(missing)[0]} is not described as it should be"
        if self._query("PRAGMA freelist_count") > self._query("PRAGMA page_count"):  # integrity_check passes this over
            return "notes.db is damaged: it counts more empty pages than it has pages"
        found = " ".join(str(self._query("PRAGMA integrity_check(1)")[0][0]).split())
        return "" if found == "ok" else f"notes.db is damaged: {found}"

    def faults(self) -> list[str]:
        """What does not fit together in the tables, or is not of its type.

        Raises:
            IndexDamaged: A text is not UTF-8, a vector has another length than the others, or a record cannot be read.
        """
        self.synced()  # raises where it cannot be read
        counts = {fault: self._query(f"SELECT count(*) FROM {rows}")[0][0] for fault, rows in _FAULTS.items()}
        for table in _TABLES:
            columns = self._query(f"PRAGMA table_info({table})")
            kinds = [(_TYPES[kind], _TYPES[kind] if required else type(None)) for _, _, kind, required, *_ in columns]
            with self._errors():
                rows = self._connection.execute(f"SELECT * FROM {table}")
                counts[f"rows of {table} with a value of another type"] = sum(
                    any(type(value) not in own for value, own in zip(row, kinds, strict=True)) for row in rows
                )
        lengths = np.linalg.norm(self._stored_vectors(0)[1].astype(np.float64), axis=1)
        # Not a number is wrong too.
        counts["vectors that no model made"] = np.count_nonzero(~(np.abs(lengths - 1) <= _LENGTH_TOLERANCE))
        return [f"{count:,} {fault}" for fault, count in counts.items() if count]

    def vector_file_fault(self) -> str:
        """What is wrong with the vector file, by its checksum; empty where it is sound or there are no vectors."""
        path, record = vector_file(self._index_dir), self._vector_file_record()
        if record and path.exists():
            return "" if is_sound(path, record) else "vectors.hnsw is not as it was written; searches do without it"
        return (
            "vectors.hnsw is missing; searches do without it"
            if record or self._query("SELECT 1 FROM chunks LIMIT 1")
            else ""
        )

    def sample_passages(self, count: int) -> tuple[list[str], NDArray[np.float32]]:
        """Some passages from all over the index, with their vectors: float32 `(n, dim)`, n ≤ count."""
        sql = """SELECT title, heading, text, vector
                 FROM chunks c JOIN notes ON notes.id = note_id JOIN embeddings ON chunk_id = c.id
                 WHERE c.id % max(1, (SELECT count(*) / ? FROM chunks)) = 0 AND text != '' ORDER BY c.id LIMIT ?"""
        rows = self._query(sql, (count, count))
        return [passage_text(*row[:3]) for row in rows], unpack([row[3] for row in rows], self.fingerprint.dim)


def full_text_fits(index_dir: Path) -> bool:
    """Holds the full-text index against the notes; nothing is changed, but SQLite takes it for a change.

    Raises:
        IndexBusy: Another process is writing.
        StoreError: The database may not be written.
    """
    path = database_file(index_dir)
    # Not by open_for_writing, which changes the mode of the file.
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
