"""Org: blocks, links, tags, keywords and properties."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set

from notesearch.notes.dates import is_date_key
from notesearch.notes.markdown import hashtags, markdown_without_tags
from notesearch.notes.structure import LineRange, LineTable, NoteFormat, Parsed, Written, one_line
from notesearch.notes.written_links import relative_target
from notesearch.records import Link

# Deeper headings count as this deep: heading paths stay short.
_MAX_LEVEL = 9
_CODE_BLOCK = re.compile(r"[ \t]*#\+(begin|end)_(src|example)\b", re.IGNORECASE)
# Where a file does not name its own.
_STATES = frozenset(("TODO", "DONE", "NEXT", "WAITING", "CANCELLED"))
_STATES_LINE = re.compile(r"[ \t]*#\+(?:seq_|typ_)?todo:(.*)", re.IGNORECASE)
_PRIORITY = re.compile(r"\[#(?:[A-Z]|\d{1,2})\][ \t]*")
_COMMENT = re.compile(r"COMMENT(?:[ \t]+|$)")
_COOKIE = re.compile(r"(?<![ \t])[ \t]*\[(?:\d*%|\d*/\d*)\]")
_HEADING_TAGS = re.compile(r":[\w@#%:]+:")
_LINK = re.compile(r"\[\[([^\[\]\r\n]+)\](?:\[([^\[\]]+)\])?\]")
_EXTERNAL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:")


def org_ranges(table: LineTable, first_line: int) -> list[LineRange]:
    """Headings (`#+title:` among them) and code blocks in the lines from `first_line` on."""
    ranges = list(_ranges(table, first_line))
    states = _states(table, first_line, ranges)
    return [
        lines._replace(title=_title(lines.title, states))
        if lines.kind == "heading" and table.line(lines.first).startswith("*")
        else lines
        for lines in ranges
    ]


def _ranges(table: LineTable, first_line: int) -> Iterator[LineRange]:
    """The same, with the words of headings as they stand there."""
    code_line, code_kind = -1, ""
    for index in range(first_line, len(table)):
        line = table.line(index)
        boundary = _CODE_BLOCK.match(line)
        heading = _heading(line)
        if heading:
            level, words, _ = heading
            yield LineRange(index, index + 1, "heading", min(level, _MAX_LEVEL), words)
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


def _states(table: LineTable, first_line: int, ranges: Iterable[LineRange]) -> Set[str]:
    """The states of tasks that the file names, `#+TODO: OPEN(o@) | SHUT`; those that are usual where it names none."""
    code = {index for lines in ranges if lines.kind == "code" for index in range(lines.first, lines.end)}
    found = (_STATES_LINE.match(table.line(index)) for index in range(first_line, len(table)) if index not in code)
    words = [word.partition("(")[0] for line in found if line for word in line[1].split()]
    return set(words) - {"|"} or _STATES


def _title(words: str, states: Set[str]) -> str:
    """The words of a heading without its state, priority, `COMMENT` and how much of it is done, which come in order."""
    first, _, rest = words.partition(" ")
    if first in states and rest:
        words = rest.lstrip()
    for mark in (_PRIORITY, _COMMENT):
        if found := mark.match(words):
            words = words[found.end() :]
    return one_line(_COOKIE.sub("", words))


def _inline(text: str, offset: int) -> tuple[list[str], list[Link]]:
    """The tags and hashtags of a block, without the `[#A]` of a heading's priority, and its links."""
    heading = _heading(text)
    return [*(heading[2] if heading else ()), *hashtags(_PRIORITY.sub("", text))], _links(text, offset)


def _split_tags(written: str) -> list[str]:
    """The tags of `:a:b:`, or of `a b`."""
    return [tag for tag in re.split(r"[:\s]+", written) if tag]


def _links(text: str, offset: int) -> list[Link]:
    """The links to other notes in a block, `[[file:other.org][words]]`, `[[id:…][words]]` and `[[Name]]`."""
    found: list[Link] = []
    for match in _LINK.finditer(text):
        written = match[1].removeprefix("file:").partition("::")[0].strip()
        anchor = " ".join((match[2] or "").split())
        target = relative_target(written, needs_suffix=True)
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
    if not level or words[:1] != " ":
        return None
    words = words.strip()
    last = words.rsplit(maxsplit=1)[-1:]
    if not last or not _HEADING_TAGS.fullmatch(last[0]):
        return level, words, []
    return level, words[: -len(last[0])].rstrip(), _split_tags(last[0])


# What an Org note says of itself: keywords, property drawers, planning lines. Other programs read them, people do not.

_KEYWORD = re.compile(r"[ \t]*#\+(\w{1,40}):(.*)")
_TEXT_KEYWORDS = ("title", "subtitle", "description", "caption")
# Keywords that say how to show, export or compute something.
_SETTING = re.compile(
    r"startup|options|property|columns|macro|bind|link|setupfile|include|results?|(?:tbl)?name|tblfm|plot|call|header"
    r"|archive|priorities|constants|(?:seq_|typ_)?todo|(?:select_|exclude_)?tags|toc|caption|headline|\w*index|attr_\w+"
    r"|export_\w+|(?:latex|html|odt|md|beamer|texinfo|ascii|man|reveal|hugo_\w*front_matter)\w*|(?:print_)?bibliography"
    r"|cite_export|begin_\w+|end_\w+"
)
_BLOCK_EDGE = re.compile(r"[ \t]*#\+(?:begin|end)_\w", re.IGNORECASE)
_DRAWER = re.compile(r"[ \t]*:([\w-]{1,40}):[ \t]*$")
_PROPERTY = re.compile(r"[ \t]*:([^\s:]{1,40}):[ \t]+(\S.*)")
_NODE_PROPERTY = re.compile(r"[ \t]*:\S+:(?:[ \t]|$)")
_NO_TEXT = re.compile(r"[ \t]*#(?:[ \t]|$)")
_TEXT_PROPERTIES = ("roam_aliases",)
_PLANNING = re.compile(r"[ \t]*(?:(?:CLOSED|SCHEDULED|DEADLINE):[ \t]*(?:<[^<>]*>|\[[^\[\]]*\])[ \t]*)+$")
# Lines that Org writes into a logbook; a note of the owner's may stand below one.
_LOGGED = re.compile(
    r"[ \t]*(?:CLOCK:|- (?:State \"|Rescheduled from|Not scheduled|New deadline|Removed deadline|Refiled on"
    r"|Note taken on|CLOSING NOTE))",
)


def _parse(table: LineTable, first_line: int) -> Parsed:
    """Blocks and metadata: keywords, property drawers, planning lines and log entries, which are hidden."""
    marked = list(org_ranges(table, first_line))
    headings = {index for lines in marked if lines.kind == "heading" for index in range(lines.first, lines.end)}
    code = {index for lines in marked if lines.kind == "code" for index in range(lines.first, lines.end)}
    drawers = dict(_drawers(table, first_line, headings, code))
    property_drawers = {
        start
        for start, (name, end) in drawers.items()
        if name == "properties" and _holds_properties(table, first_line, start, end)
    }
    values: dict[str, str] = {}
    tags: list[str] = []
    ids: list[str] = []
    properties: list[Written] = []
    in_properties_until = -1
    before_headings = True
    for index in range(first_line, len(table)):
        line = table.line(index)
        if index in code or index in headings:
            # `#+title:` counts as a heading, but stands above the first one; Org joins several.
            before_headings = before_headings and not line.startswith("*")
            if index in headings and line.startswith("#"):
                values["title"] = f"{values.get('title', '')} {line[8:]}".strip()
            continue
        if drawer := drawers.get(index):
            if index in property_drawers:
                in_properties_until = drawer[1]
            hides = True
        elif index <= in_properties_until:
            key, value = (written[1].lower(), written[2].strip()) if (written := _PROPERTY.match(line)) else ("", "")
            if key == "id":
                ids.append(value)
            if before_headings and is_date_key(key):
                values.setdefault(key, value)
            hides = key not in _TEXT_PROPERTIES
            properties.append(Written(written[1] if written else "", value, not hides))
        elif keyword := _KEYWORD.match(line):
            key, value = keyword[1].lower(), keyword[2].strip()
            if key == "filetags":
                tags += _split_tags(value)
            # `#+title:` is read as a heading; `#+tags:` lists the tags that one may use, not those of the note.
            elif key not in ("title", "tags"):
                values.setdefault(key, value)
            hides = key not in _TEXT_KEYWORDS
            if not _SETTING.fullmatch(key):
                properties.append(Written(keyword[1], value, not hides))
        else:
            is_planning = index - 1 in headings and _PLANNING.match(line)
            hides = bool(is_planning or _BLOCK_EDGE.match(line) or _LOGGED.match(line))
        if hides and line.strip():
            marked.append(LineRange(index, index + 1, "hidden"))
    return Parsed(sorted(marked), values, tags, ids, properties)


def _drawers(
    table: LineTable, first_line: int, headings: Set[int], code: Set[int]
) -> Iterator[tuple[int, tuple[str, int]]]:
    """The first and last lines of drawers, with the name and the last line of each; none holds a heading or another."""
    name, start = "", -1
    for index in range(first_line, len(table)):
        if index in headings:
            start = -1
        elif index not in code and (edge := _DRAWER.match(table.line(index))):
            if edge[1].lower() != "end":
                name, start = edge[1].lower(), index
            elif start >= 0:
                yield start, (name, index)
                yield index, ("", index)
                start = -1


def _holds_properties(table: LineTable, first_line: int, start: int, end: int) -> bool:
    """Whether a drawer is that of a heading or of the file: right below the heading, or with comments only above."""
    above = start - 1
    if above > first_line and _PLANNING.match(table.line(above)):
        above -= 1
    is_placed = (above >= first_line and _heading(table.line(above))) or all(
        _NO_TEXT.match(table.line(index)) for index in range(first_line, start)
    )
    return bool(is_placed) and all(_NODE_PROPERTY.match(table.line(index)) for index in range(start + 1, end))


_FILE_TAGS = re.compile(r"(?mi)^[ \t]*#\+filetags:[^\r\n]*")


def _without_tags(text: str) -> str:
    lines = map(_without_heading_tags, text.splitlines(keepends=True))
    return markdown_without_tags(_FILE_TAGS.sub("", "".join(lines)))


def _without_heading_tags(line: str) -> str:
    words = line.rstrip()
    start = max(words.rfind(" "), words.rfind("\t")) + 1
    if line.startswith("*") and _HEADING_TAGS.fullmatch(words, start):
        return words[:start].rstrip() + line[len(line.rstrip("\r\n")) :]
    return line


ORG = NoteFormat(_parse, _inline, _without_tags, tags_parts=True, version=3)
