"""Blocks of a Markdown note."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from notesearch.notes.inline import heading_words
from notesearch.notes.lines import LineTable
from notesearch.notes.structure import LineRange

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

# markdown-it needs up to 60 µs a line on adversarial input; larger notes are exports and logs, for which headings,
# fences and blank lines say enough.
MAX_PARSED_CHARS = 200_000
MAX_PARSED_LINES = 20_000
# It fills up each row of a table to the width of the first, so a wide line and many short ones make millions of cells.
# Where these are written out, each takes more than a character.
_FEW_CELLS = 1_000
# Each level reads its lines again. What is nested deeper stays part of the block around it.
_MAX_NESTING = 12
_RAW_HTML = ("<script", "<style", "<pre", "<textarea")


def markdown_ranges(table: LineTable, first_line: int) -> Iterator[LineRange]:
    """Headings, code, and what belongs together (a list, a table, a quotation) in the lines from `first_line` on."""
    body = table.text[table.starts[first_line] :]
    is_huge = len(body) > MAX_PARSED_CHARS or len(table) - first_line > MAX_PARSED_LINES
    if is_huge or ("|" in body and _most_cells(table, first_line) > len(body) + _FEW_CELLS):
        return _scanned_ranges(table, first_line)
    return _parsed_ranges(body, first_line)


def _most_cells(table: LineTable, first_line: int) -> int:
    """An upper bound for the cells of all tables, which end at a blank line."""
    cells = rows = columns = 0
    for index in range(first_line, len(table)):
        line = table.line(index)
        if line.strip():
            rows += 1
            columns = max(columns, line.count("|") + 1)
        else:
            cells += rows * columns
            rows = columns = 0
    return cells + rows * columns


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Without inline parsing, which would take most of the time; without reference definitions, which are text to find.
    parser = MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable("table")
    return parser.disable(["inline", "text_join", "reference"])


def _parsed_ranges(body: str, first_line: int) -> Iterator[LineRange]:
    tokens = _parser().parse(body)
    line = top_end = first_line
    for index, token in enumerate(tokens):
        is_code = token.type in ("fence", "code_block") or (
            token.type == "html_block" and token.content.lstrip().lower().startswith(_RAW_HTML)
        )
        if token.map is None or (token.level and not is_code):
            continue
        first, end = max(line, first_line + token.map[0]), first_line + token.map[1]
        if not token.level:
            yield LineRange(line, top_end, "paragraph")
            line, top_end = first, end
        if is_code:
            # Code within a list or a quotation divides it, so that the code can stay whole when the list is cut.
            yield LineRange(line, first, "paragraph")
            yield LineRange(first, end, "code")
            line = end
        elif token.type == "heading_open":
            yield LineRange(first, end, "heading", int(token.tag[1]), heading_words(tokens[index + 1].content))
            line = end
    yield LineRange(line, top_end, "paragraph")


def _scanned_ranges(table: LineTable, first_line: int) -> Iterator[LineRange]:
    fence, fence_line = "", 0
    for index in range(first_line, len(table)):
        line = table.line(index).lstrip(" ")
        if fence:
            if line.startswith(fence) and not line.strip(f"{fence[0]} \t"):
                yield LineRange(fence_line, index + 1, "code")
                fence = ""
        elif line.startswith(("```", "~~~")):
            fence, fence_line = line[: len(line) - len(line.lstrip(line[0]))], index
        elif line.startswith("#"):
            words = line.lstrip("#")
            level = len(line) - len(words)
            if level <= 6 and words[:1] in ("", " ", "\t"):
                yield LineRange(index, index + 1, "heading", level, heading_words(_without_closing(words.strip())))
    if fence:
        yield LineRange(fence_line, len(table), "code")


def _without_closing(words: str) -> str:
    bare = words.rstrip("#")
    return bare.rstrip() if not bare or bare[-1] in " \t" else words
