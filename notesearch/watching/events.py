"""Changes of files as the system tells them, by the package `watchfiles`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue

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
