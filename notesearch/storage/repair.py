"""Putting `notes.db` right where that can be done, and saving what can be read of one where it cannot."""

from __future__ import annotations

import mmap
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

from notesearch.errors import IndexDamaged
from notesearch.storage.database import database_file, open_for_writing, translated_errors
from notesearch.storage.index_reader import read_fingerprint
from notesearch.storage.reader import Fingerprint
from notesearch.storage.vectors import vector_file

# A note's path as it stands in a page, whatever stands around it.
_NOTE_PATH = re.compile(rb"/[^\x00-\x1f]{1,300}?\.(?:md|markdown|txt|org|rst|pdf|docx|html?|epub)", re.IGNORECASE)

# What reading damaged pages raises; the second where SQLite quotes them in its message.
_UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True)
class Salvage:
    """What could still be read of a damaged database.

    Attributes:
        folders: The folders that the index covered.
        notes: Where no folder could be read: notes that it seems to have held.
        fingerprint: What its vectors depended on.
    """

    folders: tuple[Path, ...]
    notes: tuple[Path, ...]
    fingerprint: Fingerprint | None


def remove_rows(index_dir: Path, note_ids: Iterable[int]) -> None:
    """Takes notes out of the database with all that belongs to them, and whatever belongs to nothing.

    The vector file is no longer known then; whoever writes next makes it anew.

    Raises:
        StoreError: The database cannot be written.
    """
    path = database_file(index_dir)
    with closing(open_for_writing(path)) as connection, translated_errors(path):
        connection.execute("PRAGMA foreign_keys = OFF")  # they do not hold until all is done
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            connection.executemany("DELETE FROM notes WHERE id = ?", [[note_id] for note_id in note_ids])
            for table in ("notes", "skipped"):
                connection.execute(f"DELETE FROM {table} WHERE folder_id NOT IN (SELECT id FROM folders)")
            for table in ("tags", "links", "names", "chunks"):
                connection.execute(f"DELETE FROM {table} WHERE note_id NOT IN (SELECT id FROM notes)")
            for table in ("embeddings", "token_codes"):
                connection.execute(f"DELETE FROM {table} WHERE chunk_id NOT IN (SELECT id FROM chunks)")
            _forget_vector_file(connection)
            # Words are taken out by computing them again, for which it is too late.
            connection.execute("INSERT INTO note_words (note_words) VALUES ('rebuild')")


def forget_vector_file(index_dir: Path) -> None:
    """Removes the vector file, and what the database knows of it; whoever writes next makes it anew.

    Raises:
        StoreError: The database cannot be written.
        OSError: The file cannot be removed.
    """
    path = database_file(index_dir)
    with closing(open_for_writing(path)) as connection, translated_errors(path):
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            _forget_vector_file(connection)
    vector_file(index_dir).unlink(missing_ok=True)


def _forget_vector_file(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM dead_vectors")
    connection.execute("DELETE FROM meta WHERE key = 'vector_file'")


def rebuild_words(index_dir: Path) -> None:
    """Makes the full-text index anew from the notes.

    Raises:
        StoreError: The database cannot be written.
    """
    path = database_file(index_dir)
    with closing(open_for_writing(path)) as connection, translated_errors(path):
        connection.execute("INSERT INTO note_words (note_words) VALUES ('rebuild')")


def salvage(index_dir: Path) -> Salvage:
    """Reads what can be read of a damaged database; changes nothing."""
    path = database_file(index_dir)
    folders: dict[Path, None] = {}
    fingerprint = None
    # With its log and without: either may be damaged.
    for options in ("mode=ro", "mode=ro&immutable=1"):
        with suppress(*_UNREADABLE), closing(_connect(path, options)) as connection:
            folders |= dict.fromkeys(_folders(connection))
            fingerprint = fingerprint or _fingerprint(connection)
    notes = () if folders else tuple(dict.fromkeys(_notes_in(path)))
    return Salvage(tuple(folders), notes, fingerprint)


def _connect(path: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, isolation_level=None)
    connection.text_factory = bytes
    return connection


def _folders(connection: sqlite3.Connection) -> Iterator[Path]:
    """Reads the folders twice: their paths stand in the table and in its index. One may be damaged."""
    for place in ("NOT INDEXED", "INDEXED BY sqlite_autoindex_folders_1"):
        with suppress(*_UNREADABLE):
            for (path,) in connection.execute(f"SELECT path FROM folders {place}"):
                if isinstance(path, bytes) and path.startswith(b"/") and b"\0" not in path:
                    yield Path(os.fsdecode(path))


def _fingerprint(connection: sqlite3.Connection) -> Fingerprint | None:
    with suppress(*_UNREADABLE, IndexDamaged):
        return read_fingerprint(connection)
    return None


def _notes_in(path: Path) -> Iterator[Path]:
    """Looks through the bytes of a file for paths of notes that are there."""
    with ExitStack() as stack:
        stack.enter_context(suppress(OSError, ValueError))  # ValueError: it is empty
        file = stack.enter_context(path.open("rb"))
        data = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        for found in {match.group() for match in _NOTE_PATH.finditer(data)}:
            if os.path.isfile(found):  # noqa: PTH113 - bytes
                yield Path(os.fsdecode(found))
