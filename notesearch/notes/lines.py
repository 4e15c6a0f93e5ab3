"""Lines of a text as an editor counts them, and the way between offsets and line numbers."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right

# str.splitlines would also split at form feeds, U+2028 and others, which editors and grep do not count as line ends.
_LINE_END = re.compile(r"\r\n|\r|\n")


class LineTable:
    """Where each line of a text starts and ends; lines are counted from 0 here.

    Attributes:
        text: The text.
        starts: Offset of the first character of each line; an empty text has one line.
        ends: Offset one past the last character of each line, its line ending left out.
    """

    __slots__ = ("ends", "starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        # Arrays take a fifth of the memory of lists: a note may be nothing but line endings.
        self.starts = array("q", [0])
        self.ends = array("q")
        for match in _LINE_END.finditer(text):
            self.ends.append(match.start())
            self.starts.append(match.end())
        self.ends.append(len(text))

    def __len__(self) -> int:
        return len(self.starts)

    def line_at(self, offset: int) -> int:
        """The line that holds the character at an offset; a line ending belongs to the line that it ends."""
        return bisect_right(self.starts, offset) - 1

    def first_line_from(self, offset: int) -> int:
        """The first line that starts at or after an offset; the number of lines where there is none."""
        return bisect_left(self.starts, offset)

    def line(self, index: int) -> str:
        """The characters of a line, without its line ending."""
        return self.text[self.starts[index] : self.ends[index]]
