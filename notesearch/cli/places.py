"""Places in files as other programs print them: `search --jsonl`, lists of paths, `rg -n` and `grep -n`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from notesearch.cli.terminal import read_stdin
from notesearch.records import Place, Skipped

_COLOURS = re.compile(r"\x1b\[[0-9;]*[mK]")
_LINE_NUMBER = re.compile(r":(\d{1,18})(?=:|$)")
# What rg and grep print around a match, when they are asked to.
_CONTEXT_LINE_NUMBER = re.compile(r"-\d{1,9}(?=-)")
# Not before a number: one that is followed by a colon would be that of a line.
_COLON_BEFORE_TEXT = re.compile(r":(?!\d+(?::|$))")
_NAME_AND_LINE = re.compile(r"([^\0\n]+)\0(\d+[:-].*)")
_MOST_PATH_CHARS = 4096
_MOST_CHARS_SHOWN = 200


def read_places(lines: Iterable[str]) -> Iterator[Place | Skipped]:
    """Reads places from the lines that another program has printed.

    Args:
        lines: Each a path, `PATH:LINE:…`, `PATH:…`, or an object of `search --jsonl`.

    Yields:
        Places, and lines that name none.
    """
    for line in lines:
        written = line.rstrip("\r\n")
        # Only a line with an escape sequence costs a look at the file system more: there may be tens of thousands.
        text = written if "\x1b" in written and _exists(written) else _COLOURS.sub("", written)
        if text.strip() and text != "--":
            place = _place(text)
            if place is not None:
                yield place


def lines_of_stdin() -> Iterator[str]:
    """What stands on stdin line by line, or between NULs (`rg -l0`, `search -0`)."""
    text = os.fsdecode(read_stdin("paths"))
    if "\0" not in text:
        yield from text.split("\n")
    elif all(_NAME_AND_LINE.match(line) for line in text.split("\n") if line):
        # grep -Zn and rg -0n put it between the name and the line.
        yield from (line.replace("\0", ":", 1) for line in text.split("\n"))
    else:
        yield from text.split("\0")


def _place(text: str) -> Place | Skipped | None:
    """`None` for a line of context, which names a place where nothing was found."""
    if _exists(text):
        return Place(_absolute(text))
    # A name may hold colons and numbers of its own.
    for match in _LINE_NUMBER.finditer(text, 0, _MOST_PATH_CHARS):
        if _is_file(text[: match.start()]) and int(match[1]):
            return Place(_absolute(text[: match.start()]), int(match[1]))
    if text.startswith("{"):
        return _place_of_hit(text)
    if any(_is_file(text[: match.start()]) for match in _CONTEXT_LINE_NUMBER.finditer(text, 0, _MOST_PATH_CHARS)):
        return None
    for match in _COLON_BEFORE_TEXT.finditer(text, 0, _MOST_PATH_CHARS):  # rg in a pipe, grep -r
        if _is_file(text[: match.start()]):
            return Place(_absolute(text[: match.start()]))
    if re.match(r"\d+:", text):
        return Skipped(_shown(text), "no file name; grep -H and rg -H print it")
    return Skipped(_shown(text), "no such file")


def _place_of_hit(text: str) -> Place | Skipped:
    try:
        path = json.loads(text)["path"]
    except (ValueError, KeyError, TypeError, RecursionError):
        path = None
    if not isinstance(path, str) or not path or "\0" in path:
        return Skipped(_shown(text), "not a hit of search --jsonl")
    # The whole note: another query may be answered by another passage of it.
    return Place(_absolute(path))


def _exists(path: str) -> bool:
    try:
        return bool(path) and Path(os.path.expanduser(path)).exists()  # noqa: PTH111 - Path's raises for an unknown user
    except (OSError, ValueError):  # a name that is too long, or holds a NUL
        return False


def _is_file(path: str) -> bool:
    try:
        return bool(path) and Path(os.path.expanduser(path)).is_file()  # noqa: PTH111
    except (OSError, ValueError):
        return False


def _absolute(path: str) -> Path:
    return Path(os.path.realpath(os.path.expanduser(path)))  # noqa: PTH111


def _shown(text: str) -> str:
    return text if len(text) <= _MOST_CHARS_SHOWN else text[:_MOST_CHARS_SHOWN] + "…"
