"""What an index consists of: what `status` asks of SQLite. Every answer is of one state of the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from notesearch.errors import IndexDamaged, IndexMissing
from notesearch.private import is_locked
from notesearch.storage.database import (
    HOW_TO_INDEX,
    database_file,
    open_for_reading,
    translated_errors,
)
from notesearch.storage.index_reader import read_fingerprint, read_synced

# What holds the text of notes, and what stands beside it, by the part that a person would call it.
_PARTS = {
    "text": "SELECT total(length(CAST(text AS BLOB)) + length(heading)) FROM chunks",
    "words": "SELECT total(length(block)) FROM note_words_data",
    "embeddings": "SELECT total(length(vector)) FROM embeddings",
    "token_codes": "SELECT total(length(codes)) FROM token_codes",
}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What the index knows of the file of a note.

    Attributes:
        path: Absolute path.
        size: Bytes.
        mtime_ns: Time of its last change; negative where the next `index` is to read it in any case.
    """

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class NoteSurvey:
    """What the index holds of a note.

    Attributes:
        file: Its file.
        title: Its title.
        tags: Its tags.
        chunks: How many chunks it is cut into.
        problems: What was wrong with it, yet did not stop the reading, one line each.
    """

    file: StoredFile
    title: str
    tags: tuple[str, ...]
    chunks: int
    problems: tuple[str, ...]


class IndexSurvey:
    """An index opened for a look at what is in it.

    Attributes:
        fingerprint: What its vectors depend on.

    Raises:
        IndexMissing: Nothing was indexed there.
        StoreError: It cannot be opened.
    """

    def __init__(self, index_dir: Path) -> None:
        self._index_dir = index_dir
        self._connection = open_for_reading(index_dir)
        self._rows("BEGIN")
        with self._errors():
            fingerprint = read_fingerprint(self._connection)
        if fingerprint is None:
            raise IndexMissing(f"the index in {index_dir} is empty", HOW_TO_INDEX)
        self.fingerprint = fingerprint

    def close(self) -> None:
        """Closes the database."""
        self._connection.close()

    def synced(self) -> dict[str, datetime]:
        """Maps the paths of folders to when they were last brought in step, UTC; one that never was is missing."""
        with self._errors():
            return read_synced(self._connection)

    def folders(self) -> dict[str, int]:
        """Maps the paths of the folders that the index covers to how many notes it holds of each."""
        sql = """SELECT folders.path, count(notes.id) FROM folders LEFT JOIN notes ON folder_id = folders.id
                 GROUP BY folders.id ORDER BY folders.path"""
        return dict(self._typed(sql, (str, int)))

    def chunks(self) -> int:
        """How many chunks there are."""
        return int(self._rows("SELECT count(*) FROM chunks")[0][0])

    def part_bytes(self) -> dict[str, int]:
        """Bytes by part of the index; `rest` is what SQLite needs beside."""
        database = database_file(self._index_dir)
        parts = {name: int(self._rows(sql)[0][0]) for name, sql in _PARTS.items()}
        whole = sum(_size(database.with_name(database.name + suffix)) for suffix in ("", "-wal"))
        parts["rest"] = max(0, whole - sum(parts.values()))
        return parts

    def files(self) -> list[StoredFile]:
        """The files of all notes."""
        return [StoredFile(*row) for row in self._typed("SELECT path, size, mtime_ns FROM notes", (str, int, int))]

    def skipped(self) -> list[tuple[str, str]]:
        """Paths of what could not be indexed, and why."""
        return self._typed("SELECT path, reason FROM skipped ORDER BY path", (str, str))

    def note(self, path: str) -> NoteSurvey | None:
        """The note at a path; `None` where the index holds none."""
        sql = """SELECT title, problems, path, size, mtime_ns, id,
                        (SELECT count(*) FROM chunks WHERE note_id = notes.id) FROM notes WHERE path = ?"""
        rows = self._typed(sql, (str, str, str, int, int, int, int), path)
        if not rows:
            return None
        title, problems, path, size, mtime_ns, note_id, chunks = rows[0]
        tags = self._typed("SELECT tag FROM tags WHERE note_id = ? ORDER BY position", (str,), note_id)
        return NoteSurvey(
            StoredFile(path, size, mtime_ns), title, tuple(row[0] for row in tags), chunks, tuple(problems.splitlines())
        )

    def _typed(self, sql: str, types: Sequence[type], *parameters: Any) -> list[Any]:
        """Rows whose values are of the types that they should be of: SQLite does not see to that."""
        rows = self._rows(sql, *parameters)
        for row in rows:
            if any(type(value) is not kind for value, kind in zip(row, types, strict=True)):
                raise IndexDamaged(f"{database_file(self._index_dir)} is damaged: a wrong value")
        return rows

    def _rows(self, sql: str, *parameters: Any) -> list[Any]:
        with self._errors():
            return self._connection.execute(sql, parameters).fetchall()

    def _errors(self) -> Any:
        return translated_errors(database_file(self._index_dir))


def writer_is_at_work(index_dir: Path) -> bool:
    """Says whether a process is writing to an index; needs no right to write there itself."""
    try:
        return is_locked(index_dir / "writer.lock")
    except OSError:
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
