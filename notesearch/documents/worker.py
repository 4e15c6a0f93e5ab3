"""The process that converts documents, so that whatever a file does to it, `index` goes on.

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

from notesearch.documents import kind_of
from notesearch.documents.document import DAMAGE, Document
from notesearch.errors import NoteUnreadable

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
    _limit_memory(request["memory_bytes"])
    # At the limit the kernel ends the process, so a loop in C code cannot delay it.
    signal.setitimer(signal.ITIMER_PROF, request["seconds"])
    try:
        return asdict(_read_document(request["name"], data, request["seconds"] / 2))
    except NoteUnreadable as error:
        return {"unreadable": error.message, "by_rule": error.by_rule}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _read_document(name: str, data: bytes, seconds: float) -> Document:
    """Read a document.

    Args:
        name: The file's name.
        data: The whole file.
        seconds: Processor time after which a PDF is cut off.

    Raises:
        NoteUnreadable: It is damaged, encrypted, or has no text; the message is a short reason.
    """
    kind = kind_of(name)
    try:
        if kind == "PDF":
            from notesearch.documents.pdf import read_pdf

            document = read_pdf(data, seconds)
        elif kind == "HTML":
            from notesearch.documents.web_page import read_web_page

            document = read_web_page(data)
        else:
            from notesearch.documents.archives import read_docx, read_epub

            document = read_docx(data) if kind == "DOCX" else read_epub(data)
    except MemoryError as error:
        raise NoteUnreadable("too complicated: it takes too much memory", by_rule=True) from error
    except DAMAGE as error:
        raise NoteUnreadable(f"damaged, or no {kind} file") from error
    if sum(map(str.isalnum, document.text)) < _LEAST_LETTERS:
        raise NoteUnreadable("no text: scanned pages?" if kind == "PDF" else "no text", by_rule=True)
    return document


def _limit_memory(most_bytes: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes if hard < 0 else min(most_bytes, hard), hard))


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
