"""What an index knows of files, so that those that have not changed need not be read again."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from notesearch.files import Stamp
from notesearch.records import Skipped
from notesearch.storage.rows import SkippedFile

KNOWN_COLUMNS = "id, content_hash, reader, heading_key, size, mtime_ns, ctime_ns, inode"

# The notes with a heading that is not there once in their folder though it names them, or the other way round.
_WRONGLY_TITLED = f"""
    WITH headings AS (
        SELECT folder_id, heading_key, count(*) = 1 AS is_unique FROM notes WHERE heading_key != ''
        GROUP BY folder_id, heading_key HAVING sum(title_source = 'heading') != (count(*) = 1)
    )
    SELECT folder_id, path, is_unique, {KNOWN_COLUMNS} FROM notes JOIN headings USING (folder_id, heading_key)
    WHERE (title_source = 'heading') != is_unique ORDER BY path"""


@dataclass(frozen=True, slots=True)
class KnownNote:
    """What tells whether a note has changed since it was indexed.

    Attributes:
        id: Of the note.
        stamp: Of its file.
        content_hash: Of its file.
        reader: The version of the code that read it.
        heading_key: Of the heading that names it, or would; see `Note.naming_heading`.
    """

    id: int
    stamp: Stamp
    content_hash: bytes
    reader: int
    heading_key: str

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Self:
        """Makes one of a row of `KNOWN_COLUMNS`."""
        id, content_hash, reader, heading_key, *stamp = row
        return cls(int(id), Stamp(*stamp), bytes(content_hash), int(reader), str(heading_key))


class WronglyTitled(NamedTuple):
    """A note that is named by its file and not by its heading, as it should be, or the other way round.

    Attributes:
        folder_id: The folder of the index that it is in.
        path: Absolute path.
        by_heading: Whether its heading is to name it, since no other note of the folder has it.
        known: What tells whether it has changed.
    """

    folder_id: int
    path: str
    by_heading: bool
    known: KnownNote


def read_known_notes(connection: sqlite3.Connection, folder_id: int) -> dict[str, KnownNote]:
    """Maps the paths of a folder's notes to what tells whether they have changed."""
    rows = connection.execute(f"SELECT path, {KNOWN_COLUMNS} FROM notes WHERE folder_id = ?", [folder_id])
    return {path: KnownNote.of_row(row) for path, *row in rows}


def read_wrongly_titled(connection: sqlite3.Connection) -> list[WronglyTitled]:
    """The notes whose titles are not what the other notes of their folder make them, by path."""
    rows = connection.execute(_WRONGLY_TITLED)
    return [
        WronglyTitled(folder_id, path, bool(is_unique), KnownNote.of_row(row))
        for folder_id, path, is_unique, *row in rows
    ]


def read_unreadable_files(connection: sqlite3.Connection, folder_id: int) -> dict[str, SkippedFile]:
    """Maps the paths of a folder's files that are not worth another try to what tells whether they have changed."""
    columns = "path, reason, by_rule, reader, size, mtime_ns, ctime_ns, inode"
    sql = f"SELECT {columns} FROM skipped WHERE folder_id = ? AND size >= 0"
    return {
        path: SkippedFile(Skipped(path, reason, by_rule=bool(by_rule)), Stamp(*stamp), reader)
        for path, reason, by_rule, reader, *stamp in connection.execute(sql, [folder_id])
    }
