"""PDF to Markdown."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from itertools import islice
from typing import Any, NamedTuple

from pypdf import PdfReader, _cmap
from pypdf._codecs import adobe_glyphs
from pypdf.errors import DependencyError, PyPdfError

from notesearch.documents.document import DAMAGE, MOST_CHARS, Document, clean, escape_start, make_document, real_title
from notesearch.documents.glyph_names import GlyphNames
from notesearch.documents.pdf_columns import page_text
from notesearch.errors import NoteUnreadable

# pypdf knows Adobe's list of names, and not the rules for those that are composed.
_cmap.adobe_glyphs = GlyphNames(adobe_glyphs)  # type: ignore[attr-defined]

_DAMAGE = (PyPdfError, *DAMAGE)
_MOST_PAGES = 20_000
_MOST_HEADINGS = 5_000
_DEEPEST_HEADING = 6
# A title on the first page is so much larger than the text.
_LARGER = 1.15
_MOST_TITLE_CHARS = 200
# Running headers and footers stand among so many lines at the top and bottom of a page, and on this part of the pages:
# left and right pages often have their own.
_EDGE_LINES = 3
_RUNNING_PART = 0.3
_LEAST_PAGES = 3
# A line that is so much shorter than others, and ends a sentence, ends its paragraph.
_SHORT_PART = 0.8
# A heading in the outline may take two lines on the page.
_MOST_HEADING_LINES = 2

_DIGITS = re.compile(r"\d+|\b[ivxlc]+\b")
_NOT_A_LETTER = re.compile(r"[\W_]+")
_ITEM = re.compile(r"[•‣▪●◦·*–—-]\s|\(?\d{1,2}[.)]\s|\(?[a-z][.)]\s")
_SENTENCE_END = re.compile(r"[.!?:。！？][\"'”’)\]]*$")
_HYPHEN_AT_END = re.compile(r"(\w+(?:[-\u2010]\w+)*)[-\u2010]$")
_WORD_AT_START = re.compile(r"\w+")
# A hyphen that shows only where it divides a word at the end of a line; the rest of the word moves up.
_SOFT_HYPHEN_AT_END = re.compile(r"\u00ad[ \t]*\n[ \t]*(\S+)[ \t]*\n?")
_WORDS = re.compile(r"\w+(?:[-\u2010]\w+)*")
# What leads from a title to its page in a table of contents.
_LEADERS = re.compile(r"(?:[ ]?[.·…_]){4,}[ ]?")


class _Heading(NamedTuple):
    """An entry of the outline."""

    level: int
    title: str


def read_pdf(data: bytes, seconds: float) -> Document:
    """Read a PDF page by page.

    Args:
        data: The whole file.
        seconds: Processor time after which the rest is left out.

    Raises:
        NoteUnreadable: It is encrypted, or no page can be read.
    """
    until = time.process_time() + seconds
    problems: list[str] = []
    try:
        reader = PdfReader(BytesIO(data))
        # Most encrypted files open with an empty password: they only ask not to be printed.
        if reader.is_encrypted and not reader.decrypt(""):
            raise NoteUnreadable("encrypted", by_rule=True)
        count = len(reader.pages)
    except DependencyError as error:
        raise NoteUnreadable("encrypted", by_rule=True) from error
    except PyPdfError as error:
        raise ValueError(str(error)) from error
    title = date = ""
    with suppress(*_DAMAGE):  # a damaged title does no harm
        metadata: Mapping[str, Any] = reader.metadata or {}
        title, date = str(metadata.get("/Title") or ""), str(metadata.get("/CreationDate") or "")
    pages: list[list[str]] = []
    chars = damaged = 0
    while len(pages) < min(count, _MOST_PAGES) and chars <= MOST_CHARS and time.process_time() <= until:
        try:
            text = clean(_SOFT_HYPHEN_AT_END.sub(r"\1\n", page_text(reader.pages[len(pages)])))
        except _DAMAGE:
            damaged += 1
            text = ""
        chars += len(text)
        pages.append(text.splitlines())
    if damaged == len(pages):
        raise NoteUnreadable("damaged: no page can be read")
    if damaged:
        problems.append(f"{damaged:,} of {count:,} pages are damaged")
    markdown, page_starts = _to_markdown(pages, _outline(reader))
    if len(pages) < count and len(markdown) <= MOST_CHARS:
        problems.append(f"only its beginning was read, {len(pages):,} of {count:,} pages")
    title = real_title(title) or _largest_words(reader)
    return make_document(markdown, title, date, page_starts, problems)


def _largest_words(reader: PdfReader) -> str:
    """The largest words on the first page, usually the title, if they are larger than the rest."""
    chars_by_size: Counter[float] = Counter()
    words_by_size: dict[float, list[str]] = {}

    def see(text: str, user: list[float], line: list[float], font: object, size: float) -> None:
        shown = round(abs(size * line[3] * user[3]), 1)
        chars_by_size[shown] += len(text.strip())
        words_by_size.setdefault(shown, []).append(text)

    try:
        reader.pages[0].extract_text(visitor_text=see)
    except _DAMAGE:
        return ""
    largest = max((size for size, chars in chars_by_size.items() if chars > 1), default=0.0)
    usual = max(chars_by_size, key=lambda size: chars_by_size[size], default=0.0)
    words = " ".join("".join(words_by_size.get(largest, [])).split())
    return words if largest >= _LARGER * usual and len(words) <= _MOST_TITLE_CHARS else ""


def _outline(reader: PdfReader) -> dict[int, list[_Heading]]:
    """The headings of the outline, by the number of their page from 0."""
    found: dict[int, list[_Heading]] = {}
    with suppress(*_DAMAGE):  # the headings before the damage can be used
        for level, entry in islice(_flattened(reader.outline, 1), _MOST_HEADINGS):
            page = reader.get_destination_page_number(entry)
            if page is not None and page >= 0 and entry.title:
                heading = _Heading(min(level, _DEEPEST_HEADING), clean(str(entry.title)))
                found.setdefault(page, []).append(heading)
    return found


def _flattened(outline: Any, level: int) -> Iterator[tuple[int, Any]]:
    """The entries of an outline, in which the list after an entry holds those below it."""
    for entry in outline:
        if isinstance(entry, list):
            yield from _flattened(entry, level + 1)
        else:
            yield level, entry


def _to_markdown(pages: Sequence[Sequence[str]], outline: Mapping[int, Sequence[_Heading]]) -> tuple[str, list[int]]:
    """Drop running headers and footers, and join the lines of each page to paragraphs.

    Returns:
        The text, and where each page begins in it.
    """
    running = _running_lines(pages)
    words = _words_within_lines(pages)
    blocks: list[str] = []
    page_starts, length = [], 0
    for number, lines in enumerate(pages):
        page_starts.append(length)
        for block in _page_blocks(_without_edges(lines, running), outline.get(number, ()), words):
            blocks.append(block)
            length += len(block) + 2
    return "\n\n".join(blocks), page_starts


def _page_blocks(lines: Sequence[str], headings: Sequence[_Heading], words: set[str]) -> Iterator[str]:
    """The headings and paragraphs of a page."""
    lengths = sorted(len(line) for line in lines if line.strip())
    width = lengths[len(lengths) * 3 // 4] if lengths else 0
    paragraph: list[str] = []
    for part in [*_with_headings(lines, headings), ""]:
        line = "" if isinstance(part, _Heading) else " ".join(part.split())
        if paragraph and (not line or _ITEM.match(line)):
            yield _paragraph(paragraph, words)
            paragraph = []
        if isinstance(part, _Heading):
            yield f"{'#' * part.level} {part.title}"
        elif line:
            paragraph.append(line)
            if len(part) < _SHORT_PART * width and _SENTENCE_END.search(line):
                yield _paragraph(paragraph, words)
                paragraph = []


def _paragraph(lines: Sequence[str], words: set[str]) -> str:
    """Lines as a paragraph; see `_words_within_lines`."""
    parts: list[str] = []
    for line in lines:
        before = _HYPHEN_AT_END.search(parts[-1]) if parts else None
        after = _WORD_AT_START.match(line)
        if before and after:
            if _divides_word(before[1].replace("\u2010", "-"), after[0], words):
                parts[-1] = parts[-1][:-1]
        elif parts:
            # Each line of a table of contents stays one.
            parts.append("\n" if _LEADERS.search(line) else " ")
        parts.append(line)
    return escape_start(_LEADERS.sub(" … ", "".join(parts)).strip())


def _divides_word(before: str, after: str, words: set[str]) -> bool:
    """Whether a hyphen at the end of a line is there only because the line ends, as far as the text's words tell."""
    first, rest = before.casefold(), after.casefold()
    if first + rest in words:
        return True
    is_compound = f"{first}-{rest}" in words or "-" in before or (first in words and rest in words and len(first) > 2)
    return not is_compound and (after[0].islower() or (before.isupper() and after.isupper()))


def _words_within_lines(pages: Sequence[Sequence[str]]) -> set[str]:
    """All words, without the parts of those that a hyphen at the end of a line divides."""
    words: set[str] = set()
    for lines in pages:
        is_divided = False
        for line in lines:
            found = _WORDS.findall(line.replace("\u2010", "-").casefold())
            was_divided, is_divided = is_divided, bool(_HYPHEN_AT_END.search(line.rstrip()))
            words.update(found[was_divided : len(found) - is_divided])
    return words


def _with_headings(lines: Sequence[str], headings: Sequence[_Heading]) -> Iterator[str | _Heading]:
    """The lines, with headings in place of those that the outline names."""
    wanted = {letters: heading for heading in reversed(headings) if (letters := _letters(heading.title))}
    index = 0
    while index < len(lines):
        for count in range(_MOST_HEADING_LINES, 0, -1):
            words = " ".join(" ".join(lines[index : index + count]).split())
            if heading := wanted.pop(_letters(words), None):
                yield _Heading(heading.level, words)
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
    """The indices of the first and the last lines that are not blank."""
    places = [place for place, line in enumerate(lines) if line.strip()]
    return {*places[:_EDGE_LINES], *places[-_EDGE_LINES:]}


def _shape(line: str) -> str:
    """A line with its numbers made alike, since page numbers differ."""
    return _DIGITS.sub("0", " ".join(line.casefold().split()))


def _letters(words: str) -> str:
    return _NOT_A_LETTER.sub("", words.casefold())
