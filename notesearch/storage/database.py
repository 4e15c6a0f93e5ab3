"""Opening `notes.db`, and the lock of its writer; SQLite's errors become notesearch's here."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from notesearch.errors import (
    IndexBusy,
    IndexDamaged,
    IndexMissing,
    NotesearchError,
    OtherIndexVersion,
    StoreError,
    UsageError,
)
from notesearch.files import is_locked, make_private_folder
from notesearch.phrases import holds
from notesearch.storage.full_text import searchable_words
from notesearch.storage.schema import OWN_TABLES, SCHEMA_VERSION, create_schema, schema_version, table_names
from notesearch.words import spelled

if TYPE_CHECKING:
    from filelock import FileLock

_POLL_S = 0.1
_BUSY_TIMEOUT_MS = 10_000
# SQLite's defaults waste a fifth on token codes.
_PAGE_BYTES = 16384
# A larger database is not looked through each time that it is opened for writing: 100 MB take 0.1 s, or 1 s cold.
_MOST_BYTES_CHECKED = 1 << 28
HOW_TO_INDEX = "Index a folder of notes first (with -c or --index-dir as here): notesearch index FOLDER"


def database_file(index_dir: Path) -> Path:
    """The database of an index directory."""
    return index_dir / "notes.db"


def open_for_reading(index_dir: Path) -> sqlite3.Connection:
    """Opens the index for reading only; works on a read-only directory too.

    Raises:
        IndexMissing: Nothing was indexed there.
        OtherIndexVersion: It was made by another version of notesearch.
        StoreError: It cannot be opened.
    """
    path = database_file(index_dir)
    try:
        there = path.exists()
    except OSError as error:
        raise StoreError(
            f"cannot read the index directory {index_dir}: {error.strerror}",
            "Choose another one with --index-dir, or mend its permissions.",
        ) from error
    if not there:
        if index_dir.exists() and not index_dir.is_dir():
            raise StoreError(f"{index_dir} is not a directory", "Choose another one with --index-dir.")
        raise IndexMissing(f"there is no index in {index_dir}", HOW_TO_INDEX)
    with translated_errors(path):
        connection = _connect(path, "mode=ro")
        try:
            version = schema_version(connection)
        except sqlite3.OperationalError:
            # In a directory that may not be written, or on a full disk, SQLite cannot set up the shared memory of a WAL
            # database. Without changes in the log, the database alone is all there is.
            if _has_log(path):
                raise
            connection.close()
            connection = _connect(path, "mode=ro&immutable=1")
            version = schema_version(connection)
        if version != SCHEMA_VERSION:
            if not table_names(connection):
                raise IndexMissing(f"the index in {index_dir} is empty", HOW_TO_INDEX)
            _require_index(connection, path)
            raise other_version(index_dir)
        connection.create_function("spelled", 1, spelled, deterministic=True)
        connection.create_function("holds", 2, holds, deterministic=True)
    return connection


def make_index_dir(index_dir: Path) -> None:
    """Makes the directory of an index, private to its owner, unless it is there.

    Raises:
        StoreError: It cannot be made.
    """
    try:
        if not index_dir.is_dir():
            make_private_folder(index_dir)
    except OSError as error:
        raise _not_writable(index_dir, error) from error


def open_for_writing(path: Path, page_bytes: int = _PAGE_BYTES) -> sqlite3.Connection:
    """Opens a database for writing; creates it, private to its owner, where there is none.

    It may be one of another version; see `has_other_version`.

    Args:
        path: The file.
        page_bytes: Of a database that is created.

    Raises:
        UsageError: It belongs to another program.
        IndexDamaged: It is not sound.
        StoreError: It cannot be created or opened.
    """
    try:
        # SQLite gives the mode of the database to its -wal and -shm files.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.fchmod(descriptor, 0o600)
        os.close(descriptor)
    except OSError as error:
        raise _not_writable(path.parent, error) from error
    with translated_errors(path):
        connection = _connect(path, "mode=rw")
        try:
            is_new = not table_names(connection)
            if not is_new:
                _require_index(connection, path)
            _set_up(connection, page_bytes)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            if path.stat().st_size <= _MOST_BYTES_CHECKED:
                _require_sound(connection, path, "quick_check(1)")
            if is_new:
                create_schema(connection)
        except BaseException:
            connection.close()  # or, closed later, it would take the log of a database that has its place by then
            raise
    return connection


def open_empty() -> sqlite3.Connection:
    """Opens an empty index in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _set_up(connection, _PAGE_BYTES)
    create_schema(connection)
    return connection


def has_other_version(connection: sqlite3.Connection) -> bool:
    """Whether another version of notesearch made a database, so that this one must not read or write its tables."""
    return schema_version(connection) != SCHEMA_VERSION


def other_version(index_dir: Path) -> OtherIndexVersion:
    """The error that says that an index must be made anew."""
    return OtherIndexVersion(
        f"the index in {index_dir} was made by another version of notesearch",
        "Make it anew; what was encoded is kept: notesearch index",
    )


def _require_index(connection: sqlite3.Connection, path: Path) -> None:
    if OWN_TABLES.isdisjoint(table_names(connection)):
        raise UsageError(f"{path} belongs to another program", "Choose another directory with --index-dir.")


def replace_database(path: Path, new: Path) -> None:
    """Puts a database, which nobody has open, in the place of a damaged one; the new one is there whole, or not at all.

    Raises:
        StoreError: It cannot be done.
    """
    if _has_log(new):
        raise StoreError(f"the disk is full: {new} could not be written", "Free some space; what was done is kept.")
    # The log first: SQLite would read it with the new database.
    for suffix in ("-wal", "-shm", "-journal"):
        delete_file(path.with_name(path.name + suffix))
    try:
        new.replace(path)
    except OSError as error:
        raise _not_writable(path.parent, error) from error


def _set_up(connection: sqlite3.Connection, page_bytes: int) -> None:
    connection.create_function("words", 1, searchable_words, deterministic=True)
    # These two take effect on a new database only.
    connection.execute(f"PRAGMA page_size = {page_bytes}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _require_sound(connection: sqlite3.Connection, path: Path, check: str) -> None:
    found = connection.execute(f"PRAGMA {check}").fetchone()[0]
    if found != "ok":
        raise IndexDamaged(f"{path} is damaged: {' '.join(str(found).split())}")


def _not_writable(index_dir: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot write to the index directory {index_dir}: {error.strerror}",
        "Choose another one with --index-dir, or mend its permissions.",
    )


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Turns SQLite's errors about a database file into notesearch's."""
    try:
        yield
    except sqlite3.ProgrammingError as error:
        if "thread" in str(error):
            hint = "Open the index in each thread: open_index takes a millisecond."
            raise UsageError("an index is used in another thread than the one that opened it", hint) from error
        raise  # a mistake of ours, or of a caller who uses a closed index
    except sqlite3.DatabaseError as error:
        raise _translated(path, error) from error
    except UnicodeDecodeError as error:  # in the message that Python makes of a text that is not UTF-8
        raise IndexDamaged(f"{path} is damaged: a text in it is not UTF-8") from error


def blame_damage(path: Path, error: BaseException | None) -> None:
    """Looks whether a database is damaged where a program that used it failed because it met what cannot be.

    SQLite does not notice all damage as it reads; its full check does, and takes a second for 100 MB.

    Raises:
        IndexDamaged: It is damaged.
    """
    if isinstance(error, LookupError | ValueError | TypeError | ArithmeticError | AttributeError):
        try:
            with translated_errors(path), closing(_connect(path, "mode=ro")) as connection:
                _require_sound(connection, path, "integrity_check(1)")
        except IndexDamaged as damage:
            raise damage from error


def delete_file(path: Path) -> None:
    """Deletes a file of an index, if it is there.

    Raises:
        StoreError: It cannot be deleted.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _not_writable(path.parent, error) from error


def _translated(path: Path, error: sqlite3.DatabaseError) -> NotesearchError:
    # Python's own have no code: a text that is not UTF-8.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return IndexDamaged(f"{path} is damaged: {error}")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return IndexBusy(f"another process is writing to {path}", "Try again when it has finished.")
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"the disk is full: {path} could not be written", "Free some space; what was done is kept.")
    return StoreError(f"cannot use {path}: {error}", "Check the directory, or choose another one with --index-dir.")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    return connection


def acquire_lock(
    index_dir: Path,
    wait_s: float = 0.0,
    waiting: Callable[[], None] | None = None,
    *,
    name: str = "writer.lock",
    what: str = "to the index",
) -> FileLock:
    """Takes the lock of the writer of an index: there is one at a time. The system drops it when its holder dies.

    Args:
        index_dir: The directory of the index.
        wait_s: How long to wait for another writer to finish.
        waiting: Called once where there is one to wait for.
        name: Of the lock, for writers of other things.
        what: What they write.

    Raises:
        IndexBusy: Another process has it, and did not let go of it in time.
        StoreError: The index directory may not be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(index_dir / name, mode=0o600)
    try:
        with suppress(Timeout):
            lock.acquire(timeout=0)
            return lock
        if waiting and wait_s:
            waiting()
        lock.acquire(timeout=wait_s, poll_interval=_POLL_S)
    except Timeout as error:
        raise IndexBusy(
            f"another process is writing {what} in {index_dir}",
            "Try again when it has finished, or wait for it: --wait 10m",
        ) from error
    except OSError as error:
        raise _not_writable(index_dir, error) from error
    return lock


def writer_is_at_work(index_dir: Path) -> bool:
    """Says whether a process is writing to an index; needs no right to write there itself."""
    try:
        return is_locked(index_dir / "writer.lock")
    except OSError:
        return False
