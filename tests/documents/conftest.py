from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from notesearch.files import Stamp
from notesearch.notes import NoteFile, note_from_bytes
from notesearch.records import Note

Read = Callable[[str, bytes], Note]


@pytest.fixture
def read() -> Read:
    """Reads a document as `index` does."""

    def call(name: str, data: bytes) -> Note:
        mtime_ns = int(datetime(2024, 1, 2).timestamp() * 1e9)
        return note_from_bytes(NoteFile(Path("/notes") / name, Stamp(len(data), mtime_ns)), data)

    return call


def texts(note: Note) -> list[str]:
    """The characters of each block."""
    return [note.text[block.start : block.end] for block in note.blocks]


def headings(note: Note) -> list[tuple[int, str]]:
    return [(block.level, block.title) for block in note.blocks if block.kind == "heading"]
