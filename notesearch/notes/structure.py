"""Lines and blocks: what the readers of all formats share."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from notesearch.records import Block, BlockKind, Link
from notesearch.words import storable

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


# A title is put before every passage and shown in every hit, so a runaway one must not swamp them.
MAX_TITLE_CHARS = 300


class LineRange(NamedTuple):
    """Lines `first` (inclusive, from 0) to `end` (exclusive) that form one block, or are hidden and form none."""

    first: int
    end: int
    kind: BlockKind | Literal["hidden"]
    level: int = 0
    title: str = ""


class Written(NamedTuple):
    """A property as its note holds it.

    Attributes:
        name: The key; of mappings within others, all keys on the way, with dots between.
        value: What stands there.
        in_text: Whether the value is text of the note besides, which is found without it.
    """

    name: str
    value: object
    in_text: bool


class Parsed(NamedTuple):
    """What the lines of a note say in its format.

    Attributes:
        ranges: Headings, code, what belongs together, and what is hidden; ascending and disjoint.
        values: Keywords and properties, as front matter has them, by their names in lower case.
        tags: The tags of the whole note.
        ids: By which links of the kind `id` may call it.
        properties: What it says of itself in keys and values.
    """

    ranges: Sequence[LineRange]
    values: Mapping[str, str] = MappingProxyType({})
    tags: Sequence[str] = ()
    ids: Sequence[str] = ()
    properties: Sequence[Written] = ()


class NoteFormat(NamedTuple):
    """How notes of a format are read.

    Attributes:
        parse: Reads the lines of a note from one on, where its body begins.
        inline: The tags and links in a block that is not code, given its text and its offset in the note.
        without_tags: A passage, a title or a heading without the tags in it.
        tags_parts: Whether the tags in a block are of the part of the note that it begins, not of the whole note.
        references: The links whose targets are defined elsewhere in the note, given its blocks that are not code, and
            their offsets; `None` where there are none such.
        version: Raise it when notes of the format are read differently than before: they are then read again.
    """

    parse: Callable[[LineTable, int], Parsed]
    inline: Callable[[str, int], tuple[list[str], list[Link]]]
    without_tags: Callable[[str], str]
    tags_parts: bool = False
    references: Callable[[Sequence[tuple[str, int]]], list[Link]] | None = None
    version: int = 0


def assemble(table: LineTable, ranges: Iterable[LineRange], first_line: int) -> tuple[Block, ...]:
    """Turn marked lines into blocks, and all lines between them into paragraphs.

    Args:
        table: The lines of the note.
        ranges: Marked lines, ascending and disjoint.
        first_line: Line on which the body begins.

    Returns:
        Blocks that together hold every non-blank character from `first_line` on that is not hidden.
    """
    blocks: list[Block] = []
    line = first_line
    for marked in ranges:
        blocks.extend(_paragraphs(table, line, marked.first))
        blocks.extend(_block(table, marked))
        line = marked.end
    blocks.extend(_paragraphs(table, line, len(table)))
    return tuple(blocks)


def one_line(words: str) -> str:
    """A title as one line of bounded length, without characters that cannot be stored."""
    shortened = " ".join(words[: 4 * MAX_TITLE_CHARS].split())[:MAX_TITLE_CHARS].rstrip()
    return storable(shortened)


def _paragraphs(table: LineTable, first: int, end: int) -> Iterator[Block]:
    start = first
    for index in range(first, end):
        if not table.line(index).strip():
            if start < index:
                yield from _block(table, LineRange(start, index, "paragraph"))
            start = index + 1
    yield from _block(table, LineRange(start, end, "paragraph"))


def _block(table: LineTable, marked: LineRange) -> Iterator[Block]:
    first, end = marked.first, marked.end
    while first < end and not table.line(first).strip():
        first += 1
    while first < end and not table.line(end - 1).strip():
        end -= 1
    if first < end and marked.kind != "hidden":
        yield Block(marked.kind, table.starts[first], table.ends[end - 1], marked.level, marked.title)
