"""The process that reads documents: whatever a file does to it, `index` goes on.

It reads requests from stdin, a line of JSON and the file after it, and answers each with a line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
from dataclasses import asdict
from typing import Any, BinaryIO

from notesearch.documents.reading import read_document
from notesearch.errors import NoteUnreadable

# It ends by itself when nobody has asked for so long, or when a document has left it this large.
_IDLE_S = 60.0
_LARGE_BYTES = 400_000_000
_FORBIDDEN = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system")


def main() -> None:
    """Answers requests until there are no more."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # what libraries print is of no use to anybody
        os.dup2(nowhere, descriptor)
    sys.addaudithook(_forbid)
    while select.select([requests], [], [], _IDLE_S)[0] and (line := requests.readline()):
        answers.write(json.dumps(_answer(json.loads(line), requests)).encode() + b"\n")
        answers.flush()
        # Most programs need less than they take, so a large one is begun anew rather than watched.
        if _bytes_taken() > _LARGE_BYTES:
            return


def _answer(request: dict[str, Any], requests: BinaryIO) -> dict[str, Any]:
    data = requests.read(request["size"])
    if len(data) < request["size"]:  # whoever asked is gone
        sys.exit()
    _limit_memory(request["memory_bytes"])
    # What ends the process then is the kernel, so that no loop in C code can hold it up.
    signal.setitimer(signal.ITIMER_PROF, request["seconds"])
    try:
        return asdict(read_document(request["name"], data, request["seconds"] / 2))
    except NoteUnreadable as error:
        return {"unreadable": error.message, "by_rule": error.by_rule}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _limit_memory(most_bytes: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes if hard < 0 else min(most_bytes, hard), hard))


def _bytes_taken() -> int:
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # On Linux, what getrusage says begins with the size of the process that started this one.
    with open("/proc/self/statm") as statistics:  # noqa: PTH123 - nothing else is needed of pathlib
        return int(statistics.read().split()[1]) * resource.getpagesize()


def _forbid(event: str, arguments: tuple[Any, ...]) -> None:
    """Reading a document takes no network and no other program, whatever the document says."""
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"{event} is not for documents")


if __name__ == "__main__":
    main()
