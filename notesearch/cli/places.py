"""Places in files as other programs print them: `search --jsonl`, `rg --json`, lists of paths, `rg -n`, `grep -n`."""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode
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
_NUMBERED = re.compile(r"(\d{1,18})([:-]|\Z)")
_COUNT = re.compile(r"(.+):(\d{1,18})")
_LEAST_COUNTS = 2
_NO_MATCHES = ("begin", "context", "end", "summary")
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
    if not text:
        return
    if "\0" not in text:
        yield from text.split("\n")
    elif text.endswith("\0") or "\n" not in text:
        yield from text.split("\0")
    else:
        yield from filter(None, map(_without_nul, text.split("\n")))


def _without_nul(line: str) -> str:
    """What grep -Z and rg -0 print, a name, a NUL and the rest, without it; empty for what names no match."""
    name, _, rest = line.partition("\0")
    numbered = _NUMBERED.match(rest)
    if numbered and numbered[2] == ":":
        return f"{name}:{rest}"
    if numbered and (numbered[2] == "-" or not int(numbered[1])):  # a line around a match; a count of none
        return ""
    return name


def paths_of_counts(lines: Iterable[str]) -> Iterator[str]:
    """Lines as they are, unless they are what `grep -c` prints: then only paths, of files with any match.

    A number at the end of a line is that of a line in the file. Where all of several lines end with one, each for
    another file, or one of them with 0, the numbers are counts.
    """
    written = [line for line in lines if line.strip()]
    counts = [_COUNT.fullmatch(line.rstrip("\r")) for line in written]
    found = [(count[1], int(count[2])) for count in counts if count]
    distinct = len({path for path, _ in found}) == len(found) == len(written)
    if not distinct or (len(found) < _LEAST_COUNTS and all(count for _, count in found)):
        yield from written
    else:
        yield from (path for path, count in found if count)


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
    if any(_is_file(text[: match.start()]) for match in re.finditer("-", text[:_MOST_PATH_CHARS])):
        return None  # a line around a match, without its number
    if re.match(r"\d+:", text):
        return Skipped(_shown(text), "no file name; grep -H and rg -H print it")
    return Skipped(_shown(text), "no such file")


def _place_of_hit(text: str) -> Place | Skipped | None:
    """A hit of `search --jsonl` or a message of `rg --json`, of which only matches name a place."""
    try:
        record = json.loads(text)
        if record.get("type") in _NO_MATCHES and "data" in record:
            return None
        if record.get("type") == "match" and "data" in record:
            return Place(
                _absolute(_path_of_rg(record["data"]["path"])), int(record["data"]["line_number"] or 0) or None
            )
        path = record["path"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        path = None
    if not isinstance(path, str) or not path or "\0" in path:
        return Skipped(_shown(text), "not a hit of search --jsonl")
    # The whole note: another query may be answered by another passage of it.
    return Place(_absolute(path))


def _path_of_rg(path: dict[str, str]) -> str:
    """A path as rg writes it: as text, or in Base64 where it is not UTF-8."""
    name = path["text"] if "text" in path else os.fsdecode(b64decode(path["bytes"]))
    if not name or "\0" in name:
        raise ValueError
    return name


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
