"""Files and folders that are for their owner only."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Makes a folder for its owner only, whatever the umask, and likewise the folders above it that are missing.

    Raises:
        OSError: It cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)


@contextmanager
def working_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Gives an empty private folder to work in, and deletes it at the end.

    What processes that were killed have left behind is deleted first: each holds a lock on its folder, which the
    system drops with the process.

    Args:
        parent: Where it is to be; made if it is missing.
        prefix: What the names of all such folders begin with.

    Raises:
        OSError: It cannot be made.
    """
    import tempfile  # 2 ms, which a search need not wait for

    make_private_folder(parent)
    # While the parent is locked, a folder that is not locked is nobody's: not even about to be locked.
    with _locked(parent, wait=True):
        for left in parent.glob(f"{prefix}*"):
            # What is locked, or cannot be deleted, is left for another time: it is in nobody's way.
            with suppress(OSError), _locked(left, wait=False):
                shutil.rmtree(left)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        folder.chmod(0o700)
        lock = _lock(folder, wait=False)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[None]:
    lock = _lock(folder, wait=wait)
    try:
        yield
    finally:
        os.close(lock)


def _lock(folder: Path, *, wait: bool) -> int:
    """Locks a folder until the descriptor is closed; raises BlockingIOError where another process has it locked."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_locked(path: Path) -> bool:
    """Says whether another process holds a lock on a file or a folder; needs no right to write.

    Raises:
        OSError: It may not be read.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def seal(folder: Path) -> None:
    """Makes all that is in a folder private, and sees it on the disk: what is there after a crash is whole.

    Raises:
        OSError: It cannot be done.
    """
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
