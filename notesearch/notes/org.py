"""Org: blocks, links, tags, keywords and properties."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

from notesearch.notes.dates import is_date_key
from notesearch.notes.markdown import hashtags, markdown_without_tags, relative_target
from notesearch.notes.structure import LineRange, LineTable, NoteFormat, Parsed, Written, one_line
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


def _inline(text: str, offset: int) -> tuple[list[str], list[Link]]:
    """The tags and hashtags of a block, without the `[#A]` of a heading's priority, and its links."""
    heading = _heading(text)
    return [*(heading[2] if heading else ()), *hashtags(_PRIORITY.sub("", text))], _links(text, offset)


def _split_tags(written: str) -> list[str]:
    """The tags of `:a:b:`, or of `a b`."""
    return [tag for tag in written.replace(" ", ":").split(":") if tag]


def _links(text: str, offset: int) -> list[Link]:
    """The links to other notes in a block, `[[file:other.org][words]]`, `[[id:…][words]]` and `[[Name]]`."""
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
        tags = _split_tags(last[0])
        words = words[: -len(last[0])].rstrip()
    return level, _PRIORITY.sub("", _without_state(words), count=1), tags


def _without_state(words: str) -> str:
    state = _TASK_STATE.match(words)
    return words[state.end() :] if state else words


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
    values: dict[str, str] = {}
    tags: list[str] = []
    ids: list[str] = []
    properties: list[Written] = []
    in_properties_until = -1
    before_headings = True
    for index in range(first_line, len(table)):
        line = table.line(index)
        if index in code or index in headings:
            # `#+title:` counts as a heading, but stands above the first one.
            before_headings = before_headings and not line.startswith("*")
            continue
        if drawer := drawers.get(index):
            if drawer[0] == "properties":
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


_FILE_TAGS = re.compile(r"(?mi)^[ \t]*#\+filetags:[^\r\n]*")


def _without_tags(text: str) -> str:
    lines = map(_without_heading_tags, text.splitlines(keepends=True))
    return markdown_without_tags(_FILE_TAGS.sub("", "".join(lines)))


def _without_heading_tags(line: str) -> str:
    words = line.rstrip()
    start = max(words.rfind(" "), words.rfind("\t")) + 1
    tags = words[start:]
    if line.startswith("*") and len(tags) > 2 and tags[0] == tags[-1] == ":":
        return words[:start].rstrip() + line[len(line.rstrip("\r\n")) :]
    return line


ORG = NoteFormat(_parse, _inline, _without_tags, tags_parts=True, version=2)
