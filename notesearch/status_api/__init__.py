"""notesearch as a library: what an index holds, how old that is, and why a note is not found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from notesearch.errors import FolderUnreadable
from notesearch.notes import NoteFile, find_notes
from notesearch.records import Skipped
from notesearch.settings import Settings
from notesearch.status_api.why import Answer, has_changed, why
from notesearch.storage import Fingerprint
from notesearch.storage.survey import IndexSurvey, StoredFile, writer_is_at_work
from notesearch.storage.vectors import vector_file

__all__ = ["Answer", "FolderStatus", "Status", "find_stale", "take_stock", "why"]


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
    """

    index_dir: Path
    fingerprint: Fingerprint
    folders: tuple[FolderStatus, ...]
    notes: int
    chunks: int
    part_bytes: dict[str, int]
    skipped: tuple[Skipped, ...]
    writing: bool


@dataclass(frozen=True, slots=True)
class StaleFolder:
    """A folder that was not brought in step for too long.

    Attributes:
        path: Absolute path.
        synced: When it last was; `None` for never, as far as is known.
        reachable: See `FolderStatus`.
    """

    path: str
    synced: datetime | None
    reachable: bool


def take_stock(settings: Settings) -> Status:
    """Says what an index holds, and what of that is out of date: files are looked at, not read.

    Raises:
        IndexMissing: Nothing has been indexed.
        StoreError: The index cannot be read.
    """
    with closing(IndexSurvey(settings.index_dir)) as survey:
        files, skipped, synced = survey.files(), survey.skipped(), survey.synced()
        folders = tuple(_folder_status(settings, path, files, skipped, synced.get(path)) for path in survey.folders())
        parts = survey.part_bytes()
        return Status(
            index_dir=settings.index_dir,
            fingerprint=survey.fingerprint,
            folders=folders,
            notes=len(files),
            chunks=survey.chunks(),
            part_bytes={**parts, "vector_file": _size(vector_file(settings.index_dir))},
            skipped=tuple(Skipped(path, reason) for path, reason in skipped),
            writing=writer_is_at_work(settings.index_dir),
        )


def find_stale(settings: Settings, age: timedelta) -> list[StaleFolder]:
    """Finds the folders that were not brought in step within a time, or cannot be reached now.

    Raises:
        IndexMissing: Nothing has been indexed.
        StoreError: The index cannot be read.
    """
    with closing(IndexSurvey(settings.index_dir)) as survey:
        folders, synced = survey.folders(), survey.synced()
    oldest = datetime.now(UTC) - age
    found = [StaleFolder(path, synced.get(path), _is_reachable(path, notes)) for path, notes in folders.items()]
    return [folder for folder in found if not folder.reachable or folder.synced is None or folder.synced < oldest]


def _folder_status(
    settings: Settings,
    folder: str,
    files: Sequence[StoredFile],
    skipped: Sequence[tuple[str, str]],
    synced: datetime | None,
) -> FolderStatus:
    known = {file.path: file for file in files if _is_below(file.path, folder)}
    status = FolderStatus(folder, len(known), synced, _is_reachable(folder, len(known)))
    if not status.reachable:
        return status
    try:
        walk = find_notes(Path(folder), max_bytes=settings.max_file_bytes, follow_symlinks=settings.follow_symlinks)
    except FolderUnreadable:  # gone a moment ago
        return FolderStatus(folder, len(known), synced, reachable=False)
    left_out = {path for path, _ in skipped}
    changed = new = 0
    unreadable = []
    for entry in walk:
        if isinstance(entry, NoteFile):
            note = known.pop(str(entry.path), None)
            changed += note is not None and has_changed(note, entry.size, entry.mtime_ns)
            new += note is None and str(entry.path) not in left_out
        elif entry.for_now:
            unreadable.append(entry.path)
    gone = sum(not any(path == other or _is_below(path, other) for other in unreadable) for path in known)
    return FolderStatus(folder, status.notes, synced, True, changed, new, gone)


def _is_reachable(folder: str, notes: int) -> bool:
    """Whether a folder can be read; one that has lost everything is more likely a disk that is not mounted."""
    try:
        with os.scandir(folder) as entries:
            return notes == 0 or next(entries, None) is not None
    except OSError:
        return False


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
