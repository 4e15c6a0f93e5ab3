"""Reading a note: bytes, decoded, in one of the formats, to a `Note`."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from notesearch.errors import NoteUnreadable
from notesearch.file_kinds import DOCUMENTS_VERSION, HOW_TO_READ, READ_SUFFIXES, has_reader, is_document, kind_of
from notesearch.files import Stamp, hash_of
from notesearch.notes.data import blank_out, disjoint, find_data
from notesearch.notes.dates import date_of
from notesearch.notes.headers import read_metadata
from notesearch.notes.markdown import MARKDOWN, TEXT
from notesearch.notes.org import ORG
from notesearch.notes.properties import inline_properties, make_properties
from notesearch.notes.rst import RST
from notesearch.notes.structure import LineRange, LineTable, NoteFormat, Written, assemble
from notesearch.notes.tags import TAG_KEYS, unique_tags, written_tags
from notesearch.notes.titles import naming_heading, title_of
from notesearch.notes.walk import NoteFile
from notesearch.notes.written_links import metadata_links
from notesearch.records import Block, Link, Note

_SNIFFED_BYTES = 8192
_DETECTION_BYTES = 65_536
# Fewer bytes than this tell nothing about an encoding: `Café` may be anything.
_TELLING_BYTES = 16
# Encodings of old notes, the most frequent first. Without this list, detection suggests rare encodings for short texts,
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

_FORMATS = {"Markdown": MARKDOWN, "text": TEXT, "Org": ORG, "reStructuredText": RST}


def _format_of(path: str | Path) -> NoteFormat:
    """The format of a note; that of the text of a document."""
    return _FORMATS.get(kind_of(path), MARKDOWN)


def reader_version(path: Path) -> int:
    """The version of what reads a note."""
    return DOCUMENTS_VERSION if is_document(path) else _format_of(path).version


def without_tags(text: str, path: str | Path) -> str:
    """A passage, title or heading of a note without the tags in it, so that a classifier cannot read them off."""
    return _format_of(path).without_tags(text)


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


def is_unchanged(file: NoteFile, stamp: Stamp, content_hash: bytes) -> bool:
    """Whether a file is as it was when it had this stamp and this content: it is read only where its stamp differs.

    Raises:
        NoteUnreadable: See `read_bytes`.
    """
    return file.stamp == stamp or (file.stamp.size == stamp.size and hash_of(read_bytes(file)) == content_hash)


def note_from_bytes(file: NoteFile, data: bytes) -> Note:
    """Make a note of the content of a file.

    Raises:
        NoteUnreadable: The content is binary, or a document that cannot be read; the message is a short reason.
    """
    try:
        modified = datetime.fromtimestamp(file.stamp.mtime_ns / 1e9)
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
    note = parse_note(path, document.text, modified)
    # The outline of a PDF names its sections, the first of which is not its title.
    headings = (block.title for block in note.blocks if block.title and not document.page_starts)
    title, source = title_of({"title": document.title}, next(headings, ""), path)
    when, _ = date_of({"date": document.date}, path)
    return replace(
        note,
        title=title,
        title_source=source,
        naming_heading="",
        # Keywords and hashtags are those of the author, who is seldom the owner of the notes.
        tags=(),
        links=tuple(
            link for link in note.links if link.kind == "relative" and link.target.lower().endswith(READ_SUFFIXES)
        ),
        date=when or modified,
        problems=tuple(document.problems),
        page_starts=tuple(document.page_starts),
        properties=(),
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
        path: The file; its suffix says in which format the text is. Documents have been converted to Markdown.
        text: The decoded file, without a byte order mark.
        modified: Last change of the file, naive local time.

    Returns:
        The note.
    """
    note_format = _format_of(path)
    whole_text, data = text, find_data(text)
    text = blank_out(text, data)
    front_matter = read_metadata(text, kind_of(path))
    table = LineTable(text)
    first_line, body_line = table.first_line_from(front_matter.body_start), table.first_line_from(front_matter.end)
    parsed = note_format.parse(table, body_line)
    # Front matter that cannot be read, or may be prose, is text to be found, but its lines are no headings.
    unread = [LineRange(0, body_line, "paragraph")] if front_matter.end > front_matter.body_start else []
    blocks = assemble(table, [*unread, *parsed.ranges], first_line)
    hidden = [lines for lines in parsed.ranges if lines.kind == "hidden"]
    if hidden and not blocks:
        # A note that is all metadata is found by what that says.
        hidden, blocks = [], assemble(table, (), first_line)
    tags, part_tags = list(parsed.tags), list[str]()
    links: list[Link] = []
    inline: list[Written] = []
    prose = [(text[block.start : block.end], block.start) for block in blocks if block.kind != "code"]
    for part, start in prose:
        found_tags, found_links = note_format.inline(part, start)
        (part_tags if note_format.tags_parts else tags).extend(found_tags)
        links += found_links
        if note_format in (MARKDOWN, TEXT):
            inline += inline_properties(part)
    if note_format.references:
        links = sorted([*links, *note_format.references(prose)], key=lambda link: link.start)
    links = [replace(link, line=table.line_at(link.start) + 1) for link in links]
    if front_matter.body_start:
        links = [
            *metadata_links({key: value for key, value in front_matter.data.items() if key not in TAG_KEYS}),
            *links,
        ]
    values: dict[str, Any] = {**parsed.values} | {str(key).lower(): value for key, value in front_matter.data.items()}
    metadata_end = front_matter.end or (0 if text[: front_matter.span[0]].strip() else front_matter.span[1])
    heading = naming_heading(text, blocks, metadata_end)
    title, source = title_of(values, heading, path)
    when, problem = date_of(values, path)
    if front_matter.form:  # its date may be meant otherwise
        problem = ""
    is_text = not (front_matter.body_start and blocks)
    properties = [Written(str(key), value, is_text) for key, value in front_matter.data.items()]
    file_tags = unique_tags([*written_tags(values), *tags])
    if not blocks and front_matter.data:
        start, end = front_matter.span
        blocks = (Block("paragraph", start, start + len(text[start:end].rstrip())),)
    return Note(
        path=path,
        title=title,
        title_source=source,
        naming_heading=heading if source == "heading" else "",
        text=whole_text,
        blocks=blocks,
        tags=(all_tags := unique_tags([*file_tags, *part_tags])),
        part_tags=all_tags[len(file_tags) :],
        links=tuple(links),
        date=when or modified,
        problems=tuple(line for line in (front_matter.problem, problem) if line),
        hidden=tuple(disjoint([*_spans(table, hidden), *((span.start, span.end) for span in data)])),
        ids=tuple(parsed.ids),
        properties=make_properties([*properties, *parsed.properties, *inline]),
    )


def _spans(table: LineTable, ranges: Iterable[LineRange]) -> Iterator[tuple[int, int]]:
    return ((table.starts[lines.first], table.ends[lines.end - 1]) for lines in ranges)
