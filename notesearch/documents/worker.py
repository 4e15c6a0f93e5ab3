"""The process that converts documents, so that whatever a file does to it, `index` goes on.

It reads requests from stdin, a line of JSON and the file after it, and answers each with a line of JSON.
"""

import json
import os
import resource
import select
import signal
import sys
from dataclasses import asdict
from typing import Any, BinaryIO

from notesearch.documents.document import DAMAGE, Document
from notesearch.errors import NoteUnreadable
from notesearch.file_kinds import kind_of

# It ends by itself after so long without a request, or when a document has left it this large.
_IDLE_S = 60.0
_LARGE_BYTES = 400_000_000
_FORBIDDEN = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system")
# A text with fewer letters is no text: a stamp, a page number.
_LEAST_LETTERS = 3


def main() -> None:
    """Answer requests until there are no more."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # nobody reads what the libraries print
        os.dup2(nowhere, descriptor)
    sys.addaudithook(_forbid)
    while select.select([requests], [], [], _IDLE_S)[0] and (line := requests.readline()):
        answers.write(json.dumps(_answer(json.loads(line), requests)).encode() + b"\n")
        answers.flush()
        # Python rarely gives memory back to the system, so a large process ends, and the next one starts small.
        if _bytes_taken() > _LARGE_BYTES:
            return


def _answer(request: dict[str, Any], requests: BinaryIO) -> dict[str, Any]:
    data = requests.read(request["size"])
    if len(data) < request["size"]:  # the process that asked is gone
        sys.exit()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    memory_bytes = request["memory_bytes"] if hard < 0 else min(request["memory_bytes"], hard)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, hard))
    # At the limit the kernel ends the process, so a loop in C code cannot delay it.
    signal.setitimer(signal.ITIMER_PROF, request["seconds"])
    kind = kind_of(request["name"])
    try:
        document = _read(kind, data, request["seconds"] / 2)
        if sum(map(str.isalnum, document.text)) < _LEAST_LETTERS:
            raise NoteUnreadable("no text: scanned pages?" if kind == "PDF" else "no text", by_rule=True)
        return asdict(document)
    except NoteUnreadable as error:
        return {"unreadable": error.message, "by_rule": error.by_rule}
    except MemoryError:
        return {"unreadable": "too complicated: it takes too much memory", "by_rule": True}
    except DAMAGE:
        return {"unreadable": f"damaged, or no {kind} file", "by_rule": False}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _read(kind: str, data: bytes, seconds: float) -> Document:
    """Read a document of a kind; a PDF is cut off after so many seconds of processor time."""
    if kind == "PDF":
        from notesearch.documents.pdf import read_pdf

        return read_pdf(data, seconds)
    if kind == "HTML":
        from notesearch.documents.web_page import read_web_page

        return read_web_page(data)
    from notesearch.documents.archives import read_docx, read_epub

    return read_docx(data) if kind == "DOCX" else read_epub(data)


def _bytes_taken() -> int:
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # On Linux, getrusage starts from the size of the process that started this one.
    with open("/proc/self/statm") as statistics:  # noqa: PTH123 - nothing else is needed of pathlib
        return int(statistics.read().split()[1]) * resource.getpagesize()


def _forbid(event: str, arguments: tuple[Any, ...]) -> None:
    """Reading a document needs no network and no other program."""
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"{event} is not for documents")


if __name__ == "__main__":
    main()
