"""From the lines of a PDF's pages, which are nothing but places on paper, to headings and paragraphs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from notesearch.documents.document import DocumentBuilder

# Running headers and footers stand among so many lines at the top and bottom of a page, and on this part of the pages:
# left and right pages often have their own.
_EDGE_LINES = 3
_RUNNING_PART = 0.3
_LEAST_PAGES = 3
# A line that is so much shorter than others, and ends a sentence, ends its paragraph.
_SHORT_PART = 0.8
# An outline may call the heading of two lines what it says in one.
_MOST_HEADING_LINES = 2

_DIGITS = re.compile(r"\d+|\b[ivxlc]+\b")
_NOT_A_LETTER = re.compile(r"[\W_]+")
_ITEM = re.compile(r"[•‣▪●◦·*–—-]\s|\(?\d{1,2}[.)]\s|\(?[a-z][.)]\s")
_SENTENCE_END = re.compile(r"[.!?:。！？][\"'”’)\]]*$")
_HYPHEN_AT_END = re.compile(r"(\w+)[-\u2010]$")
_WORD_AT_START = re.compile(r"[a-zà-öø-ÿ]\w*")
# What leads from a title to its page in a table of contents.
_LEADERS = re.compile(r"(?:[ ]?[.·…_]){4,}[ ]?")
_HYPHENATED = re.compile(r"\w+[-\u2010]\w+")


class Heading(NamedTuple):
    """An entry of the outline."""

    level: int
    title: str


class PageText(NamedTuple):
    """The lines of a page, and the headings that the outline says it has."""

    lines: list[str]
    headings: list[Heading]


def add_pages(builder: DocumentBuilder, pages: Sequence[PageText]) -> None:
    """Add pages: without running headers and footers, lines joined to paragraphs."""
    running = _running_lines([page.lines for page in pages])
    hyphenated = {word for page in pages for line in page.lines for word in _HYPHENATED.findall(line)}
    for lines, headings in pages:
        builder.page()
        kept = _without_edges(lines, running)
        usual = sorted(len(line) for line in kept if line.strip())
        width = usual[len(usual) * 3 // 4] if usual else 0
        paragraph: list[str] = []
        for part in _with_headings(kept, headings):
            if isinstance(part, Heading):
                _add_paragraph(builder, paragraph, hyphenated)
                builder.heading(part.level, part.title)
                continue
            line = " ".join(part.split())
            if not line or (paragraph and _ITEM.match(line)):
                _add_paragraph(builder, paragraph, hyphenated)
            if line:
                paragraph.append(line)
            if len(part) < _SHORT_PART * width and _SENTENCE_END.search(line):
                _add_paragraph(builder, paragraph, hyphenated)
        _add_paragraph(builder, paragraph, hyphenated)


def _add_paragraph(builder: DocumentBuilder, lines: list[str], hyphenated: set[str]) -> None:
    """Add lines as a paragraph, and begin the next."""
    parts: list[str] = []
    for line in lines:
        before = _HYPHEN_AT_END.search(parts[-1]) if parts else None
        after = _WORD_AT_START.match(line)
        if before and after:
            # "well-" and "known" are joined without the hyphen, unless the text has "well-known" elsewhere.
            if f"{before[1]}-{after[0]}" not in hyphenated:
                parts[-1] = parts[-1][:-1]
        elif parts:
            # Each line of a table of contents stays one.
            parts.append("\n" if _LEADERS.search(line) else " ")
        parts.append(line)
    builder.paragraph(_LEADERS.sub(" … ", "".join(parts)))
    lines.clear()


def _with_headings(lines: Sequence[str], headings: Sequence[Heading]) -> Iterator[str | Heading]:
    """The lines, headings in the place of those that say one."""
    wanted = {letters: heading for heading in reversed(headings) if (letters := _letters(heading.title))}
    index = 0
    while index < len(lines):
        for count in range(_MOST_HEADING_LINES, 0, -1):
            words = " ".join(" ".join(lines[index : index + count]).split())
            if heading := wanted.pop(_letters(words), None):
                yield Heading(heading.level, words)
                index += count
                break
        else:
            yield lines[index]
            index += 1


def _running_lines(pages: Sequence[Sequence[str]]) -> set[str]:
    """The shapes of the lines that stand at the top or bottom of many pages."""
    if len(pages) < _LEAST_PAGES:
        return set()
    counts = Counter(shape for lines in pages for shape in {_shape(lines[place]) for place in _edges(lines)})
    least = max(_LEAST_PAGES, _RUNNING_PART * len(pages))
    return {shape for shape, count in counts.items() if count >= least}


def _without_edges(lines: Sequence[str], running: set[str]) -> list[str]:
    dropped = {place for place in _edges(lines) if _shape(lines[place]) in running}
    return [line for place, line in enumerate(lines) if place not in dropped]


def _edges(lines: Sequence[str]) -> set[int]:
    """Where the first and the last lines that are not blank stand."""
    places = [place for place, line in enumerate(lines) if line.strip()]
    return {*places[:_EDGE_LINES], *places[-_EDGE_LINES:]}


def _shape(line: str) -> str:
    """A line with its numbers made alike: those of pages are what differs."""
    return _DIGITS.sub("0", " ".join(line.casefold().split()))


def _letters(words: str) -> str:
    return _NOT_A_LETTER.sub("", words.casefold())
