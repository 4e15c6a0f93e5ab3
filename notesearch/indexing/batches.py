"""Notes cut, encoded and written, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from notesearch.encoders import Encoder, PreparedModel, models
from notesearch.files import hash_of
from notesearch.notes import NO_TEXT, NoteFile, chunk_note, reader_version
from notesearch.records import Chunk, Chunking, Note
from notesearch.storage.rows import EncodedChunk, EncodedNote
from notesearch.storage.vectors import pack
from notesearch.storage.writer import IndexWriter
from notesearch.words import passage_text

# Chunks encoded and written together: a killed run loses at most this much work.
BATCH_CHUNKS = 256
# A file may be written again within one tick of its file system's clock, of 2 s on FAT, and have the time it had.
_TICK_NS = 2_000_000_000
_NO_TIME = -1

Progress = Callable[[int, int], None]
"""Told what is done so far, and how much there is to do."""


@dataclass(frozen=True, slots=True)
class ReadNote:
    """A note to be written.

    Attributes:
        folder_id: The covered folder that it is in.
        file: Its file.
        replaced: Id of the note in whose place it comes, if there is one.
        content_hash: Of the file's content, as `hash_of` makes it.
        note: The note.
    """

    folder_id: int
    file: NoteFile
    replaced: int | None
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
        self._batch.append(_CutNote(read, chunks, passages, tuple(hash_of(passage.encode()) for passage in passages)))
        if sum(len(cut.chunks) for cut in self._batch) >= BATCH_CHUNKS:
            self.finish()

    def finish(self) -> None:
        """Encodes what the index has no vector for yet, and writes the notes in one transaction."""
        batch, self._batch = self._batch, []
        if self._encoder is None or not batch:
            return
        known_passages = self._writer.known_passages(hash for cut in batch for hash in cut.hashes)
        unknown = {
            hash: passage
            for cut in batch
            for hash, passage in zip(cut.hashes, cut.passages, strict=True)
            if hash not in known_passages
        }
        if unknown:
            encoded = self._encoder.encode_passages(list(unknown.values()))
            known_passages |= zip(unknown, zip(pack(encoded.vectors), encoded.codes, strict=True), strict=True)
            self.encoded += len(unknown)
        with self._writer.transaction():
            self._writer.write_notes(_encoded(cut, known_passages) for cut in batch)

    def _open_encoder(self, passages: int) -> Encoder:
        return models.open_encoder(self._model, self._token_model, passages=passages, threads=self._threads)


def settled(mtime_ns: int) -> int:
    """A file's time, unless it is so recent that it does not tell whether the file changes once more."""
    return mtime_ns if time.time_ns() - mtime_ns > _TICK_NS else _NO_TIME


def _encoded(cut: _CutNote, passages: dict[bytes, tuple[bytes, bytes]]) -> EncodedNote:
    read = cut.read
    chunks: Sequence[tuple[Chunk, bytes]] = list(zip(cut.chunks, cut.hashes, strict=True))
    return EncodedNote(
        folder_id=read.folder_id,
        note=read.note,
        size=read.file.size,
        mtime_ns=settled(read.file.mtime_ns),
        content_hash=read.content_hash,
        reader=reader_version(read.file.path),
        chunks=tuple(EncodedChunk(chunk, hash, *passages[hash]) for chunk, hash in chunks),
        replaced=read.replaced,
    )
