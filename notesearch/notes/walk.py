"""Walk a folder for notes."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from notesearch.errors import FolderUnreadable
from notesearch.file_kinds import MOST_DOCUMENT_BYTES, NOTE_SUFFIXES, READ_SUFFIXES, has_reader, is_document, kind_of
from notesearch.files import Stamp
from notesearch.notes.ignore import BRING_RULES, IgnoreRules
from notesearch.records import Skipped

# What browsers put beside a web page that they save: `Page.html`, and its pictures and frames in `Page_files`.
_PARTS_OF_PAGE = "_files"


@dataclass(frozen=True, slots=True)
class NoteFile:
    """A file that may be read as a note.

    Attributes:
        path: Absolute path.
        stamp: What tells whether it changes.
    """

    path: Path
    stamp: Stamp


def find_notes(
    root: Path,
    *,
    max_bytes: int,
    follow_symlinks: bool = False,
    within: Path | None = None,
    left_out: Path | None = None,
) -> Walk:
    """Find the notes below a folder, in an order that depends on the names alone.

    Hidden files, files with another suffix, and what a `.gitignore` or `.notesearchignore` excludes are left out
    silently; so are documents (PDF, say) that nothing is installed to read, and those that a browser saved as parts of
    a page. Symlinks are looked at last; one is followed if it stays within the folder and leads to something not found
    yet.

    Args:
        root: The folder.
        max_bytes: Size above which a note is skipped; see `most_bytes`.
        follow_symlinks: Also follow symlinks that lead out of the folder.
        within: A folder above that was indexed before; if its ignore files leave this one out, there are no notes.
        left_out: A folder below that holds no notes, whatever it holds.

    Returns:
        The notes, and the files and folders that were skipped, with the reason.

    Raises:
        FolderUnreadable: The folder is missing, is no folder, or may not be read.
    """
    folder = os.path.abspath(root)  # noqa: PTH100 - Path.absolute keeps `..`
    shown = _shown(folder)
    if shown != folder:
        raise FolderUnreadable(f"the name of {shown} is not valid UTF-8", "Rename the folder.")
    try:
        os.scandir(folder).close()
    except FileNotFoundError as error:
        raise FolderUnreadable(f"no such folder: {shown}", "Check the path for typing errors.") from error
    except NotADirectoryError as error:
        raise FolderUnreadable(f"not a folder: {shown}", "Give the folder that holds your notes.") from error
    except PermissionError as error:
        raise FolderUnreadable(f"may not read {shown}", "Check the folder's permissions.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise FolderUnreadable(f"cannot read {shown}: {error}", "Check the path.") from error
    rules = IgnoreRules.above(Path(folder), within)
    return Walk(folder, rules, max_bytes, follow_symlinks, left_out)


def most_bytes(path: str | Path, max_bytes: int) -> int:
    """The size above which a file is not read: documents may be larger than text, since little of them is text."""
    return max(max_bytes, MOST_DOCUMENT_BYTES) if is_document(path) else max_bytes


class Walk(Iterator[NoteFile | Skipped]):
    """One walk through a folder; see `find_notes`.

    Attributes:
        not_read: How many documents of each kind were met so far that nothing is installed to read.
    """

    # Paths are plain strings here, since this runs for each file on every `index`.

    def __init__(
        self,
        root: str,
        rules: IgnoreRules | Literal[False] | None,
        max_bytes: int,
        follow_symlinks: bool,
        left_out: Path | None,
    ) -> None:
        self.not_read: Counter[str] = Counter()
        self._real_root = os.path.realpath(root)
        self._max_bytes = max_bytes
        self._follow_symlinks = follow_symlinks
        self._left_out = os.fspath(left_out) if left_out else None
        self._folders: list[tuple[str, IgnoreRules | None]] = [] if rules is False else [(root, rules)]
        self._links: deque[tuple[str, IgnoreRules | None]] = deque()
        self._seen: set[tuple[int, int]] = set()
        self._found = self._run()

    def __next__(self) -> NoteFile | Skipped:
        return next(self._found)

    def _run(self) -> Iterator[NoteFile | Skipped]:
        while self._folders or self._links:
            if self._folders:
                yield from self._visit_folder(*self._folders.pop())
            else:
                yield from self._visit_link(*self._links.popleft())

    def _visit_folder(self, folder: str, rules: IgnoreRules | None) -> Iterator[NoteFile | Skipped]:
        try:
            status = os.stat(folder)  # noqa: PTH116
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            yield from _unreachable(folder, error)
            return
        self._seen.add((status.st_dev, status.st_ino))
        if any(entry.name in BRING_RULES for entry in entries):
            rules, problems = IgnoreRules.read(folder, rules)
            yield from problems
        suffixes = NOTE_SUFFIXES if holds_parts_of_page(folder) else READ_SUFFIXES
        subfolders = []
        for entry in entries:
            name = entry.name
            is_note = name.lower().endswith(suffixes)
            is_link = entry.is_symlink()
            is_folder = not is_link and entry.is_dir(follow_symlinks=False)
            if name.startswith(".") or not (is_note or is_link or is_folder):
                continue
            if entry.path == self._left_out or (rules is not None and rules.excludes(entry.path, is_folder)):
                continue
            if not name.isascii() and _shown(name) != name:
                yield Skipped(_shown(entry.path), "name is not valid UTF-8")
            elif is_folder:
                subfolders.append((entry.path, rules))
            elif is_link:
                self._links.append((entry.path, rules))
            else:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError as error:
                    yield from _unreachable(entry.path, error)
                else:
                    yield from self._visit_file(entry.path, status)
        self._folders.extend(reversed(subfolders))

    def _visit_file(self, path: str, status: os.stat_result) -> Iterator[NoteFile | Skipped]:
        self._seen.add((status.st_dev, status.st_ino))
        limit = most_bytes(path, self._max_bytes)
        if is_document(path) and not has_reader(path):
            self.not_read[kind_of(path)] += 1
        elif not stat.S_ISREG(status.st_mode):
            yield Skipped(path, "special file", by_rule=True)
        elif status.st_size > limit:
            yield Skipped(path, f"too large ({status.st_size:,} bytes, the limit is {limit:,})", by_rule=True)
        elif not os.access(path, os.R_OK):
            yield Skipped(path, "permission denied", for_now=True)
        else:
            yield NoteFile(Path(path), Stamp.of(status))

    def _visit_link(self, path: str, rules: IgnoreRules | None) -> Iterator[NoteFile | Skipped]:
        is_note = path.lower().endswith(READ_SUFFIXES)
        try:
            status = os.stat(path)  # noqa: PTH116
        except FileNotFoundError:
            if is_note:
                yield Skipped(path, "broken symlink", by_rule=True)
            return
        except OSError as error:
            if is_note:
                yield from _unreachable(path, error)
            return
        is_folder = stat.S_ISDIR(status.st_mode)
        if not (is_folder or is_note):
            return
        target = os.path.realpath(path)
        if not self._follow_symlinks and not _is_within(target, self._real_root):
            yield Skipped(path, "symlink out of the folder", by_rule=True)
        elif (status.st_dev, status.st_ino) in self._seen:
            loops = is_folder and _is_within(os.path.realpath(os.path.dirname(path)), target)  # noqa: PTH120
            yield Skipped(path, "symlink loop" if loops else "symlink to something already found", by_rule=True)
        elif is_folder:
            self._folders.append((path, rules))
        else:
            yield from self._visit_file(path, status)


def holds_parts_of_page(folder: str) -> bool:
    """Whether a folder is what a browser has saved beside a web page."""
    page = folder.removesuffix(_PARTS_OF_PAGE)
    return page != folder and any(os.path.isfile(page + suffix) for suffix in (".html", ".htm"))  # noqa: PTH113


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _unreachable(path: str, error: OSError) -> Iterator[Skipped]:
    if isinstance(error, PermissionError):
        yield Skipped(path, "permission denied", for_now=True)
    elif isinstance(error, FileNotFoundError):
        return  # deleted since the folder was listed
    elif error.errno == errno.ELOOP:
        yield Skipped(path, "symlink loop", by_rule=True)
    else:
        yield Skipped(path, (error.strerror or "cannot be read").lower(), for_now=True)


def _shown(path: str) -> str:
    """A path as text that can be stored and printed."""
    return os.fsencode(path).decode("utf-8", "replace")
