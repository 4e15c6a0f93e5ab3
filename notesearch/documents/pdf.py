"""Reading PDF."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

from notesearch.documents.document import MOST_CHARS, DocumentBuilder, LimitReached, clean, meaningful_title
from notesearch.documents.pdf_text import Heading, PageText, add_pages
from notesearch.documents.reading import damage
from notesearch.errors import NoteUnreadable

if TYPE_CHECKING:
    from pypdf import PdfReader

_MOST_PAGES = 20_000
_MOST_HEADINGS = 5_000
_DEEPEST_HEADING = 6
_LARGER = 1.15
_MOST_TITLE_CHARS = 200


def read_pdf(data: bytes, builder: DocumentBuilder, seconds: float) -> None:
    """Read a PDF page by page: for so many seconds of processor time, or as much text as a document may have."""
    until = time.process_time() + seconds
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    reader = PdfReader(BytesIO(data))
    try:
        # Most encrypted files open with an empty password: they only ask not to be printed.
        if reader.is_encrypted and not reader.decrypt(""):
            raise NoteUnreadable("encrypted", by_rule=True)
    except DependencyError as error:
        raise NoteUnreadable("encrypted", by_rule=True) from error
    _read_metadata(reader, builder)
    headings = _headings(reader)
    pages: list[PageText] = []
    chars = damaged = 0
    stopped = ""
    count = len(reader.pages)
    for number in range(count):
        if chars > MOST_CHARS or number >= _MOST_PAGES or time.process_time() > until:
            stopped = f"only its beginning was read, {number:,} of {count:,} pages"
            break
        try:
            text = clean(reader.pages[number].extract_text())
        except damage():
            damaged += 1
            text = ""
        chars += len(text)
        pages.append(PageText(text.splitlines(), headings.get(number, [])))
    if damaged == len(pages):
        raise NoteUnreadable("damaged: no page can be read")
    if damaged:
        builder.problems.append(f"{damaged:,} of {count:,} pages are damaged")
    add_pages(builder, pages)
    if not meaningful_title(builder.title):
        builder.title = _largest_words(reader)
    if stopped:
        raise LimitReached(stopped)


def _largest_words(reader: PdfReader) -> str:
    """What is written largest on the first page, if it is larger than the rest: the title, most often."""
    chars_by_size: Counter[float] = Counter()
    words_by_size: dict[float, list[str]] = {}

    def see(text: str, user: list[float], line: list[float], font: object, size: float) -> None:
        shown = round(abs(size * line[3] * user[3]), 1)
        chars_by_size[shown] += len(text.strip())
        words_by_size.setdefault(shown, []).append(text)

    try:
        reader.pages[0].extract_text(visitor_text=see)
    except damage():
        return ""
    sizes = [size for size, chars in chars_by_size.items() if chars > 1]
    usual = max(chars_by_size, key=lambda size: chars_by_size[size], default=0.0)
    if not sizes or max(sizes) < _LARGER * usual:
        return ""
    words = " ".join("".join(words_by_size[max(sizes)]).split())
    return words if len(words) <= _MOST_TITLE_CHARS else ""


def _read_metadata(reader: PdfReader, builder: DocumentBuilder) -> None:
    try:
        metadata: Mapping[str, Any] = reader.metadata or {}
        builder.title = str(metadata.get("/Title") or "")
        builder.date = str(metadata.get("/CreationDate") or "")
    except damage():
        builder.problems.append("its title and date are damaged")


def _headings(reader: PdfReader) -> dict[int, list[Heading]]:
    """The headings of the outline, by the number of their page from 0."""
    found: dict[int, list[Heading]] = {}
    try:
        for count, (level, entry) in enumerate(_flattened(reader.outline, 1)):
            page = reader.get_destination_page_number(entry)
            if page is not None and page >= 0 and entry.title:
                found.setdefault(page, []).append(Heading(min(level, _DEEPEST_HEADING), clean(str(entry.title))))
            if count == _MOST_HEADINGS:
                break
    except damage():  # a heading less does no harm
        return found
    return found


def _flattened(outline: Any, level: int) -> Iterator[tuple[int, Any]]:
    """The entries of an outline, in which the list after an entry holds those below it."""
    for entry in outline:
        if isinstance(entry, list):
            yield from _flattened(entry, level + 1)
        else:
            yield level, entry
