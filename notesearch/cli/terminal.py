"""Writing to a person's terminal: made harmless, and wrapped to the window; progress bars."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import TextIO

from notesearch.records import Skipped

# C0 and C1 control characters could move the cursor or start an escape sequence; bidirectional overrides could make
# a name read as another one, and so could invisible characters. Those that scripts and emoji need stay: joiners, and
# the space of no width.
_C0 = "\u0000-\u001f"
_C1 = "\u007f-\u009f"
_UNSEEN = "\u061c\u180e\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_SURROGATES = "\ud800-\udfff"
_UNSAFE = re.compile(f"[{_C0}{_C1}{_UNSEEN}{_SURROGATES}]")
# JSON writes the others with escapes anyway.
_UNSAFE_IN_JSON = re.compile(f"[{_C1}{_UNSEEN}{_SURROGATES}]")

_MOST_SKIPPED_SHOWN = 10

_CODES = {"bold": "1", "dim": "2", "strong": "1;33", "fair": "33", "weak": "2;33", "tag": "36", "path": "32"}
_COLOUR = f"\x1b\\[(?:0|{'|'.join(_CODES.values())})m"
_COLOURS = re.compile(_COLOUR)
# What may reach a terminal of all that is unsafe: the ends of lines and columns, and the colours of `paint`.
_MEANT_OR_UNSAFE = re.compile(f"([\t\n]|{_COLOUR})|{_UNSAFE.pattern}")


def write(pieces: Iterable[str]) -> None:
    """Writes to stdout: exactly what is given, unless it is a terminal.

    Ends the program quietly where the reader has gone (`| head`): it has what it wanted.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, "stdout is closed")
    for_terminal = is_terminal(sys.stdout)
    try:
        for piece in pieces:
            sys.stdout.write(_MEANT_OR_UNSAFE.sub(_meant_or_replaced, piece) if for_terminal else piece)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still in the buffer goes nowhere, or Python would complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def show(lines: Iterable[str]) -> None:
    """Writes lines for a person to stdout; the colours of `paint` only where they are wanted."""
    coloured = uses_colour(sys.stdout)
    write((line if coloured else _COLOURS.sub("", line)) + "\n" for line in lines)


def write_json(value: object, *, indent: int | None = None) -> None:
    """Writes a value to stdout as JSON: see `json_text`."""
    write([json_text(value, indent=indent) + "\n"])


def warn(message: str) -> None:
    """Writes a message to stderr, without colours."""
    if sys.stderr is not None:  # closed: then print() would take stdout
        print(harmless(_COLOURS.sub("", message)), file=sys.stderr)  # noqa: T201


def read_stdin(what: str) -> bytes:
    """All that comes on stdin; where that is a terminal, says what is waited for."""
    if sys.stdin is None:  # closed before we began
        return b""
    if is_terminal(sys.stdin):
        warn(f"Reading {what} from stdin; Ctrl-D ends it.")
    return sys.stdin.buffer.read()


def warn_of_traceback(error: BaseException) -> None:
    """Writes where an error came from to stderr; its message may hold what a note or a file is called."""
    for line in "".join(traceback.format_exception(error)).splitlines():
        warn(line)


def warn_of_skipped(skipped: Sequence[Skipped], problems: Sequence[Skipped] = (), *, everything: bool) -> None:
    """Names on stderr what was skipped, and what was taken in spite of something wrong; the first ones or all."""
    shown = None if everything else _MOST_SKIPPED_SHOWN
    for entry in skipped[:shown]:
        warn(f"skipped  {entry.path}: {entry.reason}")
    for entry in problems[:shown]:
        warn(f"note     {entry.path}: {entry.reason}")
    hidden = sum(len(entries) - len(entries[:shown]) for entries in (skipped, problems))
    if hidden:
        warn(f"… and {hidden} more; --verbose lists them all")


def harmless(text: str) -> str:
    """Replaces what could make a terminal misbehave; lone surrogates too, which cannot be written at all."""
    return _UNSAFE.sub("\ufffd", text)


def counted(count: int, noun: str) -> str:
    """A number of things: "1 note", "2,000 notes"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def json_text(value: object, *, indent: int | None = None) -> str:
    """A value as JSON: exact to whoever reads it as such, and harmless to a terminal as it stands."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _UNSAFE_IN_JSON.sub(lambda match: json.dumps(match[0])[1:-1], text)


def _meant_or_replaced(match: re.Match[str]) -> str:
    return match[1] or "\ufffd"


def uses_colour(stream: TextIO) -> bool:
    """Says whether to colour what is written to a stream: a terminal, and NO_COLOR not set."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def is_terminal(stream: TextIO | None) -> bool:
    """Says whether a stream is a terminal; `None` stands for one that was closed before we began."""
    return stream is not None and stream.isatty()


def width(without_terminal: int = 80) -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size((without_terminal, 24)).columns


def paint(text: str, style: str) -> str:
    """Colours a text: `bold`, `dim`, `tag`, `path`, or a match that is `strong`, `fair` or `weak`."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if text else ""


def columns_of(text: str) -> int:
    """Columns that a text takes in a terminal: an East Asian character takes two."""
    if text.isascii():
        return len(text)
    return sum(
        2 if unicodedata.east_asian_width(char) in "WF" else 0 if unicodedata.combining(char) else 1 for char in text
    )


def fitted(text: str, width: int) -> str:
    """A text in exactly `width` columns of a terminal: padded with spaces, or cut."""
    text = harmless(text)
    if columns_of(text) > width:
        columns = accumulate(map(columns_of, text))
        text = text[: next(index for index, column in enumerate(columns) if column > width - 1)] + "…"
    return text + " " * (width - columns_of(text))


def wrapped(text: str, width: int, first: str = "", rest: str | None = None, style: str = "") -> list[str]:
    """Harmless lines of at most `width` columns of a terminal; a word is broken only if it is wider than a line.

    textwrap counts characters, and an East Asian one takes two columns.

    Args:
        text: The text.
        width: Columns of the terminal.
        first: Stands before the first line.
        rest: Stands before the others; the same, if it is not given.
        style: What `paint` colours them with.
    """
    rest = first if rest is None else rest
    lines, column = [first], len(first)
    for word in harmless(" ".join(text.split())).split():
        gap = " " if column > len(rest) else ""
        if column + len(gap) + columns_of(word) <= width:
            lines[-1] += gap + word
            column += len(gap) + columns_of(word)
        elif columns_of(word) <= width - len(rest):
            lines.append(rest + word)
            column = len(rest) + columns_of(word)
        else:
            if column + len(gap) + columns_of(word[0]) > width:
                lines.append(rest)
                column, gap = len(rest), ""
            for char in gap + word:
                if column + columns_of(char) > width:
                    lines.append(rest)
                    column = len(rest)
                lines[-1] += char
                column += columns_of(char)
    return [paint(line, style) for line in lines] if style else lines


def shown_path(path: str) -> str:
    """A harmless path, relative to the working directory or to the home directory where that is shorter."""
    folders = []
    with suppress(OSError):  # it may be gone
        folders.append((f"{Path.cwd()}{os.sep}", ""))
    with suppress(RuntimeError):  # a user may have none
        folders.append((f"{Path.home()}{os.sep}", f"~{os.sep}"))
    for folder, short in folders:
        if path.startswith(folder):
            path = short + path[len(folder) :]
            break
    return harmless(path)


def named(title: str, path: str) -> str:
    """A note as a line calls it: by its title, and its path beside it, which is given where others have that title."""
    return f"{title} [{shown_path(path)}]" if path else title


@contextmanager
def stage_progress(*, shown: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """A progress bar on stderr.

    Gives a function that takes what is being done, how much of it is done, and how much there is; or `None` where no
    bar is to be shown.
    """
    if not shown:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        current = ""

        def tell(what: str, done: int, total: int) -> None:
            nonlocal current
            if what != current:
                current = what
                bar.reset(task, description=what, total=total)
            bar.update(task, completed=done, total=total)

        yield tell


@contextmanager
def progress_bar(what: str, *, shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """As `stage_progress`, for a function that is told only how much is done, and how much there is."""
    with stage_progress(shown=shown) as tell:
        yield None if tell is None else lambda done, total: tell(what, done, total)
