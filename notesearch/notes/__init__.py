"""Files to notes and chunks: walking a folder, decoding, front matter, structure, cutting."""

from notesearch.notes.chunks import NO_TEXT, chunk_note
from notesearch.notes.links import LinkResolver
from notesearch.notes.metadata import FrontMatter, parse_front_matter
from notesearch.notes.read import (
    is_unchanged,
    lines_are_of_file,
    note_from_bytes,
    parse_note,
    read_bytes,
    read_note,
    reader_version,
    without_tags,
)
from notesearch.notes.tags import unique_tags
from notesearch.notes.titles import named_by_file, other_names
from notesearch.notes.walk import NoteFile, Walk, find_notes, most_bytes

__all__ = [
    "NO_TEXT",
    "FrontMatter",
    "LinkResolver",
    "NoteFile",
    "Walk",
    "chunk_note",
    "find_notes",
    "is_unchanged",
    "lines_are_of_file",
    "most_bytes",
    "named_by_file",
    "note_from_bytes",
    "other_names",
    "parse_front_matter",
    "parse_note",
    "read_bytes",
    "read_note",
    "reader_version",
    "unique_tags",
    "without_tags",
]
