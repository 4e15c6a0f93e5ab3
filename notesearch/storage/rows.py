"""What is written into an index, and what its writer knows of it; notes as the rows of tables."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from notesearch.files import Stamp
from notesearch.records import Chunk, Note, Skipped
from notesearch.words import key_of

Rows = defaultdict[str, list[dict[str, Any]]]
"""The rows of a batch, by table."""

_NO_STAMP = Stamp(size=-1)


@dataclass(frozen=True, slots=True)
class KeptNote:
    """A note whose file has another stamp, and the content it had.

    Attributes:
        id: Of the note.
        stamp: Of its file now.
        date: The note's date now; `None` where it is what it was.
    """

    id: int
    stamp: Stamp
    date: datetime | None


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """What could not be indexed; with what tells whether the file has changed since, where only that would help.

    Attributes:
        skipped: The file, and why.
        stamp: Of the file; that of none where it is to be tried again in any case.
        reader: The version of the code that could not read it.
    """

    skipped: Skipped
    stamp: Stamp = _NO_STAMP
    reader: int = 0


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
        stamp: Of its file.
        content_hash: Of its file.
        chunks: In order.
        reader: The version of the code that read it.
        replaced: Id of the note in whose place it comes, if there is one.
        other_names: Words that it is called by, beside its title.
    """

    folder_id: int
    note: Note
    stamp: Stamp
    content_hash: bytes
    chunks: tuple[EncodedChunk, ...]
    reader: int = 0
    replaced: int | None = None
    other_names: str = ""


def add_note_rows(rows: Rows, note_id: int, encoded: EncodedNote) -> None:
    """Adds the rows of a note, without its chunks, to those of a batch."""
    note = encoded.note
    rows["notes"].append(
        {
            "id": note_id,
            "folder_id": encoded.folder_id,
            "path": str(note.path),
            "title": note.title,
            "title_source": note.title_source,
            "heading_key": key_of(note.naming_heading),
            "other_names": encoded.other_names,
            "date": stored_date(note.date),
            **encoded.stamp._asdict(),
            "content_hash": encoded.content_hash,
            "problems": "\n".join(note.problems),
            "reader": encoded.reader,
        }
    )
    rows["names"] += [{"note_id": note_id, "name": name} for name in set(note.ids)]
    rows["tags"] += [
        {
            "note_id": note_id,
            "position": position,
            "tag": tag,
            "key": key_of(tag),
            "of_part": int(position >= len(note.file_tags)),
        }
        for position, tag in enumerate(note.tags)
    ]
    rows["properties"] += [
        {
            "note_id": note_id,
            "position": position,
            "name": each.name,
            "key": key_of(each.name),
            "value": each.value,
            "value_key": each.compared,
            "number": each.number,
            "moment": each.moment and stored_date(each.moment),
            "words": each.words,
        }
        for position, each in enumerate(note.properties)
    ]
    rows["links"] += [
        {
            "note_id": note_id,
            "position": position,
            "target": link.target,
            "anchor": link.anchor,
            "kind": link.kind,
            "line": link.line,
        }
        for position, link in enumerate(note.links)
    ]


def add_chunk_row(rows: Rows, chunk_id: int, note_id: int, position: int, encoded: EncodedChunk) -> None:
    """Adds the row of a chunk to those of a batch."""
    own = {"id": chunk_id, "note_id": note_id, "position": position, "passage_hash": encoded.passage_hash}
    rows["chunks"].append(own | asdict(encoded.chunk))


def stored_date(date: datetime) -> str:
    """A date as it is stored: ISO 8601, in seconds."""
    return date.isoformat(timespec="seconds")
