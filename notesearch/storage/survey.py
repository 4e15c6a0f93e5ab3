"""What an index holds: what `status` asks of SQLite. Every answer is of one state of the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notesearch.errors import IndexDamaged
from notesearch.files import Stamp
from notesearch.storage.database import database_file
from notesearch.storage.index_reader import IndexReader
from notesearch.storage.vectors import vector_file

# Where the parts of an index, by the names that a person would give them, are stored.
_PARTS = {
    "text": "SELECT total(length(CAST(text AS BLOB)) + length(heading)) FROM chunks",
    "words": "SELECT total(length(block)) FROM note_words_data",
    "embeddings": "SELECT total(length(vector)) FROM embeddings",
    "token_codes": "SELECT total(length(codes)) FROM token_codes",
}
_FILE_COLUMNS, _FILE_TYPES = "path, content_hash, size, mtime_ns, ctime_ns, inode", (str, bytes, int, int, int, int)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What the index knows of the file of a note.

    Attributes:
        path: Absolute path.
        stamp: As it was indexed.
        content_hash: BLAKE2b-128 of it as it was indexed.
    """

    path: str
    stamp: Stamp
    content_hash: bytes


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


class IndexSurvey(IndexReader):
    """An index opened for a look at what it holds."""

    def notes_by_folder(self) -> dict[str, int]:
        """Maps the paths of the folders that the index covers to how many notes it holds of each."""
        sql = """SELECT folders.path, count(notes.id) FROM folders LEFT JOIN notes ON folder_id = folders.id
                 GROUP BY folders.id ORDER BY folders.path"""
        return dict(self._typed(sql, (str, int)))

    def count_chunks(self) -> int:
        """Chunks in the index."""
        return int(self._query("SELECT count(*) FROM chunks")[0][0])

    def part_bytes(self) -> dict[str, int]:
        """Bytes by part of the index; `rest` is what SQLite needs beside."""
        parts = {name: int(self._query(sql)[0][0]) for name, sql in _PARTS.items()}
        database = database_file(self._index_dir)
        whole = sum(_size(database.with_name(database.name + suffix)) for suffix in ("", "-wal"))
        parts["rest"] = max(0, whole - sum(parts.values()))
        return parts | {"vector_file": _size(vector_file(self._index_dir))}

    def files(self) -> list[StoredFile]:
        """The files of all notes."""
        rows = self._typed(f"SELECT {_FILE_COLUMNS} FROM notes", _FILE_TYPES)
        return [StoredFile(path, Stamp(*stamp), content_hash) for path, content_hash, *stamp in rows]

    def skipped(self) -> list[tuple[str, str]]:
        """Paths of what could not be indexed, and why."""
        return self._typed("SELECT path, reason FROM skipped ORDER BY path", (str, str))

    def note(self, path: str) -> NoteSurvey | None:
        """The note at a path; `None` where the index holds none."""
        sql = f"""SELECT title, problems, id, (SELECT count(*) FROM chunks WHERE note_id = notes.id), {_FILE_COLUMNS}
                  FROM notes WHERE path = ?"""
        rows = self._typed(sql, (str, str, int, int, *_FILE_TYPES), [path])
        if not rows:
            return None
        title, problems, note_id, chunks, path, content_hash, *stamp = rows[0]
        file, tags = StoredFile(path, Stamp(*stamp), content_hash), self.notes([note_id])[note_id].tags
        return NoteSurvey(file, title, tags, chunks, tuple(problems.splitlines()))

    def _typed(self, sql: str, types: Sequence[type], parameters: Sequence[Any] = ()) -> list[Any]:
        """Rows whose values are of the types that they should be of: SQLite does not see to that."""
        rows = self._query(sql, parameters)
        for row in rows:
            if any(type(value) is not kind for value, kind in zip(row, types, strict=True)):
                raise IndexDamaged(f"{database_file(self._index_dir)} is damaged: a wrong value")
        return rows


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
