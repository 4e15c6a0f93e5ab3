"""notesearch as a library: the notes that are related to a note, and the notes and passages that are copies."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders import models
from notesearch.errors import IndexDamaged, NoteUnreadable, UsageError, require_type
from notesearch.files import Stamp, hash_of
from notesearch.library.properties import conditions_on
from notesearch.notes import NO_TEXT, NoteFile, chunk_note, most_bytes, note_from_bytes, read_bytes
from notesearch.path_globs import path_meanings
from notesearch.records import Chunking
from notesearch.retrieval.duplicates import Duplicates, find_duplicate_notes, find_duplicate_passages
from notesearch.retrieval.links import find_linked_notes
from notesearch.retrieval.query import make_filters
from notesearch.retrieval.similar import SimilarHit, SourceNote, find_similar_notes
from notesearch.settings import load_settings
from notesearch.storage import IndexReader, StoredChunk, StoredNote
from notesearch.words import passage_text

if TYPE_CHECKING:
    from notesearch.records import Note


# On real notes, pairs from here on are versions, parts and copies; below .6 they are mostly of one series.
DEFAULT_THRESHOLD = 0.8
_LEAST_THRESHOLD = 0.1
# Where the text of a note that is in no file yet would be: its relative links start there.
_UNSAVED = "unsaved.md"
_HOW_TO_NAME = "Name the note's file, or - for a text on stdin; to search for words: notesearch search"


def find_similar(
    note: str | Path | None,
    *,
    text: str | bytes = "",
    limit: int = 10,
    unlinked: bool = False,
    tags: Sequence[str] = (),
    not_tags: Sequence[str] = (),
    path: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    where: Sequence[str] = (),
    index_dir: str | Path | None = None,
    collection: str | None = None,
) -> list[SimilarHit]:
    """Finds the notes that are related to a note.

    What the index knows of the note is taken from there; a note that is new or has changed is read and encoded.

    Args:
        note: The note's file; `None` for a text that is in no file yet.
        text: That text, in Markdown; bytes are decoded as a file's are.
        limit: The most hits, ≥ 1.
        unlinked: Whether to leave out notes that a link joins to it, in either direction.
        tags: Tags that a note must have, all of them.
        not_tags: Tags that a note must not have.
        path: See `Index.search`.
        since: Earliest date of a note, inclusive, local time.
        until: Latest date of a note, inclusive, local time.
        where: Conditions on properties, see `Index.search`.
        index_dir: The index; by default the command line's.
        collection: The collection of the settings file whose index is taken; what is given takes the place of its own
            `tags`, `not_tags` and `path`.

    Returns:
        Hits, best first, one a note; empty where no note is closer than notes are on average.

    Raises:
        UsageError: The limit is below 1, the path is too long, the text is empty, or a condition on properties cannot
            be understood.
        NoteUnreadable: There is no such note, or it cannot be read.
        IndexMissing: Nothing has been indexed.
        ModelError: The note has to be encoded, and the index's model cannot be loaded.
        StoreError: The index cannot be read.
    """
    require_type("limit", limit, int)
    require_type("note", note, str, Path, type(None))
    require_type("text", text, str, bytes)
    if limit < 1:
        raise UsageError(f"the limit is {limit}", "Give a limit of 1 or more.")
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    if note is None and not data.strip():
        raise UsageError("the note is empty", "Pipe its text in: notesearch similar - < draft.md")
    settings = load_settings(collection=collection, index_dir=Path(index_dir) if index_dir else None)
    filters = make_filters(tags or settings.tags, not_tags or settings.not_tags, path, since, until)
    if settings.path and not path:
        filters = replace(filters, paths=(path_meanings(settings.path, None),))
    with IndexReader(settings.index_dir) as reader:
        filters = replace(filters, where=conditions_on(where, [reader]))
        if note is None:
            unsaved = NoteFile(Path.cwd() / _UNSAVED, Stamp(mtime_ns=time.time_ns()))
            source = _encoded_source(reader, _parsed(unsaved, data))
        else:
            source = _source(reader, Path(note), settings.max_file_bytes)
        return find_similar_notes(reader, source, limit=limit, filters=filters, unlinked=unlinked)


def _source(reader: IndexReader, written: Path, max_bytes: int) -> SourceNote:
    """A note as the index knows it, or as its file is now, where that is another."""
    given = Path(os.path.abspath(os.path.expanduser(written)))  # noqa: PTH100, PTH111 - pathlib's raise, or keep `..`
    file, data = _read_file(given, max_bytes)
    # Folders are stored without symlinks on the way to them.
    for path in dict.fromkeys([given, given.parent.resolve() / given.name, given.resolve()]):
        known = reader.note_at(str(path))
        if known and known.content_hash == hash_of(data):
            return stored_source(reader, known.id)
        if known:
            return _encoded_source(reader, _parsed(replace(file, path=path), data), known.id)
    return _encoded_source(reader, _parsed(replace(file, path=given.resolve()), data))


def _read_file(path: Path, max_bytes: int) -> tuple[NoteFile, bytes]:
    """Reads a file that may be any.

    Raises:
        NoteUnreadable: It is missing, no file, too large, or may not be read.
    """
    try:
        str(path).encode()
        status = path.stat()
    except UnicodeEncodeError as error:
        raise NoteUnreadable("the note's name is not valid UTF-8", "Rename the note.") from error
    except (OSError, ValueError) as error:  # a name that is too long, or holds a NUL
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "no name of a file"
        raise NoteUnreadable(f"cannot read {path}: {reason}", _HOW_TO_NAME) from error
    if path.is_dir():
        raise NoteUnreadable(f"{path} is a folder", "Name a note in it.")
    if status.st_size > (limit := most_bytes(path, max_bytes)):
        raise NoteUnreadable(f"{path} is larger than {limit:,} bytes", "Raise max_file_bytes in the settings.")
    file = NoteFile(path, Stamp.of(status))
    try:
        return file, read_bytes(file)
    except NoteUnreadable as error:
        raise NoteUnreadable(f"cannot read {path}: {error.message}", _HOW_TO_NAME) from error


def stored_source(reader: IndexReader, note_id: int) -> SourceNote:
    """A note as the index knows it."""
    note = reader.notes([note_id])[note_id]
    chunks = tuple(reader.chunks_of_notes([note_id]))
    vectors = reader.vectors_of_chunks([chunk.id for chunk in chunks])
    if len(vectors) < len(chunks):
        raise IndexDamaged("the index is damaged: a passage has no embedding")
    linked = find_linked_notes(reader, note.path, note_id)
    return SourceNote(note, chunks, np.stack([vectors[chunk.id] for chunk in chunks]), linked)


def _encoded_source(reader: IndexReader, note: Note, note_id: int = 0) -> SourceNote:
    """A note that the index does not know, or knows as it was before: cut and encoded as `index` would."""
    encoder = models.encoder_of(reader.fingerprint.model, reader.fingerprint.encoder)
    chunking = Chunking(reader.fingerprint.budget_tokens, reader.fingerprint.overlap_sentences)
    chunks = tuple(
        StoredChunk.of(chunk, 0, note_id) for chunk in chunk_note(note, encoder.token_starts, chunking) or (NO_TEXT,)
    )
    encoded = encoder.encode_passages([passage_text(note.title, chunk.heading, chunk.text) for chunk in chunks])
    links = [(link.target, link.kind) for link in note.links]
    linked = find_linked_notes(reader, str(note.path), note_id or None, links)
    return SourceNote(StoredNote.of(note, note_id), chunks, encoded.vectors, linked)


def _parsed(file: NoteFile, data: bytes) -> Note:
    try:
        return note_from_bytes(file, data)
    except NoteUnreadable as error:
        raise NoteUnreadable(f"cannot read {file.path}: {error.message}", "Name a note that can be read.") from error


def find_duplicates(
    *,
    passages: bool = False,
    threshold: float = DEFAULT_THRESHOLD,
    index_dir: str | Path | None = None,
    collection: str | None = None,
) -> Duplicates:
    """Finds notes that are copies of others or parts of them, or passages that stand in several notes; changes nothing.

    Args:
        passages: Whether to look for passages, of 25 words or more, rather than for whole notes.
        threshold: How much of the words of one must stand in the other, from 0.1 to 1.
        index_dir: The index; by default the command line's.
        collection: The collection of the settings file whose index is taken, all of it.

    Returns:
        Groups, each note in one at most; and how many notes could not be compared.

    Raises:
        UsageError: There is no such threshold.
        IndexMissing: Nothing has been indexed.
        StoreError: The index cannot be read.
    """
    if not _LEAST_THRESHOLD <= threshold <= 1:
        raise UsageError(f"the threshold is {threshold}", f"Give one from {_LEAST_THRESHOLD} to 1.")
    settings = load_settings(collection=collection, index_dir=Path(index_dir) if index_dir else None)
    with IndexReader(settings.index_dir) as reader:
        return (find_duplicate_passages if passages else find_duplicate_notes)(reader, threshold)
