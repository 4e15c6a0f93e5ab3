"""Links to other notes, as Markdown and the programs around it write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from notesearch.file_kinds import READ_SUFFIXES
from notesearch.records import Link
from notesearch.words import key_of

# The longest path there is, each byte written as %41.
_MAX_TARGET_CHARS = 3 * 4096
_HIDDEN = "\0"  # what code is replaced with

# Every pattern here must take linear time on any text: notes can hold megabytes in one line.
_WIKI_LINK = re.compile(r"\[\[([^\[\]\r\n]+)\]\]")
_RELATIVE_LINK = re.compile(r"(?<!!)\[([^\[\]]*)\]\([ \t]*(?:<([^<>\r\n]*)>|((?:[^\s()<]++|\([^\s()]*+\))++))")
# A title, and the end; it stops where the next link may begin, or many unclosed ones would all look to the end.
_LINK_REST = re.compile(r"[^)\[]*\)")
# Hugo's `{{< ref "oil.md" >}}`, Jekyll's `{% link _posts/oil.md %}`.
_SHORTCODE = re.compile(
    r"\{\{[<%][ \t]*(?:rel)?ref[ \t]+(?:path[ \t]*=[ \t]*)?(?:\"([^\"{}\r\n]+)\"|([^\s\"{}]+))[^{}\r\n]*\}\}"
    r"|\{%-?[ \t]*(?:link|post_url)[ \t]+([^\s{}%]+)[^{}\r\n]*\}"
)
_LABEL = r"((?:[^\[\]\\\r\n]|\\[^\r\n])++)"
_TITLE = r"(?:\"[^\"\r\n]*\"|'[^'\r\n]*'|\([^()\r\n]*\))"
_LINE_END = r"(?:\r\n?|\n)"
# `[1]: oil.md "title"`, also in a list or a quotation.
_DEFINITION = re.compile(
    rf"^[ \t>]*+(?:[-*+][ \t]+)?\[(?!\^){_LABEL}\]:[ \t]*+(?:{_LINE_END}[ \t]*+)?"
    rf"(?:<([^<>\r\n]*)>|([^\s<]\S*+))(?:[ \t]+{_TITLE})?[ \t]*$(?:{_LINE_END}[ \t]+{_TITLE}[ \t]*$)?",
    re.MULTILINE,
)
_REFERENCE = re.compile(rf"(!?)\[{_LABEL}\](?:\[((?:[^\[\]\\]|\\.)*+)\])?+(?!\()")

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:|//")
# What Pelican and Zola write before a path.
_PREFIX = re.compile(r"\{filename\}|\|filename\||@(?=/)")
_SUFFIX = re.compile(r"\.[A-Za-z]\w{0,9}$")
_NO_PATH = re.compile(r"[{}<>|]")
# What Obsidian and its like embed beside notes.
_ATTACHMENTS = tuple(
    ".avif .bmp .gif .heic .jpeg .jpg .png .svg .tiff .webp .3gp .flac .m4a .mp3 .ogg .wav .mkv .mov .mp4 .ogv .webm"
    " .base .canvas .csv .xlsx .pptx .zip".split()
)


class _Span(NamedTuple):
    """A part of a note's text.

    Attributes:
        text: Its characters.
        visible: The same, with code hidden.
        offset: Where it begins in the note.
    """

    text: str
    visible: str
    offset: int


def note_links(text: str, visible: str, offset: int = 0) -> list[Link]:
    """The links to other notes in a block, in order, without those whose target is defined elsewhere.

    Args:
        text: The block.
        visible: The block with its code hidden.
        offset: Of the block in the note's text.
    """
    found: list[Link] = []
    if "[[" in visible:
        for match in _WIKI_LINK.finditer(visible):
            # Within a table the separator is written `\|`.
            target, _, alias = text[slice(*match.span(1))].replace("\\|", "|").partition("|")
            # What follows is a heading or a block of that note.
            name = re.split("[#^]", target, maxsplit=1)[0].strip()
            if name and not name.lower().endswith(_ATTACHMENTS):
                start, end = match.span()
                found.append(Link(name, _words(alias) or name, "wiki", offset + start, offset + end))
    if "](" in visible:
        for match in _RELATIVE_LINK.finditer(visible):
            target = relative_target(match[2] or match[3] or "")
            if target:
                anchor = _words(text[slice(*match.span(1))])
                rest = _LINK_REST.match(visible, match.end())
                start, end = match.start(), (rest or match).end()
                found.append(Link(target, anchor or target, "relative", offset + start, offset + end))
    if "{{" in visible or "{%" in visible:
        for match in _SHORTCODE.finditer(visible):
            if target := relative_target(match[1] or match[2] or match[3]):
                found.append(Link(target, target, "relative", offset + match.start(), offset + match.end()))
    return sorted(found, key=lambda link: link.start)


def relative_target(written: str, *, needs_suffix: bool = False) -> str:
    """The path that a link leads to, or an empty string where it leads to no other note.

    Args:
        written: The link's target; percent-encoded.
        needs_suffix: Whether only what has the suffix of a note is one.
    """
    if len(written) > _MAX_TARGET_CHARS or _SCHEME.match(written) or _HIDDEN in written:
        return ""
    prefix = _PREFIX.match(written)
    target = unquote(written[prefix.end() if prefix else 0 :].partition("#")[0].partition("?")[0])
    if target.lower().endswith(READ_SUFFIXES):
        return target
    is_note = not (needs_suffix or _NO_PATH.search(target) or _SUFFIX.search(target))
    return target if is_note and target.strip("./") else ""


def reference_links(blocks: Sequence[tuple[str, str, int]]) -> list[Link]:
    """The links `[words][name]`, `[name][]` and `[name]` of a note, whose targets stand on lines `[name]: target`.

    Args:
        blocks: Those that are not code: text, the same with code hidden, and where it begins in the note.
    """
    spans = [_Span(*block) for block in blocks]
    targets: dict[str, str] = {}
    lines: dict[int, list[tuple[int, int]]] = {}
    for number, span in enumerate(spans):
        for match in _definitions(span.text):
            targets.setdefault(_reference_key(match[1]), relative_target(match[2] or match[3] or ""))
            lines.setdefault(number, []).append(match.span())
    if not any(targets.values()):
        return []
    return [link for number, span in enumerate(spans) for link in _references(span, targets, lines.get(number, []))]


def _definitions(text: str) -> Iterator[re.Match[str]]:
    """Lines that define a target; none follows a line of a paragraph."""
    end = 0
    for match in _DEFINITION.finditer(text) if "]:" in text else ():
        between = text[end : match.start()]
        if not between.strip(" \t\r\n>") or re.search(rf"{_LINE_END}[ \t>]*{_LINE_END}\Z", between):
            yield match
            end = match.end()


def _references(span: _Span, targets: Mapping[str, str], definitions: Sequence[tuple[int, int]]) -> Iterator[Link]:
    position = 0
    while match := _REFERENCE.search(span.visible, position):
        words, name = span.text[slice(*match.span(2))], match[3]
        position = match.end()
        defined = next((end for start, end in definitions if start <= match.start() < end), 0)
        if defined:
            position = max(position, defined)
            continue
        key = _reference_key(name or words)
        if name and key not in targets:
            position = match.end(2) + 1  # what is between the next brackets may be a link of its own
        elif not match[1] and (target := targets.get(key)):
            start = span.offset + match.start()
            yield Link(target, _words(words), "relative", start, span.offset + match.end())


def _reference_key(name: str) -> str:
    return key_of(_words(name))


def metadata_links(value: object, *, in_list: bool = False) -> Iterator[Link]:
    """The links in a value of a note's metadata, which stand at no place of its text."""
    if isinstance(value, str):
        yield from (Link(link.target, link.anchor, link.kind) for link in note_links(value, value))
    elif isinstance(value, dict):
        for each in value.values():
            yield from metadata_links(each)
    elif isinstance(value, list):
        # To YAML, `[[note]]` without quotation marks is a list in a list.
        is_link = in_list and len(value) == 1 and isinstance(value[0], str) and "[" not in value[0]
        for each in value:
            yield from metadata_links(f"[[{each}]]" if is_link else each, in_list=True)


def _words(text: str) -> str:
    return " ".join(text.split())
