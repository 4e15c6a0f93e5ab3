"""Places in files as other programs print them: `search --jsonl`, lists of paths, `rg -n` and `grep -n`."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from notesearch.records import Place, Skipped

_COLOURS = re.compile(r"\x1b\[[0-9;]*[mK]")
_LINE_NUMBER = re.compile(r":(\d+)(?=:|$)")
# What rg and grep print around a match, when they are asked to.
_CONTEXT_LINE_NUMBER = re.compile(r"-(\d+)(?=-)")
_MOST_CHARS_SHOWN = 80


def read_places(lines: Iterable[str]) -> Iterator[Place | Skipped]:
    """Reads places from the lines that another program has printed.

    Args:
        lines: Each a path, `PATH:LINE:…`, or an object of `search --jsonl`.

    Yields:
        Places, and lines that name none.
    """
    for line in lines:
        text = _COLOURS.sub("", line.rstrip("\r\n"))
        if text.strip() and text != "--":
            place = _place(text)
            if place is not None:
                yield place


def lines_of_stdin() -> Iterator[str]:
    """The lines of stdin; where there are NULs in it (`rg -l0`, `search -0`), what stands between these."""
    for line in sys.stdin:
        yield from line.rstrip("\n").split("\0") if "\0" in line else (line,)


def _place(text: str) -> Place | Skipped | None:
    """`None` for a line of context, which names a place where nothing was found."""
    if text.startswith("{"):
        return _place_of_hit(text)
    if _is_there(text):
        return Place(_absolute(text))
    # A name may hold colons and numbers of its own.
    for match in _LINE_NUMBER.finditer(text):
        if _is_there(text[: match.start()]) and int(match[1]):
            return Place(_absolute(text[: match.start()]), int(match[1]))
    if any(_is_there(text[: match.start()]) for match in _CONTEXT_LINE_NUMBER.finditer(text)):
        return None
    if re.match(r"\d+:", text):
        return Skipped(_shown(text), "names no file; grep -H and rg -H do")
    return Skipped(_shown(text), "no such file")


def _place_of_hit(text: str) -> Place | Skipped:
    try:
        # The whole note: another query may be answered by another passage of it.
        return Place(_absolute(json.loads(text)["path"]))
    except (ValueError, KeyError, TypeError):
        return Skipped(_shown(text), "no hit of search --jsonl")


def _is_there(path: str) -> bool:
    try:
        return Path(os.path.expanduser(path)).exists()  # noqa: PTH111 - Path's raises for an unknown user
    except (OSError, ValueError):  # a name that is too long, or holds a NUL
        return False


def _absolute(path: str) -> Path:
    return Path(os.path.realpath(os.path.expanduser(path)))  # noqa: PTH111


def _shown(text: str) -> str:
    return text if len(text) <= _MOST_CHARS_SHOWN else text[:_MOST_CHARS_SHOWN] + "…"
