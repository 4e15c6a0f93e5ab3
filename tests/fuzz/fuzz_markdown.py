"""The bytes of a file → a note, its chunks, and what is made of its text, in all formats."""

import re
from dataclasses import replace
from pathlib import Path

from notesearch.errors import NoteUnreadable
from notesearch.evaluation.known_items import find_known_items, without_items
from notesearch.files import Stamp
from notesearch.notes import NoteFile, chunk_note, note_from_bytes, parse_front_matter, without_tags
from notesearch.records import Chunk, Chunking, Note
from notesearch.words import passage_text

SUFFIXES = (".md", ".org", ".rst", ".txt")
_WORD = re.compile(r"\w+|[^\w\s]")
_LINE_END = re.compile(r"\r\n|\r|\n")


def check(data: bytes) -> None:
    """Takes the format and how to cut from the first byte; the rest is the file."""
    choice, content = (data[0], data[1:]) if data else (0, b"")
    suffix = SUFFIXES[choice % len(SUFFIXES)]
    try:
        note = note_from_bytes(NoteFile(Path(f"/notes/name{suffix}"), Stamp(len(content))), content)
    except NoteUnreadable as error:
        assert error.message == "binary file"
        return
    seen = replace(note, text=_without_hidden(note))
    _check_blocks(seen)
    _check_links(note)
    chunking = Chunking(8 + choice // 16, choice // 4 % 3)
    _check_chunks(seen, chunk_note(note, _words, chunking), chunking)
    without_tags(note.text, note.path)
    items = find_known_items([note])
    for item in items:
        assert 0 <= item.start <= item.end <= len(note.text)
        assert 0 <= item.answer_start < item.answer_end <= len(note.text)
    without_items(note, items)


def _words(text: str) -> list[int]:
    return [match.start() for match in _WORD.finditer(text)]


def _without_hidden(note: Note) -> str:
    """The text with spaces in the place of what is no text of the note; hidden spans are ordered and disjoint."""
    text, end = note.text, 0
    for start, next_end in note.hidden:
        assert end <= start < next_end <= len(text)
        end = next_end
        text = text[:start] + "".join(char if char in "\r\n" else " " for char in text[start:end]) + text[end:]
    return text


def _check_blocks(note: Note) -> None:
    """Blocks are ordered and disjoint, and hold everything but blanks and the front matter."""
    start = end = parse_front_matter(note.text).body_start if note.blocks else 0
    if note.blocks and note.blocks[0].start < start:  # the front matter is all there is
        assert len(note.blocks) == 1 and not note.text[start:].strip()
        return
    for block in note.blocks:
        assert end <= block.start < block.end <= len(note.text)
        assert not note.text[end : block.start].strip() and note.text[block.start : block.end].strip()
        assert (block.level > 0) == (block.kind == "heading")
        end = block.end
    assert not note.blocks or not note.text[end:].strip()


def _check_links(note: Note) -> None:
    for link in note.links:
        assert 0 <= link.start < link.end <= len(note.text)
        assert link.target and (link.anchor or link.kind == "id")
        assert note.text[link.start] == "["


def _check_chunks(note: Note, chunks: tuple[Chunk, ...], chunking: Chunking) -> None:
    position, last_start = (note.blocks[0].start if note.blocks else 0), -1
    line, line_offset = 1, 0  # of the last start that was looked at
    for chunk in chunks:
        assert note.text[chunk.start : chunk.end] == chunk.text and chunk.text.strip()
        assert chunk.start > last_start and chunk.end > position
        assert chunking.overlap_sentences or chunk.start >= position
        assert not note.text[position : chunk.start].strip()
        assert len(_words(chunk.text)) <= chunking.budget_tokens
        line += _line_ends(note.text, line_offset, chunk.start)
        line_offset = chunk.start
        assert chunk.start_line == line
        assert chunk.end_line == line + _line_ends(note.text, chunk.start, chunk.end - 1)
        passage_text(note.title, chunk.heading, chunk.text)
        position, last_start = chunk.end, chunk.start
    assert bool(chunks) == bool(note.blocks)
    assert not note.blocks or not note.text[position:].strip()


def _line_ends(text: str, start: int, end: int) -> int:
    """How many lines end between two characters that are no line ends themselves."""
    return len(_LINE_END.findall(text, start, end))
