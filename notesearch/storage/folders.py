"""`folders.json`: the folders that an index covers and what it was made with, safe from any damage to `notes.db`.

A folder is added here before `notes.db` learns of it, and taken out after `notes.db` has forgotten it: this list holds
every folder of the index, at whatever moment a run is killed. After a kill, it may hold one more.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from notesearch.errors import StoreError
from notesearch.files import write_whole
from notesearch.storage.reader import Fingerprint


@dataclass(frozen=True, slots=True)
class Coverage:
    """What it takes to make an index anew from the notes.

    Attributes:
        folders: Absolute paths.
        fingerprint: What its vectors depend on: model, token model, chunks; `None` where that is not known.
    """

    folders: tuple[Path, ...] = ()
    fingerprint: Fingerprint | None = None


def folders_file(index_dir: Path) -> Path:
    """The list of an index directory."""
    return index_dir / "folders.json"


def read_coverage(index_dir: Path) -> Coverage:
    """Reads the list; it is empty where the file is missing or damaged."""
    try:
        written = json.loads(folders_file(index_dir).read_text(encoding="utf-8"))
        made_with = written["made_with"]
        folders = tuple(Path(folder) for folder in written["folders"] if folder.startswith("/"))
        return Coverage(folders, Fingerprint(**made_with) if made_with else None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Coverage()


def write_coverage(index_dir: Path, coverage: Coverage) -> None:
    """Writes the list, whole or not at all, and sees it on the disk; does nothing where it says that already.

    Raises:
        StoreError: It cannot be written; it is as it was.
    """
    path, new = folders_file(index_dir), folders_file(index_dir).with_suffix(".json.new")
    made_with = asdict(coverage.fingerprint) if coverage.fingerprint else None
    try:
        new.unlink(missing_ok=True)  # of a run that was killed
        if read_coverage(index_dir) == coverage:
            return
        written = {"folders": [str(folder) for folder in coverage.folders], "made_with": made_with}
        write_whole(path, json.dumps(written, indent=1))
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror}", "Is the disk full? The index is as it was."
        ) from error
