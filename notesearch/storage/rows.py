"""What is written into an index, and what its writer knows of it; notes as the rows of tables."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from notesearch.records import Chunk, Note, Skipped

Rows = defaultdict[str, list[dict[str, Any]]]
"""The rows of a batch, by table."""


@dataclass(frozen=True, slots=True)
class KnownNote:
    """What tells whether a note has changed since it was indexed.

    Attributes:
        id: Of the note.
        size: Of its file, in bytes.
        mtime_ns: Of its file.
        content_hash: Of its file.
        reader: The version of the code that read it.
    """

    id: int
    size: int
    mtime_ns: int
    content_hash: bytes
    reader: int

    @property
    def stamp(self) -> tuple[int, int, int]:
        """What is compared with the file as it is now."""
        return self.size, self.mtime_ns, self.reader


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """What could not be indexed; with what tells whether the file has changed since, where only that would help.

    Attributes:
        skipped: The file, and why.
        size: Of the file, in bytes; -1 where it is to be tried again in any case.
        mtime_ns: Of the file.
        reader: The version of the code that could not read it.
    """

    skipped: Skipped
    size: int = -1
    mtime_ns: int = -1
    reader: int = 0

    @property
    def stamp(self) -> tuple[int, int, int]:
        """What is compared with the file as it is now."""
        return self.size, self.mtime_ns, self.reader


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
class EncodedNote:
    """A note ready to be written.

    Attributes:
        folder_id: The folder of the index that it is in.
        note: The note.
        size: Of its file, in bytes.
        mtime_ns: Of its file.
        content_hash: Of its file.
        chunks: In order.
        reader: The version of the code that read it.
        replaced: Id of the note in whose place it comes, if there is one.
    """

    folder_id: int
    note: Note
    size: int
    mtime_ns: int
    content_hash: bytes
    chunks: tuple[EncodedChunk, ...]
    reader: int = 0
    replaced: int | None = None


def add_note_rows(rows: Rows, note_id: int, encoded: EncodedNote) -> None:
    """Adds the rows of a note, without its chunks, to those of a batch."""
    note = encoded.note
    rows["notes"].append(
        {
            "id": note_id,
            "folder_id": encoded.folder_id,
            "path": str(note.path),
            "title": note.title,
            "date": stored_date(note.date),
            "size": encoded.size,
            "mtime_ns": encoded.mtime_ns,
            "content_hash": encoded.content_hash,
            "problems": "\n".join(note.problems),
            "reader": encoded.reader,
        }
    )
    rows["names"] += [{"note_id": note_id, "name": name} for name in set(note.ids)]
    rows["tags"] += [
        {"note_id": note_id, "position": position, "tag": tag, "key": tag.casefold()}
        for position, tag in enumerate(note.tags)
    ]
    rows["links"] += [
        {"note_id": note_id, "position": position, "target": link.target, "anchor": link.anchor, "kind": link.kind}
        for position, link in enumerate(note.links)
    ]


def add_chunk_row(rows: Rows, chunk_id: int, note_id: int, position: int, encoded: EncodedChunk) -> None:
    """Adds the row of a chunk to those of a batch."""
    own = {"id": chunk_id, "note_id": note_id, "position": position, "passage_hash": encoded.passage_hash}
    rows["chunks"].append(own | asdict(encoded.chunk))


def stored_date(date: datetime) -> str:
    """A date as it is stored: ISO 8601, in seconds."""
    return date.isoformat(timespec="seconds")
