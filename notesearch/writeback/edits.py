"""One change to a text, and what lists share in every notation: where one more item goes, how it is quoted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class Quoting:
    """How the items of a list are quoted.

    Attributes:
        always: The quotation mark that all items have; empty where some have none.
        needed: The mark for an item that cannot do without.
    """

    always: str = ""
    needed: str = '"'


def quoting_of(marks: Sequence[str]) -> Quoting:
    """The habit of a list whose items have these quotation marks (an empty string for none)."""
    used = [mark for mark in marks if mark]
    return Quoting(marks[0] if len(set(marks)) == 1 else "", used[-1] if used else '"')


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


def double_quoted(word: str) -> str:
    """A word in double quotation marks, as YAML, TOML and JSON write it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def words_between(written: str) -> list[str]:
    """The tags in text that has commas or spaces between them."""
    words = (word.strip() for word in written.split("," if "," in written else None))
    return [word for word in words if word]


def more_words(written: str, tags: Sequence[str]) -> str:
    """What to put behind such text to add tags to it; empty where only a list can hold them."""
    if "," in written:
        joiner = ", " if ", " in written else ","
        first = joiner.removeprefix(",") if written.rstrip().endswith(",") else joiner
        return "" if any("," in tag for tag in tags) else first + joiner.join(tags)
    # A single word does not say whether commas or spaces are meant to follow.
    if len(written.split()) < 2 or any("," in tag or " " in tag for tag in tags):
        return ""
    return f" {' '.join(tags)}"


def extend_brackets(text: str, opening: int, items: Sequence[tuple[int, int]], written: Sequence[str]) -> TextEdit:
    """Put more items at the end of a list in brackets, on one line or on many.

    Args:
        text: The text that holds the list, whose items are divided by commas and whose comments begin with `#`.
        opening: The opening bracket.
        items: Start and end of each item, in order.
        written: The new items as they are to stand there, at least one.

    Returns:
        The change.
    """
    if not items:
        inner = text[opening + 1 : text.index("]", opening)]
        end = opening + 1 + (0 if inner.strip() else len(inner))
        space = " " if inner.startswith("#") else ""
        return TextEdit(opening + 1, end, ", ".join(written) + space)
    start, end = items[-1]
    gap = text[items[-2][1] if len(items) > 1 else opening + 1 : start]
    if _LINE_END.search(gap):
        return _add_lines(text, end, text[line_start(text, start) : start], written)
    separator = gap if len(items) > 1 else ", "
    return TextEdit(end, end, "".join(separator + item for item in written))


def _add_lines(text: str, end: int, prefix: str, written: Sequence[str]) -> TextEdit:
    """Put items on lines of their own below the last item, which ends at `end`; its comment stays beside it."""
    below = newline_of(text, end) + prefix
    end_of_line = line_end(text, end)
    behind = text[end:end_of_line]
    comma_leads = "," in prefix
    lines = below + (below if comma_leads else f",{below}").join(written)
    if behind.lstrip(", \t").startswith("]"):
        return TextEdit(end, end, lines if comma_leads else f",{lines}")
    if comma_leads:
        return TextEdit(end_of_line, end_of_line, lines)
    if behind.lstrip().startswith(","):
        return TextEdit(end_of_line, end_of_line, f"{lines},")
    return TextEdit(end, end_of_line, f",{behind}{lines}")
