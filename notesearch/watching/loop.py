"""The loop of `watch`: changes come in, runs of `index` come out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from notesearch.errors import NotesearchError
from notesearch.storage.database import database_file
from notesearch.watching.events import EventsLost
from notesearch.watching.relevance import Relevance

Changes = Callable[[Sequence[Path]], Iterator[frozenset[str]]]
"""Waits for changes below folders: paths, and every so often an empty set; see `events.file_changes`."""

# However well a system tells of changes, it may lose some: so often everything is looked at.
_NET_S = 3_600.0
# And so often where it tells nothing.
_POLL_S = 30.0
_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 300.0


class Watch:
    """Keeps an index in step with folders.

    Args:
        folders: The folders, as the system resolves them.
        index_dir: The directory of the index.
        sync: Brings the index in step with some of the folders.
        tell: Says something to the user.
        changes: Waits for changes.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        index_dir: Path,
        sync: Callable[[Sequence[Path]], None],
        tell: Callable[[str], None],
        changes: Changes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folders = folders
        self._index_dir = index_dir
        self._sync = sync
        self._tell = tell
        self._changes = changes
        self._clock = clock
        self._relevance = Relevance(folders, index_dir)
        self._pending: set[Path] = set()
        self._unreachable: set[Path] = set()
        self._failures = 0
        self._retry_at = 0.0
        self._every_s = _NET_S
        self._all_at = 0.0

    def run(self) -> None:
        """Runs until it is interrupted, or until there are no more changes to wait for.

        Raises:
            NotesearchError: The first run failed; those that follow are tried again.
        """
        if reachable := [folder for folder in self._folders if self._is_reachable(folder)]:
            self._sync(reachable)
        while self._watch_what_is_there():
            pass

    def _watch_what_is_there(self) -> bool:
        """Watches until a folder vanishes or comes back; says whether to watch again."""
        there = self._identities()
        # The system tells nothing of what happened since the last run of `index`, before it was asked.
        self._look_at_all()
        told_of = list(there) if self._every_s == _NET_S else []
        try:
            for changed in self._changes(told_of):
                self._take_in(changed)
                self._sync_pending()
                if self._identities() != there:
                    return True
        except EventsLost as reason:
            if self._identities() == there:
                self._tell(f"{reason}: all files are looked at every {_POLL_S:.0f} seconds instead")
                self._every_s = _POLL_S
            return True
        return False

    def _identities(self) -> dict[Path, tuple[int, int]]:
        """The folders that are there, each with what tells it from another one in its place."""
        return {folder: identity for folder in self._folders if (identity := _identity(folder))}

    def _take_in(self, changed: frozenset[str]) -> None:
        for path in changed:
            if folder := self._relevance.folder_of(path):
                self._pending.add(folder)
        # Path's exists() raises where a disk is gone or may no longer be read; a run of `index` will say what is wrong.
        has_index = os.path.exists(database_file(self._index_dir))  # noqa: PTH110
        if self._clock() >= self._all_at or not has_index:
            self._look_at_all()

    def _look_at_all(self) -> None:
        self._relevance.forget_rules()
        self._pending |= set(self._folders)
        self._all_at = self._clock() + self._every_s

    def _sync_pending(self) -> None:
        """Brings the index in step with what is pending, unless the last run failed a moment ago."""
        if not self._pending or self._clock() < self._retry_at:
            return
        reachable = [folder for folder in self._folders if folder in self._pending and self._is_reachable(folder)]
        if reachable:
            try:
                self._sync(reachable)
            except (NotesearchError, OSError) as error:
                self._put_off(error)
                return
        self._pending.clear()
        self._failures = 0

    def _put_off(self, error: NotesearchError | OSError) -> None:
        wait_s = min(_FIRST_RETRY_S * 2**self._failures, _LONGEST_RETRY_S)
        self._failures += 1
        self._retry_at = self._clock() + wait_s
        hint = f" {error.hint}" if isinstance(error, NotesearchError) else ""
        self._tell(f"{error}; trying again in {wait_s:.0f} seconds.{hint}")

    def _is_reachable(self, folder: Path) -> bool:
        """Whether a folder is there and holds anything; says so where that has changed.

        To `index`, a folder that is named and empty has lost its notes. Here, its disk is more likely not mounted.
        """
        try:
            with os.scandir(folder) as entries:
                reachable = next(entries, None) is not None
        except OSError:
            reachable = False
        if not reachable and folder not in self._unreachable:
            self._unreachable.add(folder)
            self._tell(f"{folder} is gone or empty; its notes are kept in the index")
        elif reachable and folder in self._unreachable:
            self._unreachable.discard(folder)
            self._tell(f"{folder} is back")
        return reachable


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
