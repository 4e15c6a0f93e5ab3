"""From marked lines to blocks: what every note format shares.

A format only has to say which lines are headings, code, or belong together; the rest are paragraphs between blank
lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from notesearch.notes.lines import LineTable
from notesearch.records import Block, BlockKind
from notesearch.words import storable

# A title is put before every passage and shown in every hit, so a runaway one must not swamp them.
MAX_TITLE_CHARS = 300


class LineRange(NamedTuple):
    """Lines `first` (inclusive, from 0) to `end` (exclusive) that form one block, or are hidden and form none."""

    first: int
    end: int
    kind: BlockKind | Literal["hidden"]
    level: int = 0
    title: str = ""


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
