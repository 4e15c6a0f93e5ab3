"""notesearch as a library: what an index holds, how old that is, and why a note is not found."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal

from notesearch.errors import FolderUnreadable, NoteUnreadable, StoreError, UsageError
from notesearch.file_kinds import (
    DOCUMENT_SUFFIXES,
    HOW_TO_READ,
    NOTE_SUFFIXES,
    READ_SUFFIXES,
    has_reader,
    is_document,
    kind_of,
)
from notesearch.files import Stamp
from notesearch.notes import NoteFile, find_notes, is_unchanged, most_bytes, read_bytes
from notesearch.notes.data import find_data
from notesearch.notes.ignore import IgnoreRules
from notesearch.notes.read import decode
from notesearch.notes.structure import LineTable
from notesearch.notes.walk import holds_parts_of_page
from notesearch.records import Skipped
from notesearch.settings import Settings
from notesearch.storage import Fingerprint, Unfinished
from notesearch.storage.database import writer_is_at_work
from notesearch.storage.survey import IndexSurvey, NoteSurvey, StoredFile

State = Literal["indexed", "changed", "gone", "missing", "outside", "hidden", "no note", "ignored", "skipped", "new"]

_AGAIN = "Bring the index in step: notesearch index"


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """A folder that an index covers.

    Attributes:
        path: Absolute path.
        notes: Notes that the index holds of it.
        synced: When it was last brought in step; `None` for never, as far as is known.
        reachable: Whether it can be read, and is not empty where notes are known.
        changed: Files that have changed since they were indexed.
        new: Files that are not in the index yet.
        gone: Notes of the index that are no longer there.
    """

    path: str
    notes: int
    synced: datetime | None
    reachable: bool
    changed: int = 0
    new: int = 0
    gone: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """What an index holds.

    Attributes:
        index_dir: Its directory.
        fingerprint: What its vectors depend on.
        folders: The folders that it covers.
        notes: Notes in it.
        chunks: Chunks in it.
        part_bytes: Bytes by part: `text`, `words`, `embeddings`, `token_codes`, `vector_file` and `rest`.
        skipped: What could not be indexed, and why.
        writing: Whether a process is writing to it now.
        unfinished: How far its first run is, where that is not finished.
    """

    index_dir: Path
    fingerprint: Fingerprint
    folders: tuple[FolderStatus, ...]
    notes: int
    chunks: int
    part_bytes: dict[str, int]
    skipped: tuple[Skipped, ...]
    writing: bool
    unfinished: Unfinished | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Data in a note, of which nothing is in the index.

    Attributes:
        what: What it is: `an image`, `a drawing`, `a file` or `a code`.
        line: The line that it begins on.
        bytes: How large it is.
    """

    what: str
    line: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What an index knows of a file.

    Attributes:
        path: Absolute path.
        state: `indexed`, or what keeps it from being found as it is now.
        message: The same in a line.
        hint: What to do; empty where there is nothing to do.
        note: What the index holds of it, if anything.
        data: What of the file is data, and therefore not in the index; of a note that is there as it is.
    """

    path: str
    state: State
    message: str
    hint: str = ""
    note: NoteSurvey | None = None
    data: tuple[LeftOut, ...] = ()


def take_stock(settings: Settings) -> Status:
    """Says what an index holds, and what of that is out of date; a file is read only where its stamp has changed.

    Raises:
        IndexMissing: Nothing has been indexed.
        StoreError: The index cannot be read.
    """
    with IndexSurvey(settings.index_dir) as index:
        files, skipped = index.files(), index.skipped()
        left_out = {path for path, _ in skipped}
        return Status(
            index_dir=settings.index_dir,
            fingerprint=index.fingerprint,
            folders=tuple(_with_changes(settings, folder, files, left_out) for folder in _folders(index)),
            notes=len(files),
            chunks=index.count_chunks(),
            part_bytes=index.part_bytes(),
            skipped=tuple(Skipped(path, reason) for path, reason in skipped),
            writing=writer_is_at_work(settings.index_dir),
            unfinished=next(iter(index.unfinished()), None),
        )


def unfinished(settings: Settings) -> Unfinished | None:
    """Says how far the first run of an index is; `None` where it is finished, or there is no index to be read."""
    with suppress(StoreError), IndexSurvey(settings.index_dir) as index:
        return next(iter(index.unfinished()), None)
    return None


def find_stale(settings: Settings, age: timedelta) -> list[FolderStatus]:
    """Finds the folders that were not brought in step within a time, or cannot be reached now.

    What has changed in them is not looked for.

    Raises:
        IndexMissing: Nothing has been indexed.
        StoreError: The index cannot be read.
    """
    with IndexSurvey(settings.index_dir) as index:
        folders = _folders(index)
    oldest = datetime.now(UTC) - age
    return [folder for folder in folders if not folder.reachable or folder.synced is None or folder.synced < oldest]


def _folders(index: IndexSurvey) -> list[FolderStatus]:
    synced = index.synced()
    return [
        FolderStatus(path, notes, synced.get(path), _is_reachable(path, notes))
        for path, notes in index.notes_by_folder().items()
    ]


def _with_changes(
    settings: Settings, folder: FolderStatus, files: Sequence[StoredFile], left_out: set[str]
) -> FolderStatus:
    """A folder with what has changed in it since it was indexed."""
    if not folder.reachable:
        return folder
    known = {file.path: file for file in files if _is_below(file.path, folder.path)}
    try:
        walk = find_notes(
            Path(folder.path), max_bytes=settings.max_file_bytes, follow_symlinks=settings.follow_symlinks
        )
    except FolderUnreadable:  # gone a moment ago
        return replace(folder, reachable=False)
    changed = new = 0
    unreadable = []
    for entry in walk:
        if isinstance(entry, NoteFile):
            file = known.pop(str(entry.path), None)
            changed += file is not None and _has_changed(entry, file)
            new += file is None and str(entry.path) not in left_out
        elif entry.for_now:
            unreadable.append(entry.path)
    gone = sum(not any(path == other or _is_below(path, other) for other in unreadable) for path in known)
    return replace(folder, changed=changed, new=new, gone=gone)


def _is_reachable(folder: str, notes: int) -> bool:
    """Whether a folder can be read; one that has lost everything is more likely a disk that is not mounted."""
    try:
        with os.scandir(folder) as entries:
            return notes == 0 or next(entries, None) is not None
    except OSError:
        return False


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def why(settings: Settings, path: Path) -> Answer:
    """Says what an index knows of a file, and why no more.

    Raises:
        UsageError: It is a folder.
        IndexMissing: Nothing has been indexed.
        StoreError: The index cannot be read.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "Name a note in it.")
    with IndexSurvey(settings.index_dir) as index:
        folders = [Path(folder) for folder in index.folders()]
        spellings = _spellings(path)
        for spelling in spellings:
            # A name that is not UTF-8 is in no index, and SQLite takes none.
            if note := index.note(str(spelling).encode("utf-8", "replace").decode("utf-8")):
                return _answer_of_note(spelling, note)
        skipped = dict(index.skipped())
    if not os.path.lexists(path):
        return Answer(str(path), "missing", "there is no such file, and the index knows of none")
    for spelling in spellings:
        for folder in folders:
            if spelling.is_relative_to(folder):
                return _answer_of_file(settings, spelling, folder, skipped)
    covered = ", ".join(map(str, folders)) or "none"
    hint = f"Add its folder: notesearch index {shlex.quote(str(path.parent))}"
    return Answer(str(path), "outside", f"it is in none of the folders of the index ({covered})", hint)


def _spellings(path: Path) -> Sequence[Path]:
    """A path as an index may know it: folders are stored without symlinks on the way to them."""
    given = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps `..`
    return [given, Path(os.path.realpath(given.parent), given.name), Path(os.path.realpath(given))]


def _answer_of_note(path: Path, note: NoteSurvey) -> Answer:
    try:
        status = path.stat()
    except OSError:
        return Answer(str(path), "gone", "it is in the index, but the file cannot be found any more", _AGAIN, note)
    if _has_changed(NoteFile(path, Stamp.of(status)), note.file):
        return Answer(str(path), "changed", "it is in the index as it was before its last change", _AGAIN, note)
    return Answer(str(path), "indexed", "it is in the index as it is", "", note, _data_of(path))


def _data_of(path: Path) -> tuple[LeftOut, ...]:
    """The data in a note; in documents none is looked for."""
    if is_document(path):
        return ()
    try:
        text, _ = decode(read_bytes(NoteFile(path, Stamp())))
    except NoteUnreadable:  # gone a moment ago
        return ()
    table = LineTable(text)
    return tuple(
        LeftOut(span.what, table.line_at(span.start) + 1, len(text[span.start : span.end].encode("utf-8", "replace")))
        for span in find_data(text)
    )


def _has_changed(file: NoteFile, known: StoredFile) -> bool:
    try:
        return not is_unchanged(file, known.stamp, known.content_hash)
    except NoteUnreadable:
        return True


def _answer_of_file(settings: Settings, path: Path, folder: Path, skipped: dict[str, str]) -> Answer:
    parts = path.relative_to(folder).parts
    if hidden := next((part for part in parts if part.startswith(".")), None):
        return Answer(str(path), "hidden", f"hidden files and folders are left out ({hidden})", "Rename it.")
    if not path.name.lower().endswith(READ_SUFFIXES):
        readable = ", ".join([*NOTE_SUFFIXES, *(kind for kind in DOCUMENT_SUFFIXES if has_reader(f"file{kind}"))])
        return Answer(str(path), "no note", f"only {readable} are read", "Give it such a suffix.")
    if is_document(path) and not has_reader(path):
        what = f"what reads {kind_of(path)} is not installed"
        return Answer(str(path), "no note", what, f"Install it: {HOW_TO_READ}")
    if is_document(path) and holds_parts_of_page(str(path.parent)):
        what = "it is a part of the web page saved beside its folder"
        return Answer(str(path), "no note", what, "Move it elsewhere.")
    if rule := _excluding_line(path, folder):
        return Answer(str(path), "ignored", f"excluded by {rule}", "Take that line out, or add one with `!` after it.")
    for place in (path, *path.parents):
        if reason := skipped.get(str(place)):
            what = "it" if place == path else str(place)
            return Answer(str(path), "skipped", f"the last run of index left {what} out: {reason}")
    status = path.lstat()
    most = most_bytes(path, settings.max_file_bytes)
    if stat.S_ISREG(status.st_mode) and status.st_size > most:
        limit = f"{status.st_size:,} bytes; the limit is {most:,}"
        return Answer(str(path), "skipped", f"it is too large ({limit})", "Raise the limit: --max-file-bytes")
    return Answer(str(path), "new", "it is new since the index was last brought in step", _AGAIN)


def _excluding_line(path: Path, folder: Path) -> str:
    """The file, line and pattern that keep out a file, or a folder above it; empty where none does."""
    rules = IgnoreRules.above(folder, None) or None
    below = [place for place in (*reversed(path.parents), path) if place.is_relative_to(folder)]
    for parent, place in pairwise(below):
        rules, _ = IgnoreRules.read(str(parent), rules)
        rule = rules.deciding(str(place), place.is_dir() and not place.is_symlink())
        if rule and rule.excludes:
            return rule.source
    return ""
