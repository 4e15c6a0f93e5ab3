"""Headings, code, tags and links of an Org note; what it says of itself is in `org_metadata`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from notesearch.notes.inline import hashtags, relative_target
from notesearch.notes.lines import LineTable
from notesearch.notes.structure import LineRange, one_line
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
