"""What an Org note says of itself: keywords, property drawers, planning lines. Other programs read them, people do not.

They are hidden, as front matter is: no words to embed or to find. What a person has written stays: captions,
descriptions, other names of the note, and what stands in drawers of one's own and in notes of a logbook.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field

from notesearch.notes.lines import LineTable
from notesearch.notes.structure import LineRange

_KEYWORD = re.compile(r"[ \t]*#\+(\w{1,40}):(.*)")
_TEXT_KEYWORDS = ("title", "subtitle", "description", "caption")
_BLOCK_EDGE = re.compile(r"[ \t]*#\+(?:begin|end)_\w", re.IGNORECASE)
_DRAWER = re.compile(r"[ \t]*:([\w-]{1,40}):[ \t]*$")
_PROPERTY = re.compile(r"[ \t]*:([^\s:]{1,40}):[ \t]+(\S.*)")
_TEXT_PROPERTIES = ("roam_aliases",)
_DATE_PROPERTIES = ("created", "date")
_PLANNING = re.compile(r"[ \t]*(?:(?:CLOSED|SCHEDULED|DEADLINE):[ \t]*(?:<[^<>]*>|\[[^\[\]]*\])[ \t]*)+$")
# Lines that Org writes into a logbook; a note of the owner's may stand below one.
_LOGGED = re.compile(
    r"[ \t]*(?:CLOCK:|- (?:State \"|Rescheduled from|Not scheduled|New deadline|Removed deadline|Refiled on"
    r"|Note taken on|CLOSING NOTE))",
)


@dataclass(slots=True)
class OrgMetadata:
    """What an Org note says of itself.

    Attributes:
        values: The keywords by their name in lower case, the first of a kind; and dates from the drawer at the top.
        ids: The `:ID:` of the note and of its headings.
        hidden: The lines that say it, ascending.
    """

    values: dict[str, str] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    hidden: list[LineRange] = field(default_factory=list)


def read_org_metadata(table: LineTable, first_line: int, marked: Iterable[LineRange]) -> OrgMetadata:
    """Reads what an Org note says of itself.

    Args:
        table: The lines of the note.
        first_line: Where its own text begins.
        marked: Its headings and code, in which nothing is looked for.
    """
    headings: set[int] = set()
    taken: set[int] = set()
    for lines in marked:
        (headings if lines.kind == "heading" else taken).update(range(lines.first, lines.end))
    found = OrgMetadata()
    filetags: list[str] = []
    drawers = dict(_drawers(table, first_line, headings, taken))
    in_properties_until = -1
    before_headings = True
    for index in range(first_line, len(table)):
        line = table.line(index)
        if index in taken or index in headings:
            # `#+title:` counts as a heading, but stands above the first one.
            before_headings = before_headings and not line.startswith("*")
            continue
        if drawer := drawers.get(index):
            if drawer[0] == "properties":
                in_properties_until = drawer[1]
            hides = True
        elif index <= in_properties_until:
            hides = _read_property(line, found, is_of_note=before_headings)
        elif keyword := _KEYWORD.match(line):
            name, value = keyword[1].lower(), keyword[2].strip()
            if name == "filetags":
                filetags.append(value)
            else:
                found.values.setdefault(name, value)
            hides = name not in _TEXT_KEYWORDS
        else:
            is_planning = index - 1 in headings and _PLANNING.match(line)
            hides = bool(is_planning or _BLOCK_EDGE.match(line) or _LOGGED.match(line))
        if hides and line.strip():
            found.hidden.append(LineRange(index, index + 1, "hidden"))
    if filetags:
        found.values["filetags"] = " ".join(filetags)
    # `#+title:` is read as a heading; `#+tags:` lists the tags that one may use, not those of the note.
    for key in ("title", "tags"):
        found.values.pop(key, None)
    return found


def _drawers(
    table: LineTable, first_line: int, headings: Set[int], taken: Set[int]
) -> Iterator[tuple[int, tuple[str, int]]]:
    """The first and last lines of drawers, with the name and the last line of each; none holds a heading or another."""
    name, start = "", -1
    for index in range(first_line, len(table)):
        if index in headings:
            start = -1
        elif index not in taken and (edge := _DRAWER.match(table.line(index))):
            if edge[1].lower() != "end":
                name, start = edge[1].lower(), index
            elif start >= 0:
                yield start, (name, index)
                yield index, ("", index)
                start = -1


def _read_property(line: str, found: OrgMetadata, *, is_of_note: bool) -> bool:
    """Reads a line of a property drawer; says whether it is hidden."""
    written = _PROPERTY.match(line)
    if not written:
        return True
    key, value = written[1].lower(), written[2].strip()
    if key == "id":
        found.ids.append(value)
    if is_of_note and key in _DATE_PROPERTIES:
        found.values.setdefault(key, value)
    return key not in _TEXT_PROPERTIES
