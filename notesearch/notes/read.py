"""Reading a note: bytes, decoded, in one of the formats, to a `Note`."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from notesearch.errors import NoteUnreadable
from notesearch.file_kinds import DOCUMENTS_VERSION, HOW_TO_READ, has_reader, is_document, kind_of
from notesearch.notes.markdown import hashtags, hide_code, markdown_ranges, note_links
from notesearch.notes.metadata import date_of, parse_front_matter, title_of, unique_tags, written_tags
from notesearch.notes.org import (
    OrgMetadata,
    org_hashtags,
    org_heading_tags,
    org_links,
    org_ranges,
    read_org_metadata,
    split_org_tags,
)
from notesearch.notes.rst import rst_ranges
from notesearch.notes.structure import LineRange, LineTable, assemble
from notesearch.notes.walk import NoteFile
from notesearch.records import Block, Link, Note

_SNIFFED_BYTES = 8192
_DETECTION_BYTES = 65_536
# Fewer bytes than this tell nothing about an encoding: `Café` may be anything.
_TELLING_BYTES = 16
# What people have in old notes, the likeliest first. Left to itself, detection finds rare encodings in short texts,
# UTF-16 among them.
_CANDIDATES = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
]
# UTF-32 before UTF-16: the little-endian mark of the one begins with that of the other.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(data: bytes) -> tuple[str, str]:
    """Decode a note.

    Args:
        data: The whole file.

    Returns:
        The text without a byte order mark, and what had to be guessed or replaced (empty where nothing was).

    Raises:
        NoteUnreadable: The file is binary.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decode_as(data[len(mark) :], encoding)
    if b"\0" in data[:_SNIFFED_BYTES]:
        raise NoteUnreadable("binary file")
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError:
        return _decode_unknown(data)


def _decode_as(data: bytes, encoding: str) -> tuple[str, str]:
    try:
        return data.decode(encoding), ""
    except UnicodeDecodeError:
        return data.decode(encoding, "replace"), f"not valid {encoding.upper()} throughout: some characters are lost"


def _decode_unknown(data: bytes) -> tuple[str, str]:
    text = data.decode("utf-8", "replace")
    lost = text.count("\ufffd")
    # Text in another encoding hardly ever forms valid multi-byte sequences: where most are valid, it is damaged UTF-8.
    if sum(not char.isascii() for char in text) > 2 * lost:
        return text, f"not valid UTF-8 throughout: {lost} characters are lost"
    encoding = _guess_encoding(data)
    text = data.decode(encoding, "replace").encode("utf-8", "replace").decode("utf-8")
    return text, f"not UTF-8: read as {encoding}, which is a guess"


def _guess_encoding(data: bytes) -> str:
    if sum(byte >= 0x80 for byte in data[:_DETECTION_BYTES]) < _TELLING_BYTES:
        return "cp1252"
    from charset_normalizer import from_bytes

    matches = list(from_bytes(data[:_DETECTION_BYTES], cp_isolation=_CANDIDATES))
    if not matches:
        return "cp1252"
    best = matches[0]
    equals = {
        name
        for match in matches
        if (match.chaos, match.coherence) == (best.chaos, best.coherence)
        for name in match.could_be_from_charset
    }
    return next((name for name in _CANDIDATES if name in equals), best.encoding)


# From a file to a Note.

# Other suffixes are plain text, which has paragraphs only.
_RANGES = {".md": markdown_ranges, ".markdown": markdown_ranges, ".org": org_ranges, ".rst": rst_ranges}
# Raised when notes of a format are read in another way than before: they are read again then, and no others.
_READER_VERSIONS = {".org": 1}


def reader_version(path: Path) -> int:
    """The version of what reads a note."""
    return DOCUMENTS_VERSION if is_document(path) else _READER_VERSIONS.get(path.suffix.lower(), 0)


def lines_are_of_file(path: Path) -> bool:
    """Whether the lines of a note are those of its file; the file of a document has none, or others."""
    return not is_document(path)


def read_bytes(file: NoteFile) -> bytes:
    """Read a file that `find_notes` found.

    Raises:
        NoteUnreadable: The file is gone, may not be read, or is no regular file any more; the message is a short
            reason.
    """
    try:
        # Without O_NONBLOCK, opening a fifo that has taken the file's place would wait for ever.
        descriptor = os.open(file.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as opened:  # noqa: PTH123 - from a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NoteUnreadable("special file")
            return opened.read()
    except FileNotFoundError as error:
        raise NoteUnreadable("file disappeared", for_now=True) from error
    except PermissionError as error:
        raise NoteUnreadable("permission denied", for_now=True) from error
    except OSError as error:
        raise NoteUnreadable((error.strerror or "cannot be read").lower(), for_now=True) from error


def note_from_bytes(file: NoteFile, data: bytes) -> Note:
    """Make a note of the content of a file.

    Raises:
        NoteUnreadable: The content is binary, or a document that cannot be read; the message is a short reason.
    """
    try:
        modified = datetime.fromtimestamp(file.mtime_ns / 1e9)
    except (ValueError, OverflowError, OSError):  # a file system can hold times that a calendar cannot
        modified = datetime.fromtimestamp(0)
    if is_document(file.path):
        return _document_note(file.path, data, modified)
    text, problem = decode(data)
    note = parse_note(file.path, text, modified)
    return replace(note, problems=(problem, *note.problems)) if problem else note


def _document_note(path: Path, data: bytes, modified: datetime) -> Note:
    if not has_reader(path):
        raise NoteUnreadable(f"{kind_of(path)} is not read without {HOW_TO_READ}", by_rule=True)
    from notesearch.documents.converter import convert

    document = convert(path.name, data)
    note = parse_note(path.with_suffix(".md"), document.text, modified)
    # The outline of a PDF names its sections, the first of which is not its title.
    title, source = title_of({"title": document.title}, () if document.page_starts else note.blocks, path)
    when, _ = date_of({"date": document.date}, path)
    return replace(
        note,
        path=path,
        title=title,
        title_source=source,
        # Keywords and hashtags are those of the author, who is seldom the owner of the notes.
        tags=(),
        links=tuple(link for link in note.links if link.kind == "relative"),
        date=when or modified,
        problems=tuple(document.problems),
        page_starts=tuple(document.page_starts),
    )


def read_note(file: NoteFile) -> Note:
    """Read a note from its file.

    Args:
        file: A file that `find_notes` found.

    Returns:
        The note.

    Raises:
        NoteUnreadable: The file is gone, may not be read, is binary, or a document that cannot be read; the message is
            a short reason.
    """
    return note_from_bytes(file, read_bytes(file))


def parse_note(path: Path, text: str, modified: datetime) -> Note:
    """Make a note of the text of a file.

    Args:
        path: The file; its suffix says in which format the text is. Not that of a document.
        text: The decoded file, without a byte order mark.
        modified: Last change of the file, naive local time.

    Returns:
        The note.
    """
    front_matter = parse_front_matter(text)
    table = LineTable(text)
    body_line = table.first_line_from(front_matter.end)
    suffix = path.suffix.lower()
    ranges = _RANGES[suffix](table, body_line) if suffix in _RANGES and body_line < len(table) else iter(())
    if front_matter.end > front_matter.body_start:
        # Front matter that cannot be read is text to be found, but its lines are no headings.
        ranges = chain([LineRange(0, body_line, "paragraph")], ranges)
    first_line = table.first_line_from(front_matter.body_start)
    org = OrgMetadata()
    if suffix == ".org":
        marked = list(ranges)
        org = read_org_metadata(table, body_line, marked)
        ranges = iter(sorted([*marked, *org.hidden]))
    blocks = assemble(table, ranges, first_line)
    if org.hidden and not blocks:
        # A note that says nothing else is found by what it says of itself.
        org.hidden, blocks = [], assemble(table, (), first_line)
    tags, links = _org_inline(text, blocks) if suffix == ".org" else _inline(text, blocks)
    values: dict[str, Any] = {}
    if suffix == ".org":
        values = dict(org.values)
        tags = [*split_org_tags(values.pop("filetags", "")), *tags]
    values |= {str(key).lower(): value for key, value in front_matter.data.items()}
    title, source = title_of(values, blocks, path)
    when, problem = date_of(values, path)
    if not blocks and front_matter.data:
        # A note that is all front matter is found by what that says.
        start, end = front_matter.span
        blocks = (Block("paragraph", start, start + len(text[start:end].rstrip())),)
    return Note(
        path=path,
        title=title,
        title_source=source,
        text=text,
        blocks=blocks,
        tags=unique_tags([*written_tags(values), *tags]),
        links=tuple(links),
        date=when or modified,
        problems=tuple(line for line in (front_matter.problem, problem) if line),
        hidden=tuple((table.starts[lines.first], table.ends[lines.end - 1]) for lines in org.hidden),
        ids=tuple(org.ids),
    )


def _inline(text: str, blocks: Iterable[Block]) -> tuple[list[str], list[Link]]:
    """The hashtags of the blocks, and their links to other notes."""
    tags: list[str] = []
    found: list[Link] = []
    for start, written in _texts(text, blocks):
        if "#" in written or "[" in written:
            visible = hide_code(written)
            tags += hashtags(visible)
            found += note_links(written, visible, start)
    return tags, found


def _org_inline(text: str, blocks: Iterable[Block]) -> tuple[list[str], list[Link]]:
    tags: list[str] = []
    found: list[Link] = []
    for start, written in _texts(text, blocks):
        tags += org_heading_tags(written)
        tags += org_hashtags(written)
        found += org_links(written, start)
    return tags, found


def _texts(text: str, blocks: Iterable[Block]) -> Iterator[tuple[int, str]]:
    """Where each block begins that is no code, and its text."""
    return ((block.start, text[block.start : block.end]) for block in blocks if block.kind != "code")
