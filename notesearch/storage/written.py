"""What is written into an index, and what the writer reads back to see what has to be written."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from notesearch.records import Chunk, Note, Skipped


def hash_of(data: bytes) -> bytes:
    """BLAKE2b-128 of a file's content, or of a passage."""
    return hashlib.blake2b(data, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class KnownNote:
    """What tells whether a note has changed since it was indexed."""

    id: int
    size: int
    mtime_ns: int
    content_hash: bytes
    reader: int


@dataclass(frozen=True, slots=True)
class UnreadFile:
    """A file that was read in vain.

    Attributes:
        skipped: What was said of it.
        size: Of the file, in bytes.
        mtime_ns: Of the file.
        reader: The version of the reader that could not read it.
    """

    skipped: Skipped
    size: int
    mtime_ns: int
    reader: int


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """A chunk with what was computed from it.

    Attributes:
        chunk: The chunk.
        passage_hash: Of the text that was encoded.
        vector: As `storage.vectors.pack` makes it.
        codes: The passage's token codes.
    """

    chunk: Chunk
    passage_hash: bytes
    vector: bytes
    codes: bytes


@dataclass(frozen=True, slots=True)
class ChunkWithoutCodes:
    """What the passage of a stored chunk is made of."""

    id: int
    title: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class EncodedNote:
    """A note ready to be written.

    Attributes:
        note: The note.
        size: Of its file, in bytes.
        mtime_ns: Of its file.
        content_hash: Of its file.
        chunks: In order.
        reader: The version of the reader that it was read by.
    """

    note: Note
    size: int
    mtime_ns: int
    content_hash: bytes
    chunks: tuple[EncodedChunk, ...]
    reader: int = 0
