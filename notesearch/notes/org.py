"""Org: blocks, links, tags, keywords and properties."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field

from notesearch.notes.markdown import hashtags, relative_target
from notesearch.notes.structure import LineRange, LineTable, one_line
from notesearch.records import Link

# Deeper headings count as this deep: heading paths stay short.
_MAX_LEVEL = 9
_CODE_BLOCK = re.compile(r"[ \t]*#\+(begin|end)_(src|example)\b", re.IGNORECASE)
_TASK_STATE = re.compile(r"(?:TODO|DONE|NEXT|WAITING|CANCELLED)[ \t]+")
_PRIORITY = re.compile(r"\[#[A-Z0-9]\][ \t]*")
_LINK = re.compile(r"\[\[([^\[\]\r\n]+)\](?:\[([^\[\]]+)\])?\]")
_EXTERNAL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:")


def org_ranges(table: LineTable, first_line: int) -> Iterator[LineRange]:
    """Headings (`#+title:` among them) and code blocks in the lines from `first_line` on."""
    code_line, code_kind = -1, ""
    for index in range(first_line, len(table)):
        line = table.line(index)
        boundary = _CODE_BLOCK.match(line)
        heading = _heading(line)
        if heading:
            level, words, _ = heading
            yield LineRange(index, index + 1, "heading", min(level, _MAX_LEVEL), one_line(words))
            # As in Org itself, a heading ends the block it stands in, which then is text; code has `,*` there.
            code_line = -1
        elif boundary:
            edge, kind = boundary[1].lower(), boundary[2].lower()
            if edge == "begin" and code_line < 0:
                code_line, code_kind = index, kind
            elif edge == "end" and kind == code_kind and code_line >= 0:
                yield LineRange(code_line, index + 1, "code")
                code_line = -1
        elif code_line < 0 and line[:8].lower() == "#+title:":
            yield LineRange(index, index + 1, "heading", 1, one_line(line[8:]))


def org_hashtags(text: str) -> list[str]:
    """The hashtags of a block, without the `[#A]` of a heading's priority."""
    return list(hashtags(_PRIORITY.sub("", text)))


def org_heading_tags(line: str) -> list[str]:
    """The tags at the end of a heading line: `* Words  :a:b:`."""
    heading = _heading(line)
    return heading[2] if heading else []


def split_org_tags(written: str) -> list[str]:
    """The tags of `:a:b:`, or of `a b`."""
    return [tag for tag in written.replace(" ", ":").split(":") if tag]


def org_links(text: str, offset: int = 0) -> list[Link]:
    """The links to other notes in a block, `[[file:other.org][words]]`, `[[id:…][words]]` and `[[Name]]`.

    Args:
        text: The block.
        offset: Of the block in the note's text.
    """
    found: list[Link] = []
    for match in _LINK.finditer(text):
        written = match[1].removeprefix("file:").partition("::")[0].strip()
        anchor = " ".join((match[2] or "").split())
        target = relative_target(written)
        start, end = offset + match.start(), offset + match.end()
        if target:
            found.append(Link(target, anchor or target, "relative", start, end))
        elif written.startswith("id:") and written[3:]:
            found.append(Link(written[3:], anchor, "id", start, end))
        elif not (match[1].startswith(("file:", "*", "#", "/", ".")) or _EXTERNAL.match(written)):
            found.append(Link(written, anchor or written, "wiki", start, end))
    return found


def _heading(line: str) -> tuple[int, str, list[str]] | None:
    """Level, words and tags of a heading line."""
    words = line.lstrip("*")
    level = len(line) - len(words)
    if not level or words[:1] not in (" ", "\t"):
        return None
    words = words.strip()
    last = words.rsplit(maxsplit=1)[-1:]
    tags: list[str] = []
    if last and len(last[0]) > 2 and last[0][0] == last[0][-1] == ":":
        tags = split_org_tags(last[0])
        words = words[: -len(last[0])].rstrip()
    return level, _PRIORITY.sub("", _without_state(words), count=1), tags


def _without_state(words: str) -> str:
    state = _TASK_STATE.match(words)
    return words[state.end() :] if state else words


# What an Org note says of itself: keywords, property drawers, planning lines. Other programs read them, people do not.

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
