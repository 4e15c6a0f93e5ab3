"""The index directory: whether it can be used, whether it is private, and what dead processes left in it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from notesearch.doctor_api.checks import REPAIR, Check
from notesearch.private import is_locked
from notesearch.settings import Settings, cache_dir
from notesearch.storage.database import database_file
from notesearch.storage.survey import writer_is_at_work

# All that notesearch keeps in an index directory. What else is there is not its business.
_OWN = (
    "notes.db*",
    "rebuilt.db*",
    "vectors.hnsw*",
    "writer.lock",
    "folders.json*",
    "accepted.jsonl",
    "rejected-tags.jsonl",
    "tag-journals",
    "classifiers",
    "models",
    ".repairing-*",
)
# What the names of folders begin with that `private.working_folder` makes; they are locked as long as they are used.
_WORKING_FOLDERS = (".eval-", ".preparing-", ".measuring-", ".writing-")
# The beginning of the name of the folder in which a repair works.
UNFINISHED = ".repairing-"
_SPARE_BYTES = 50_000_000
# Longer than any run takes that does not touch its files.
_LIVE_S = 86_400
# Only a process that holds the writer's lock makes these.
_OF_WRITER = (
    "folders.json.new",
    "vectors.hnsw.new",
    "rebuilt.db",
    "rebuilt.db-journal",
    "rebuilt.db-wal",
    "rebuilt.db-shm",
)


def check_directory(index_dir: Path) -> Iterator[Check]:
    """Whether the directory can be read and written, and has room for a rebuild."""
    if not os.access(index_dir, os.R_OK | os.X_OK):
        yield Check("directory", "wrong", f"may not read {index_dir}", "Mend its permissions.")
        return
    if not os.access(index_dir, os.W_OK) or os.statvfs(index_dir).f_flag & os.ST_RDONLY:
        hint = "Searches work; to index, mend its permissions, or choose another one with --index-dir."
        yield Check("directory", "warning", f"may not write {index_dir}", hint)
    else:
        yield Check("directory", "ok", str(index_dir))
    free = shutil.disk_usage(index_dir).free
    needed = 2 * sum(path.stat().st_size for path in index_dir.glob("notes.db*")) + _SPARE_BYTES
    state = Check("space", "ok", f"{free / 1e9:,.1f} GB free")
    if free < needed:
        what = f"{free / 1e6:,.0f} MB free; indexing may need {needed / 1e6:,.0f} MB"
        state = Check("space", "warning", what, "Free some space: an index that cannot grow stays as it is.")
    yield state


def check_permissions(index_dir: Path) -> Iterator[Check]:
    """Whether anyone but the owner can read the index."""
    public = public_paths(index_dir)
    files = [path for path in public if not path.is_dir()]
    if files:
        others = f" and {len(files) - 1} more" if len(files) > 1 else ""
        yield Check("permissions", "wrong", f"other users may read {files[0]}{others}", REPAIR)
    elif public:
        yield Check("permissions", "warning", f"other users may look into {public[0]}", REPAIR)
    else:
        yield Check("permissions", "ok", "private to their owner")


def public_paths(index_dir: Path) -> list[Path]:
    """The folders and files of an index that are not private to their owner."""
    own = [path for pattern in _OWN for path in index_dir.glob(pattern)]
    below = [path for folder in own if folder.is_dir() and not folder.is_symlink() for path in folder.rglob("*")]
    found = [*own, *below]
    if {path.name for path in index_dir.iterdir()} <= {path.name for path in own}:
        found.insert(0, index_dir)
    return [path for path in found if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077]


def make_private(path: Path) -> None:
    """Takes a folder or file of an index from everyone but its owner.

    Raises:
        OSError: It belongs to somebody else.
    """
    path.chmod(0o700 if path.is_dir() else 0o600)


def check_writer(index_dir: Path) -> Iterator[Check]:
    """Whether somebody is writing: no fault, but good to know."""
    busy = writer_is_at_work(index_dir)
    yield Check("writer", "ok", "a process is writing to the index now" if busy else "nobody is writing to the index")


def check_leftovers(settings: Settings) -> Iterator[Check]:
    """What processes that were killed have left behind, and earlier repairs have put aside."""
    if left := leftovers(settings):
        what = f"{left[0]}{f' and {len(left) - 1} more' if len(left) > 1 else ''}"
        yield Check("leftovers", "warning", f"of runs that were killed: {what}", REPAIR)
    else:
        yield Check("leftovers", "ok", "none")
    for path in damaged_databases(settings.index_dir):
        size = f"{path.stat().st_size / 1e6:,.1f} MB"
        yield Check("leftovers", "warning", f"{path}, a damaged index ({size})", "Delete it when all is well again.")


def damaged_databases(index_dir: Path) -> list[Path]:
    """The databases that a repair has put aside."""
    found = index_dir.glob(f"{database_file(index_dir).name}.damaged-*")
    return sorted(path for path in found if not path.name.endswith(("-wal", "-shm")))


def leftovers(settings: Settings, *, writers_kept_out: bool = False) -> list[Path]:
    """Files and folders of processes that are no more.

    Args:
        settings: Which index.
        writers_kept_out: Whether the caller holds the writer's lock, so that no writer can be at work.
    """
    index_dir = settings.index_dir
    found = []
    if writers_kept_out or not writer_is_at_work(index_dir):
        found += [path for name in _OF_WRITER if (path := index_dir / name).exists()]
    places = {
        index_dir: (f"{UNFINISHED}*",),
        index_dir / "classifiers": (".writing-*",),
        index_dir / "models": (".tuned-*", ".training.safetensors.new"),
        cache_dir(): (".eval-*",),
        cache_dir() / "encoders": (".preparing-*",),
        cache_dir() / "token-models": (".measuring-*",),
        Path(tempfile.gettempdir()): ("notesearch-*",),
    }
    for folder, patterns in places.items():
        found += [path for pattern in patterns for path in sorted(folder.glob(pattern)) if _is_dead(path)]
    return found


def remove_leftover(path: Path) -> None:
    """Removes a file or folder.

    Raises:
        OSError: It cannot be removed.
    """
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_dead(path: Path) -> bool:
    """Whether no process uses this any more: by the lock on it, or by its age where there is none."""
    try:
        if path.is_symlink() or path.stat().st_uid != os.geteuid():
            return False
        if path.name.startswith(_WORKING_FOLDERS):
            return not is_locked(path)
        newest = max(part.lstat().st_mtime for part in (path, *path.rglob("*")))
    except OSError:  # gone meanwhile, or not ours to look into
        return False
    return time.time() - newest > _LIVE_S
