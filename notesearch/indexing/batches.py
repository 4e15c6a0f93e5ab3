"""Notes cut, encoded and written, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from notesearch.encoders import Encoder, PreparedModel, models
from notesearch.files import Stamp, hash_of
from notesearch.notes import NO_TEXT, chunk_note, other_names, reader_version
from notesearch.records import Chunk, Chunking, Note
from notesearch.storage.rows import EncodedChunk, EncodedNote, KeptNote
from notesearch.storage.vectors import pack
from notesearch.storage.writer import IndexWriter
from notesearch.words import passage_text, spelled

# What is encoded and written together. A run that is killed loses at most the work of two seconds, or of one note.
BATCH_CHUNKS = 256
_BATCH_S = 1.5
# Until the first batch tells.
_SECONDS_A_CHUNK = 0.05

Progress = Callable[[int, int], None]
"""Told what is done so far, and how much there is to do."""


@dataclass(frozen=True, slots=True)
class ReadNote:
    """A note to be written.

    Attributes:
        folder_id: The covered folder that it is in.
        replaced: Id of the note in whose place it comes, if there is one.
        stamp: Of the file, settled.
        content_hash: Of the file's content, as `hash_of` makes it.
        note: The note.
    """

    folder_id: int
    replaced: int | None
    stamp: Stamp
    content_hash: bytes
    note: Note


@dataclass(frozen=True, slots=True)
class _CutNote:
    """A note cut up but not yet encoded."""

    read: ReadNote
    chunks: tuple[Chunk, ...]
    passages: tuple[str, ...]
    hashes: tuple[bytes, ...]


class BatchWriter:
    """Takes notes one after another and writes them in batches.

    Args:
        writer: The index.
        model: The bi-encoder, prepared.
        chunking: How notes are cut.
        token_model: See `Synchronizer`.
        threads: See `Synchronizer`.

    Attributes:
        encoded: Chunks that had to be encoded so far.
    """

    def __init__(
        self, writer: IndexWriter, model: PreparedModel, chunking: Chunking, token_model: str, threads: int | None
    ) -> None:
        self._writer = writer
        self._model = model
        self._chunking = chunking
        self._token_model = token_model
        self._threads = threads
        self._encoder: Encoder | None = None
        self._batch: list[_CutNote] = []
        self._kept: list[KeptNote] = []
        self._seconds_a_chunk = _SECONDS_A_CHUNK
        self._begun = time.monotonic()
        self.encoded = 0

    def add(self, read: ReadNote, expected_chunks: int) -> None:
        """Takes a note; a full batch is written.

        Args:
            read: The note.
            expected_chunks: About how many chunks there will be in all: many are worth an encoder that opens slowly.
        """
        self._encoder = self._encoder or self._open_encoder(expected_chunks)
        chunks = chunk_note(read.note, self._encoder.token_starts, self._chunking) or (NO_TEXT,)
        passages = tuple(passage_text(read.note.title, chunk.heading, chunk.text) for chunk in chunks)
        self._batch.append(
            _CutNote(read, chunks, passages, tuple(hash_of(spelled(passage).encode()) for passage in passages))
        )
        self._finish_if_due()

    def keep(self, note: KeptNote) -> None:
        """Takes a note whose content is what the index has."""
        self._kept.append(note)
        self._finish_if_due()

    def _finish_if_due(self) -> None:
        waiting = sum(len(cut.chunks) for cut in self._batch)
        seconds = time.monotonic() - self._begun + waiting * self._seconds_a_chunk
        if waiting >= BATCH_CHUNKS or seconds >= _BATCH_S:
            self.finish()

    def finish(self) -> None:
        """Encodes what the index has no vector for yet, and writes the notes in one transaction."""
        batch, self._batch = self._batch, []
        kept, self._kept = self._kept, []
        passages = self._encoded_passages(batch) if batch else {}
        if batch or kept:
            with self._writer.transaction():
                self._writer.keep_notes(kept)
                self._writer.write_notes(_encoded(cut, passages) for cut in batch)
        self._begun = time.monotonic()

    def _encoded_passages(self, batch: Sequence[_CutNote]) -> dict[bytes, tuple[bytes, bytes]]:
        """Vectors and token codes of the passages of a batch, by their hashes."""
        known_passages = self._writer.known_passages(hash for cut in batch for hash in cut.hashes)
        unknown = {
            hash: passage
            for cut in batch
            for hash, passage in zip(cut.hashes, cut.passages, strict=True)
            if hash not in known_passages
        }
        if unknown and self._encoder:
            started = time.monotonic()
            encoded = self._encoder.encode_passages(list(unknown.values()))
            self._seconds_a_chunk = (time.monotonic() - started) / len(unknown)
            known_passages |= zip(unknown, zip(pack(encoded.vectors), encoded.codes, strict=True), strict=True)
            self.encoded += len(unknown)
        return known_passages

    def _open_encoder(self, passages: int) -> Encoder:
        return models.open_encoder(self._model, self._token_model, passages=passages, threads=self._threads)


def _encoded(cut: _CutNote, passages: dict[bytes, tuple[bytes, bytes]]) -> EncodedNote:
    read = cut.read
    chunks: Sequence[tuple[Chunk, bytes]] = list(zip(cut.chunks, cut.hashes, strict=True))
    return EncodedNote(
        folder_id=read.folder_id,
        note=read.note,
        stamp=read.stamp,
        content_hash=read.content_hash,
        reader=reader_version(read.note.path),
        chunks=tuple(EncodedChunk(chunk, hash, *passages[hash]) for chunk, hash in chunks),
        replaced=read.replaced,
        other_names=other_names(read.note),
    )
