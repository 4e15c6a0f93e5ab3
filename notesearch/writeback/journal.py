"""Journals of what a run is about to change in notes: files of JSON, one line for each note.

Each run has one. Its name ends in `.undone` once the run was undone, and what had to be left alone then is in another
file beside it, whose name ends in `.refused`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from notesearch.errors import IndexBusy, StoreError
from notesearch.files import is_locked, make_private_folder, sync, write_whole
from notesearch.writeback.plan import FileEdit

_NAME = re.compile(r"(\d{8}T\d{6}Z)-(\d{3,})\.jsonl(\.undone|\.refused)?")


@dataclass(frozen=True, slots=True)
class Entry:
    """The change to one file.

    Attributes:
        path: Absolute path; bytes that are not UTF-8 are lone surrogates, as `os.fsdecode` makes them.
        edit: What changes.
        before: SHA-256 of the file before it, in hexadecimal.
        after: SHA-256 of the file after it.
        temporary_name: Of the file beside it that is there while it is replaced, and left there if that is killed.
    """

    path: str
    edit: FileEdit
    before: str
    after: str
    temporary_name: str


class JournalWriter:
    """The journal of one run; its file is there as long as it has entries.

    A process that undoes has to wait until the journal is closed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path: Path | None = None
        self._descriptor = -1
        self._entry_start = 0

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._path is None:
            return
        with _translated(self._path):
            if os.fstat(self._descriptor).st_size == 0:
                self._path.unlink()
            os.close(self._descriptor)

    def write(self, entry: Entry) -> None:
        """Write an entry down, so that it outlives a power cut.

        Raises:
            StoreError: It could not be written.
        """
        with _translated(self._path or self._directory):
            if self._path is None:
                self._create()
            self._entry_start = os.fstat(self._descriptor).st_size
            line = _to_line(entry)
            try:
                if os.write(self._descriptor, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(self._descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, self._entry_start)
                raise

    def take_back(self) -> None:
        """Forget the last entry: its file was left alone.

        Raises:
            StoreError: The journal could not be written.
        """
        with _translated(self._path or self._directory):
            os.ftruncate(self._descriptor, self._entry_start)
            os.fsync(self._descriptor)

    def _create(self) -> None:
        if not self._directory.is_dir():
            make_private_folder(self._directory)
        while self._path is None:
            path = self._directory / _next_name(self._directory)
            with suppress(FileExistsError):  # another process took the name
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
                os.fchmod(descriptor, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                # Before it was locked, a process could take it for what a killed run left, and remove it.
                if os.fstat(descriptor).st_nlink:
                    self._path, self._descriptor = path, descriptor
                else:
                    os.close(descriptor)
        sync(self._directory)


def journals(directory: Path) -> list[Path]:
    """The journals of runs that were not undone, and of what could not be undone of others; the newest first.

    Raises:
        StoreError: The directory cannot be read.
    """
    names = {name for name in _names(directory) if not name.endswith(".undone")}
    # Of a process that was killed as it undid the run, which is to be undone still.
    names -= {f"{name}.refused" for name in names}
    return [directory / name for name in sorted(names, reverse=True)]


def is_of_refused(path: Path) -> bool:
    """Whether a journal is of what could not be undone of its run, rather than of a run that was not undone."""
    return path.name.endswith(".refused")


def time_of(path: Path) -> datetime:
    """When the run of a journal began."""
    return datetime.strptime(path.name.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def read_journal(path: Path) -> list[Entry]:
    """The entries of a journal, in order.

    A damaged last line is left out: it was being written when the run was killed, so its note was not changed.

    Raises:
        StoreError: It cannot be read, is damaged, or is being written.
    """
    with _translated(path):
        if is_locked(path):
            raise IndexBusy("another process is writing tags", "Try again when it has finished.")
        return _entries(path, path.read_bytes())


def discard_journal(path: Path) -> None:
    """Remove a journal without entries, which a run left that was killed before it changed a note.

    Raises:
        StoreError: It cannot be removed.
    """
    with _translated(path):
        path.unlink()


def mark_as_undone(path: Path, refused: Sequence[Entry]) -> None:
    """Give the journal of a run the name of one that was undone, and keep what could not be undone for later.

    Raises:
        StoreError: That cannot be done.
    """
    with _translated(path):
        keep_refused(path.with_name(f"{path.name}.refused"), refused)
        path.rename(f"{path}.undone")


def keep_refused(path: Path, refused: Sequence[Entry]) -> None:
    """Write the journal of what could not be undone of a run; without entries, there is none.

    Raises:
        StoreError: It cannot be written.
    """
    with _translated(path):
        if refused:
            write_whole(path, b"".join(map(_to_line, refused)).decode())
        else:
            path.unlink(missing_ok=True)


def _names(directory: Path) -> list[str]:
    with _translated(directory):
        return [path.name for path in directory.iterdir() if _NAME.fullmatch(path.name)] if directory.is_dir() else []


def _next_name(directory: Path) -> str:
    """A name that sorts behind all that are there, also where the clock was set back."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    taken = [match.groups() for name in _names(directory) if (match := _NAME.fullmatch(name))]
    stamp = max([now, *(stamp for stamp, _, _ in taken)])
    number = 1 + max((int(number) for other, number, _ in taken if other == stamp), default=0)
    return f"{stamp}-{number:03}.jsonl"


def _to_line(entry: Entry) -> bytes:
    fields = {
        "path": entry.path,  # as ASCII, in which JSON escapes lone surrogates
        "start": entry.edit.start,
        "removed": b64encode(entry.edit.removed).decode(),
        "inserted": b64encode(entry.edit.inserted).decode(),
        "before": entry.before,
        "after": entry.after,
        "temporary": entry.temporary_name,
    }
    return json.dumps(fields).encode() + b"\n"


def _entries(path: Path, content: bytes) -> list[Entry]:
    entries = []
    lines = content.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            entries.append(_from_line(line))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            if number < len(lines):
                hint = "No note was touched. Delete that file to go on to the run before it."
                raise StoreError(f"{path} is damaged in line {number}", hint) from error
    return entries


def _from_line(line: bytes) -> Entry:
    fields = json.loads(line)
    removed, inserted = (b64decode(fields[name], validate=True) for name in ("removed", "inserted"))
    path, before, after, temporary = (str(fields[name]) for name in ("path", "before", "after", "temporary"))
    return Entry(path, FileEdit(int(fields["start"]), removed, inserted), before, after, temporary)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turns what the system says about a journal into notesearch's error."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StoreError(f"cannot use {path}: {reason}", "Check its permissions and the space on the disk.") from error
