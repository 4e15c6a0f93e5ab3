"""Folders that nobody means as a folder of notes: all of a system, its own files, a home directory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from notesearch.errors import UsageError
from notesearch.notes import NoteFile, find_notes
from notesearch.settings import Settings

# Notes may be in other top folders (/srv, /mnt, /tmp), and below /var where a web server has its pages.
_SYSTEM = "bin boot dev etc lib lib32 lib64 libx32 proc run sbin sys usr Applications Library System private/etc"
_SYSTEM_FOLDERS = tuple(Path("/", name) for name in _SYSTEM.split())
_SYSTEM_FOLDERS_ALONE = tuple(
    Path("/", name) for name in ("var", "var/lib", "var/log", "var/cache", "var/spool", "opt", "private", "private/var")
)
_HOMES = (Path("/home"), Path("/Users"), Path("/var/home"))
_ROOT_HOMES = (Path("/root"), Path("/var/root"))


def is_sweeping(folder: Path) -> bool:
    """Says whether a folder holds a home directory or files of the system: rather a slip than a folder of notes."""
    real = Path(os.path.realpath(folder))
    home = _own_home()
    if home is not None and home != Path("/") and home in real.parents:
        return False  # wherever that is: /var/lib/nora/notes
    homes = (home, *_HOMES, *_ROOT_HOMES) if home else (*_HOMES, *_ROOT_HOMES)
    return (
        any(real == other or real in other.parents for other in homes)
        or real.parent in _HOMES
        or any(real == other or other in real.parents for other in _SYSTEM_FOLDERS)
        or real in _SYSTEM_FOLDERS_ALONE
        or ((real / "etc/passwd").exists() and (real / "usr").is_dir())  # a system that is mounted or a chroot
    )


def _own_home() -> Path | None:
    with suppress(RuntimeError):  # a user may have none
        return Path(os.path.realpath(Path.home()))
    return None


def refuse_sweeping(settings: Settings, paths: Iterable[Path]) -> None:
    """Stops a command that was given a sweeping folder, before it does anything.

    Args:
        settings: What counts as a note.
        paths: Files and folders; files are always meant.

    Raises:
        UsageError: One is sweeping; the message says how many files would be taken for notes.
        FolderUnreadable: One may not be read.
    """
    for path in paths:
        if path.is_dir() and is_sweeping(path):
            found = find_notes(path, max_bytes=settings.max_file_bytes, follow_symlinks=settings.follow_symlinks)
            count = sum(isinstance(entry, NoteFile) for entry in found)
            what = f"{count:,} file{'' if count == 1 else 's'} would be taken for notes"
            raise UsageError(
                f"{path} is no folder of notes, but a home directory or the system's: {what}",
                "Name a folder below it, or add --yes if you mean all of it.",
            )
