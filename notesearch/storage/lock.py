"""One writer at a time: a lock beside the index, which the system drops when its holder dies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from notesearch.errors import IndexBusy, StoreError
from notesearch.files import is_locked

if TYPE_CHECKING:
    from filelock import FileLock

_POLL_S = 0.1


def acquire_lock(index_dir: Path, wait_s: float = 0.0, waiting: Callable[[], None] | None = None) -> FileLock:
    """Takes the lock of the writer of an index.

    Args:
        index_dir: The directory of the index.
        wait_s: How long to wait for another writer to finish.
        waiting: Called once where there is one to wait for.

    Raises:
        IndexBusy: Another process has it, and did not let go of it in time.
        StoreError: The index directory may not be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(index_dir / "writer.lock", mode=0o600)
    try:
        with suppress(Timeout):
            lock.acquire(timeout=0)
            return lock
        if waiting and wait_s:
            waiting()
        lock.acquire(timeout=wait_s, poll_interval=_POLL_S)
    except Timeout as error:
        raise IndexBusy(
            f"another process is writing to the index in {index_dir}",
            "Try again when it has finished, or wait for it: --wait 10m",
        ) from error
    except OSError as error:
        raise StoreError(
            f"cannot write to the index directory {index_dir}: {error.strerror}",
            "Choose another one with --index-dir, or mend its permissions.",
        ) from error
    return lock


def writer_is_at_work(index_dir: Path) -> bool:
    """Says whether a process is writing to an index; needs no right to write there itself."""
    try:
        return is_locked(index_dir / "writer.lock")
    except OSError:
        return False
