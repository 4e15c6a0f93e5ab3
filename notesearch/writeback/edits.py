"""One change to a text; its lines; and more tags in text with commas or spaces between them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from notesearch.notes.tags import hide_whole, split_tags

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class TextEdit:
    """A piece of a text and what takes its place.

    Attributes:
        start: First character of the piece.
        end: One past its last character.
        inserted: The characters that take its place.
    """

    start: int
    end: int
    inserted: str

    def applied_to(self, text: str) -> str:
        """The text after the change."""
        return text[: self.start] + self.inserted + text[self.end :]

    def shifted(self, offset: int) -> TextEdit:
        """The same change to a text that has this many characters more in front."""
        return replace(self, start=self.start + offset, end=self.end + offset)


def difference(before: str, after: str) -> TextEdit:
    """The smallest change that leads from one text to another."""
    start = shared_length(before, after)
    tail = shared_length(before[start:][::-1], after[start:][::-1])
    return TextEdit(start, len(before) - tail, after[start : len(after) - tail])


def shared_length(first: Sequence[str], second: Sequence[str]) -> int:
    """How many items two sequences have in common at their beginning."""
    shorter = min(len(first), len(second))
    return next((index for index in range(shorter) if first[index] != second[index]), shorter)


def line_start(text: str, position: int) -> int:
    """The first character of the line that holds a position."""
    return max(text.rfind("\r", 0, position), text.rfind("\n", 0, position)) + 1


def line_end(text: str, position: int) -> int:
    """One past the last character of the line that holds a position, its line ending left out."""
    found = _LINE_END.search(text, position)
    return found.start() if found else len(text)


def newline_above(text: str, start: int) -> str:
    """The ending of the line above one that starts here; a line feed on the first line."""
    if text.endswith("\r\n", 0, start):
        return "\r\n"
    return "\r" if text.endswith("\r", 0, start) else "\n"


def newline_of(text: str, position: int) -> str:
    """The ending of the line that holds a position; of the line above where the text ends without one."""
    found = _LINE_END.search(text, position)
    return found[0] if found else newline_above(text, line_start(text, position))


def more_words(written: str, tags: Sequence[str]) -> str:
    """What to put behind such text to add tags to it; empty where only a list can hold them."""
    if "," in hide_whole(written):
        joiner = ", " if ", " in written else ","
        first = joiner.removeprefix(",") if written.rstrip().endswith(",") else joiner
        return "" if any("," in tag for tag in tags) else first + joiner.join(tags)
    # A single word does not say whether commas or spaces are meant to follow.
    if len(split_tags(written)) < 2 or any("," in tag or " " in tag for tag in tags):
        return ""
    return f" {' '.join(tags)}"
