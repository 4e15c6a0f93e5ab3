"""Keep an index in step with folders as they change."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue

from notesearch.errors import NotesearchError
from notesearch.file_kinds import READ_SUFFIXES
from notesearch.notes.ignore import BRING_RULES, IGNORE_FILES, REPOSITORY_RULES, IgnoreRules
from notesearch.storage.database import database_file

# A burst of changes is over when so long nothing has changed, and is cut off after that: an editor may write several
# files for one save, and a checkout thousands.
_QUIET_MS = 300
_LONGEST_BURST_MS = 1_500
_TICK_MS = 1_000
_THREAD = "notesearch-watch"

# On these, the system does not tell what other machines change.
_NETWORK_FILE_SYSTEMS = frozenset("9p afs ceph cifs davfs drvfs glusterfs nfs nfs4 smb3 smbfs vboxsf".split())
_MOUNTS = Path("/proc/self/mountinfo")


class EventsLost(Exception):
    """The system does not tell of changes, or not of all."""


def file_changes(folders: Sequence[Path]) -> Iterator[frozenset[str]]:
    """Waits for changes below folders, for ever; without folders, it only passes the time.

    Yields:
        Absolute paths of what was made, changed or deleted, together for a burst of changes; every second without any,
        an empty set. From the first one on, no change is missed.

    Raises:
        EventsLost: The system cannot tell, or not of all changes.
    """
    while not folders:
        time.sleep(_TICK_MS / 1000)
        yield frozenset()
    if network := [folder for folder in folders if _is_on_a_network(folder)]:
        raise EventsLost(f"{network[0]} is on a network drive")
    found: SimpleQueue[frozenset[str] | EventsLost] = SimpleQueue()
    stop = threading.Event()
    # In a thread of its own: while watchfiles waits, it takes all signals for Ctrl-C.
    threading.Thread(target=_collect, name=_THREAD, args=[folders, stop, found], daemon=True).start()
    try:
        while not isinstance(item := found.get(), EventsLost):
            yield item
        raise item
    finally:
        stop.set()


def _collect(folders: Sequence[Path], stop: threading.Event, found: SimpleQueue[frozenset[str] | EventsLost]) -> None:
    from watchfiles import watch

    changes = watch(
        *folders,
        watch_filter=None,
        debounce=_LONGEST_BURST_MS,
        step=_QUIET_MS,
        stop_event=stop,
        rust_timeout=_TICK_MS,
        yield_on_timeout=True,
        # Or it would be silent about whatever keeps it from watching, a limit of the system too.
        ignore_permission_denied=False,
    )
    try:
        for changed in changes:
            found.put(frozenset(path for _, path in changed))
    except (OSError, RuntimeError) as error:  # RuntimeError: of watchfiles, where the system allows no more watches
        found.put(EventsLost(f"cannot watch the folders: {str(error).partition(' (Error')[0]}"))


def _is_on_a_network(folder: Path) -> bool:
    """Says by the list of mounts whether a folder is on another machine's disk; `False` where there is no such list."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    mounts = (line.split(" - ", 1) for line in lines)
    kinds = {_unescaped(mount.split()[4]): system.split()[0] for mount, system in mounts}
    closest = next((kinds[str(place)] for place in (folder, *folder.parents) if str(place) in kinds), "")
    return closest in _NETWORK_FILE_SYSTEMS or closest.startswith("fuse.")


def _unescaped(path: str) -> str:
    r"""A path without the \040 that stand for spaces and the like in the list of mounts."""
    for written, char in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        path = path.replace(written, char)
    return path


_MOST_FOLDERS_KEPT = 20_000


class Relevance:
    """Which changes below watched folders may change the index: most do not.

    Tells changes of notes from others by names and ignore files alone, as a walk through the folders would.

    It may take for relevant what is not, never the other way round.

    Args:
        folders: The watched folders.
        index_dir: The directory of the index, which changes with every run, and may lie in a watched folder.
    """

    def __init__(self, folders: Sequence[Path], index_dir: Path) -> None:
        self._folders = sorted(map(str, folders), key=len, reverse=True)
        self._index_dir = os.path.realpath(index_dir)
        # The rules in force in each folder; False for one that is left out.
        self._rules: dict[str, IgnoreRules | bool | None] = {}

    def forget_rules(self) -> None:
        """Reads ignore files anew from now on."""
        self._rules.clear()

    def folder_of(self, path: str) -> Path | None:
        """The watched folder in which a change at a path matters; `None` where it does not matter."""
        root = next((folder for folder in self._folders if _is_below(path, folder)), None)
        if root is None or _is_below(path, self._index_dir):
            return None
        if path == root:
            return Path(root)
        folder, name = os.path.split(path)
        if name in IGNORE_FILES or path.endswith(f"/{REPOSITORY_RULES}"):
            self.forget_rules()
            return Path(root)
        if f"{os.sep}." in folder[len(root.rstrip(os.sep)) :]:
            return None
        # What is gone may have been a folder.
        is_folder = os.path.isdir(path)  # noqa: PTH112 - for each of thousands of changes
        may_matter = name.lower().endswith(READ_SUFFIXES) or is_folder or not os.path.lexists(path)
        if name.startswith(".") or not may_matter:
            return None
        rules = self._rules_in(folder, root)
        if rules is False or _excluded(rules, path, is_folder):
            return None
        return Path(root)

    def _rules_in(self, folder: str, root: str) -> IgnoreRules | bool | None:
        unknown = []
        while folder not in self._rules and folder != root:
            unknown.append(folder)
            folder = os.path.dirname(folder)  # noqa: PTH120
        if folder not in self._rules:
            self._rules[folder] = _rules_below(None, folder)
        rules = self._rules[folder]
        for below in reversed(unknown):
            rules = self._rules[below] = _rules_below(rules, below)
        if len(self._rules) > _MOST_FOLDERS_KEPT:
            self.forget_rules()
        return rules


def _rules_below(above: IgnoreRules | bool | None, folder: str) -> IgnoreRules | bool | None:
    """The rules in force in a folder, from those of the folder above it."""
    if above is False or _excluded(above, folder, True):
        return False
    if any(os.path.lexists(os.path.join(folder, name)) for name in BRING_RULES):  # noqa: PTH118
        return IgnoreRules.read(folder, above if isinstance(above, IgnoreRules) else None)[0]
    return above


def _excluded(rules: IgnoreRules | bool | None, path: str, is_folder: bool) -> bool:
    return isinstance(rules, IgnoreRules) and rules.excludes(path, is_folder and not os.path.islink(path))  # noqa: PTH114


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


Changes = Callable[[Sequence[Path]], Iterator[frozenset[str]]]
"""Waits for changes below folders: paths, and every so often an empty set; see `file_changes`."""

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
