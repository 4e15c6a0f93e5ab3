"""Tags in an Org note without front matter: its line `#+filetags: :a:b:`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from notesearch.errors import NoteNotWritable
from notesearch.notes.org import org_ranges
from notesearch.notes.structure import LineTable
from notesearch.writeback.edits import TextEdit, newline_above, newline_of

_TAG = re.compile(r"[\w@#%]+")
_NAME = "#+filetags:"
_COMMENT = re.compile(r"#(?:[ \t]|$)")
_PROPERTY = re.compile(r"[ \t]*:(?!end:)[^\s:]+:", re.IGNORECASE)
_UPPER = re.compile(r"#\+[A-Z]")
# Keywords for the whole file; the others speak of what stands below them.
_FILE_KEYWORD = re.compile(
    r"#\+(?!(?:caption|name|headers?|results?|attr_\w+|plot|data|label|source|srcname|tblname|resname|begin|call):)\w+:",
    re.IGNORECASE,
)


def org_tag_edit(text: str, tags: Sequence[str]) -> TextEdit:
    """Find the change that adds tags to an Org note.

    Args:
        text: The note.
        tags: What to add, at least one.

    Returns:
        The change.

    Raises:
        NoteNotWritable: A tag holds what Org tags cannot hold; the message is a short reason.
    """
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise NoteNotWritable(f"an Org tag holds only letters, digits, _, @, # and %, not {tag!r}")
    table = LineTable(text)
    index = _tag_line(table)
    if index is None:
        return _new_line(table, tags)
    name, written = table.line(index)[: len(_NAME)], table.line(index)[len(_NAME) :].rstrip()
    place = table.starts[index] + len(name) + len(written)
    return TextEdit(place, place, _more(written, tags))


def without_tag_line(text: str) -> str:
    """An Org note without its first line of tags, and without the line ends around it."""
    table = LineTable(text)
    index = _tag_line(table)
    if index is None:
        return text.strip("\r\n")
    following = table.starts[index + 1] if index + 1 < len(table) else len(text)
    return (text[: table.starts[index]] + text[following:]).strip("\r\n")


def _tag_line(table: LineTable) -> int | None:
    """The first line of tags that is not in code."""
    lines = (index for index in range(len(table)) if table.line(index)[: len(_NAME)].lower() == _NAME)
    first = next(lines, None)
    if first is None:
        return None
    code = {index for lines in org_ranges(table, 0) if lines.kind == "code" for index in range(lines.first, lines.end)}
    return next((index for index in (first, *lines) if index not in code), None)


def _more(written: str, tags: Sequence[str]) -> str:
    """What to put behind the tags of a line."""
    if not written.strip():
        return f" :{':'.join(tags)}:"
    if written.endswith(":"):
        return f"{':'.join(tags)}:"
    joiner = ":" if ":" in written else " "
    return joiner + joiner.join(tags)


def _new_line(table: LineTable, tags: Sequence[str]) -> TextEdit:
    """A line below the other keywords at the top, or below the drawer and the comments that must come first."""
    index = _lines_that_match(_COMMENT, table, 0)
    index = _lines_that_match(_FILE_KEYWORD, table, _behind_drawer(table, index))
    is_upper = index > 0 and bool(_UPPER.match(table.line(index - 1)))
    line = f"#+{'FILETAGS' if is_upper else 'filetags'}: :{':'.join(tags)}:"
    if index == len(table):  # the last line has no line ending, and is to have none
        return TextEdit(len(table.text), len(table.text), newline_above(table.text, table.starts[-1]) + line)
    place = table.starts[index]
    return TextEdit(place, place, line + (newline_above(table.text, place) if index else newline_of(table.text, 0)))


def _lines_that_match(pattern: re.Pattern[str], table: LineTable, index: int) -> int:
    """The first line from `index` on that does not match."""
    while index < len(table) and pattern.match(table.line(index)):
        index += 1
    return index


def _behind_drawer(table: LineTable, index: int) -> int:
    """The line below the property drawer that begins on a line; that line itself where none does."""
    if index < len(table) and table.line(index).strip().upper() == ":PROPERTIES:":
        end = _lines_that_match(_PROPERTY, table, index + 1)
        if end < len(table) and table.line(end).strip().upper() == ":END:":
            return end + 1
    return index
