"""reStructuredText: headings and code; hashtags and links are as in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from notesearch.notes.markdown import markdown_inline, markdown_without_tags
from notesearch.notes.structure import LineRange, LineTable, NoteFormat, Parsed, one_line

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*+[ \t]*$")
_CODE_DIRECTIVE = re.compile(r"[ \t]*\.\. (?:code|code-block|sourcecode|parsed-literal)::")


def _ranges(table: LineTable, first_line: int) -> Iterator[LineRange]:
    """Headings and literal blocks in the lines from `first_line` on."""
    # A level is known by its adornment, in the order in which the note uses them.
    styles: list[str] = []
    index = first_line
    while index < len(table):
        line = table.line(index)
        if not line or line.isspace():
            index += 1
            continue
        heading = heading_at(table, index)
        if heading:
            end, style, words = heading
            if style not in styles:
                styles.append(style)
            yield LineRange(index, end, "heading", styles.index(style) + 1, one_line(words))
            index = end
            continue
        is_directive = _CODE_DIRECTIVE.match(line) is not None
        if is_directive or (line.rstrip().endswith("::") and not line.lstrip().startswith("..")):
            end = _indented_end(table, index + 1, _indent(line))
            if end > index + 1:
                yield LineRange(index if is_directive else index + 1, end, "code")
            index = max(end, index + 1)
        else:
            index += 1


def heading_at(table: LineTable, index: int) -> tuple[int, str, str] | None:
    """One past the last line, the style, and the words of a heading that begins on a line."""
    over = _adornment(table, index)
    words_line = index + 1 if over else index
    if words_line + 1 >= len(table):
        return None
    words, under = table.line(words_line), _adornment(table, words_line + 1)
    if not under or not words.strip() or _adornment(table, words_line):
        return None
    if over:
        return (index + 3, over[0] * 2, words) if over == under else None
    # An underline shorter than its words is no heading, unless it is long enough to be nothing else.
    if words[0].isspace() or len(under) < min(4, len(words.rstrip())):
        return None
    return index + 2, under[0], words


def _adornment(table: LineTable, index: int) -> str:
    line = table.line(index)
    return line.rstrip() if len(line) >= 2 and _ADORNMENT.match(line) else ""


def _indented_end(table: LineTable, start: int, indent: int) -> int:
    end = start
    for index in range(start, len(table)):
        line = table.line(index)
        if line.strip():
            if _indent(line) <= indent:
                break
            end = index + 1
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


RST = NoteFormat(
    lambda table, first_line: Parsed(tuple(_ranges(table, first_line))), markdown_inline, markdown_without_tags
)
