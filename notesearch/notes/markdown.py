"""Markdown: blocks, links and hashtags, and a text without its tags."""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from notesearch.notes.data import blank_out, disjoint
from notesearch.notes.structure import MAX_TITLE_CHARS, LineRange, LineTable, NoteFormat, Parsed, one_line
from notesearch.notes.tags import hide_whole
from notesearch.notes.written_links import note_links, reference_links
from notesearch.records import Link

if TYPE_CHECKING:
    from markdown_it import MarkdownIt


_MAX_TAG_CHARS = 100
_PLACEHOLDER = 0x100000
# Neither a space, before which a hashtag might begin, nor a character of one.
_HIDDEN = "\0"

# Every pattern here must take linear time on any text: notes can hold megabytes in one line. (A repeated group that may
# not be given back, `++`, takes no memory for each time either.)
_BACKTICKS = re.compile(r"(?<!`)(`+)(?!`)")
# Where a `#` is part of an address or an attribute: link targets, reference definitions, bare addresses, HTML tags.
_NO_HASHTAG = re.compile(r"\[\[[^\[\]\r\n]+\]\]|\]\([^)\r\n]*\)?|\]:[ \t]*\S+|://\S+|<[A-Za-z/!][^<>]*>")
# Everything but spaces, control characters and punctuation other than `/`, `-` and `_`, in ASCII and beyond.
_TAG_CHAR = (
    r"[^\s\x00-,.:-@\[-^`{-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf×÷"
    r"\u2010-\u2027\u2030-\u205e\u3001-\u3003\u3008-\u3020\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]"
)
_HASHTAG = re.compile(rf"(?<![^\s(\[（])#({_TAG_CHAR}+)")
# Bear's `#two words#`, whose last mark follows a word at once; not a name such as `C#`.
_WORDS_TAG = re.compile(
    rf"(?<![^\s(\[（])#((?:{_TAG_CHAR}++ )++{_TAG_CHAR}++)(?<![/_-])(?<! [A-Z])#(?![^\s.,;:!?)\]…])"
)
# Logseq's `#[[two words]]`.
_PAGE_TAG = re.compile(r"(?<![^\s(\[（])#\[\[([^\[\]|#\r\n]+)\]\]")
_PAGES = re.compile(r"\[\[([^\[\]\r\n]+)\]\]")
_PROPERTY_TAGS = re.compile(r"(?mi)^[ \t>]*(?:[-*+][ \t]+)?tags::[ \t]+([^\r\n]+)")
# Six or eight digits, one letter repeated, and of short ones what no word looks like: `#0af`, `#f00`.
_COLOUR = re.compile(
    r"(?=[a-f]*[0-9]|([a-f])\1*$)(?:[0-9a-f]{6}|[0-9a-f]{8}|0[0-9a-f]{2,3}|[0f]{3,4})|([a-f])\2{2,3}", re.IGNORECASE
)
_SHORT_COLOUR = re.compile(r"(?=[a-f]*[0-9])[0-9a-f]{3,4}", re.IGNORECASE)
# What makes a colour of a short one that follows on its line: `border: 1px solid #a1c`.
_OF_COLOURS = re.compile(
    r"colou?r|\b(?:background|border|fill|stroke|shadow)[\w-]*[\"']?\s*[:=]|\brgb|\bhex\b|#[0-9a-f]{6}\b", re.IGNORECASE
)

_HEADING_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\((?:[^()]|\([^()]*\))*\)|\[[^\[\]]*\])")
_HEADING_WIKI_LINK = re.compile(r"!?\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]")
_TAG_OR_SHORTCODE = re.compile(r"</?[A-Za-z][^<>]*>|\{\{[<%][^{}]*\}\}")
_ATTRIBUTES = re.compile(r"\{[#.:][^{}]*\}$")
# Emphasis is looked for from each of these to the next; a heading with more has no such words in it.
_EMPHASIS_MARK = re.compile(r"[*_~=]")
_MOST_EMPHASIS_MARKS = 32
_EMPHASIS = re.compile(r"(\*{1,3}|~~|==|(?<!\w)_{1,3})(?=[^\s*~=_])([^*~=]*?[^\s*~=_])\1(?!\w)")
_MARKUP = re.compile(r"[\\\[`<{&*_~=]")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def hide_code(text: str) -> str:
    """Put NULs in place of the code spans of a block, so that offsets stay."""
    return _hide(text, code_spans(text))


def code_spans(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each code span of a block: as many backticks at its end as at its start."""
    if "`" not in text:
        return
    runs = [match.span() for match in _BACKTICKS.finditer(text)]
    runs_by_length: defaultdict[int, list[int]] = defaultdict(list)
    for start, end in runs:
        runs_by_length[end - start].append(start)
    position = 0
    for start, end in runs:
        if start < position or _is_escaped(text, start):
            continue
        closers = runs_by_length[end - start]
        following = bisect_right(closers, start)
        if following < len(closers):
            position = closers[following] + end - start
            yield start, position


def hashtags(text: str) -> Iterator[str]:
    """The hashtags of a block whose code is hidden: at least one character that is no digit, no colour, no address."""
    return (tag for _, _, tag in _find_hashtags(text))


def hide_hashtags(text: str, visible: str) -> str:
    """Put spaces in place of the hashtags of a block.

    Args:
        text: The block.
        visible: The block with its code hidden.
    """
    return blank_out(text, [(start, end) for start, end, _ in _find_hashtags(visible)])


def _find_hashtags(text: str) -> Iterator[tuple[int, int, str]]:
    """Where each hashtag begins and ends, and its words."""
    if "#" not in text:
        return
    found = [(*match.span(), match[1]) for match in _PAGE_TAG.finditer(text)]
    visible = _hide(text, (match.span() for match in _NO_HASHTAG.finditer(text)))
    found += [(*match.span(), match[1]) for match in _WORDS_TAG.finditer(visible) if _is_tag(match[1])]
    for match in _HASHTAG.finditer(visible):
        tag = match[1].rstrip("/-_")
        if _is_tag(tag) and not _is_colour(tag, visible, match.start()):
            found.append((match.start(), match.start() + 1 + len(tag), tag))
    yield from disjoint(found)


def _is_tag(tag: str) -> bool:
    return tag[:1] not in ("/", "-", "_", "") and len(tag) <= _MAX_TAG_CHARS and not tag.isdecimal()


def _is_colour(tag: str, text: str, start: int) -> bool:
    if not _SHORT_COLOUR.fullmatch(tag):
        return _COLOUR.fullmatch(tag) is not None
    line_start = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start), start - _MAX_TAG_CHARS) + 1
    return bool(_COLOUR.fullmatch(tag) or _OF_COLOURS.search(text, line_start, start))


def heading_words(markdown: str) -> str:
    """The words of a heading without markup; what stands in a code span is kept as it is."""
    source = markdown[: 4 * MAX_TITLE_CHARS]
    if not _MARKUP.search(source):
        return one_line(source)
    parts: list[str] = []
    # Code is set aside under characters of the last private use area, so that emphasis may span it.
    codes: list[str] = []
    position = 0
    for start, end in code_spans(source):
        parts += [source[position:start], chr(_PLACEHOLDER + len(codes))]
        codes.append(source[start:end].strip("`").strip())
        position = end
    words = "".join(parts) + source[position:]
    words = _ESCAPE.sub(lambda match: f"&#{ord(match[1])};", words)
    words = _HEADING_WIKI_LINK.sub(r"\1", words)
    words = _HEADING_LINK.sub(r"\1", _HEADING_LINK.sub(r"\1", words))
    words = _ATTRIBUTES.sub("", _TAG_OR_SHORTCODE.sub("", words))
    if len(_EMPHASIS_MARK.findall(words)) <= _MOST_EMPHASIS_MARKS:
        words = _EMPHASIS.sub(r"\2", _EMPHASIS.sub(r"\2", words))
    words = html.unescape(words)
    for index, code in enumerate(codes):
        words = words.replace(chr(_PLACEHOLDER + index), code)
    return one_line(words)


def _hide(text: str, spans: Iterator[tuple[int, int]]) -> str:
    parts: list[str] = []
    position = 0
    for start, end in spans:
        parts += [text[position:start], _HIDDEN * (end - start)]
        position = end
    return "".join(parts) + text[position:] if parts else text


def _is_escaped(text: str, position: int) -> bool:
    start = position
    while start > 0 and text[start - 1] == "\\":
        start -= 1
    return (position - start) % 2 == 1


# Blocks of a Markdown note.

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


def _parse(table: LineTable, first_line: int) -> Parsed:
    """Headings, code, and what belongs together (a list, a table, a quotation) in the lines from `first_line` on."""
    return Parsed(tuple(_ranges(table, first_line)) if first_line < len(table) else ())


def _ranges(table: LineTable, first_line: int) -> Iterator[LineRange]:
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


# A note's text without the tags in it: what a tagger may learn from, or it would learn to read them off.

_PARAGRAPH_END = re.compile(r"((?:\r\n?|\n)[ \t]*(?:\r\n?|\n))")
# As in metadata of all forms, where that is text; some write such a line into their text, too.
_TAG_LINES = re.compile(
    r"(?mi)^(?:\.\.[ \t]+|:|<!--[ \t]*|[ \t]*\{?[ \t]*\")?(?:tags?|keywords|topics)\"?[ \t]*[:=]"
    r"(?:[ \t]*\[[^\[\]]*\])?[^\r\n]*"
    r"(?:(?:\r\n?|\n)[ \t]*-[ \t][^\r\n]*)*"
    r"|^[ \t>]*(?:[-*+][ \t]+)?tags::[^\r\n]*"
    r"|\[\[!tag(?:link)?[ \t][^\[\]\r\n]*\]\]|\{\{tag>[^{}\r\n]*\}\}"
)


def markdown_without_tags(text: str) -> str:
    """A passage, a title or a heading without hashtags and lines of tags."""
    text = _TAG_LINES.sub("", text)
    if "#" not in text:
        return text
    # Code spans end with their paragraph, so a lone backtick hides nothing beyond it.
    return "".join(hide_hashtags(part, hide_code(part)) for part in _PARAGRAPH_END.split(text))


def markdown_inline(text: str, offset: int) -> tuple[list[str], list[Link]]:
    """The hashtags of a block, and its links to other notes."""
    if "#" not in text and "[" not in text and "{" not in text and "::" not in text:
        return [], []
    visible = hide_code(text)
    return [*_property_tags(visible), *hashtags(visible)], note_links(text, visible, offset)


def _property_tags(text: str) -> Iterator[str]:
    """The tags in lines `tags:: a, [[b c]]` of Logseq and Dataview; those with a `#` are found anyway."""
    for line in _PROPERTY_TAGS.finditer(text) if "ags::" in text.lower() else ():
        for piece in re.finditer(r"[^,]+", hide_whole(line[1])):
            written = line[1][slice(*piece.span())].strip()
            pages = _PAGES.findall(written)
            yield from pages or ([] if written.startswith("#") else [written])


def _reference_links(blocks: Sequence[tuple[str, int]]) -> list[Link]:
    """The links of a note whose targets are defined elsewhere in it."""
    if not any("]:" in text for text, _ in blocks):
        return []
    return reference_links([(text, hide_code(text), offset) for text, offset in blocks])


MARKDOWN = NoteFormat(_parse, markdown_inline, markdown_without_tags, references=_reference_links)
# Plain text has paragraphs only, but hashtags and links as Markdown has them.
TEXT = NoteFormat(
    lambda table, first_line: Parsed(()), markdown_inline, markdown_without_tags, references=_reference_links
)
