"""What the storage tests put into an index and how they look at it."""

import hashlib
import os
import pickle
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notesearch.files import Stamp
from notesearch.records import Chunk, Filters, Link, Note
from notesearch.storage import Fingerprint, IndexReader, WordQuery
from notesearch.storage.database import database_file, open_for_writing
from notesearch.storage.rows import EncodedChunk, EncodedNote
from notesearch.storage.vectors import pack
from notesearch.storage.writer import IndexWriter

DIM = 8
FINGERPRINT = Fingerprint("fake", "0" * 32, DIM, 192, 0, 1)
FOLDER = Path("/vault")


def vector_of(text: str) -> NDArray[np.float32]:
    """A vector of length 1 that depends on the text alone."""
    vector = np.random.default_rng(int.from_bytes(_hash(text))).standard_normal(DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


def codes_of(text: str) -> bytes:
    """Token codes that depend on the text alone: one byte a word."""
    return bytes(len(word) for word in text.split())


def encoded_note(
    name: str,
    *texts: str,
    title: str = "Title",
    tags: Sequence[str] = (),
    links: Sequence[Link] = (),
    date: datetime = datetime(2024, 5, 17, 12),
) -> EncodedNote:
    """A note with one chunk for each text."""
    whole = "\n".join(texts)
    path = FOLDER / name
    chunks = []
    for line, text in enumerate(texts, start=1):
        chunk = Chunk(whole.index(text), whole.index(text) + len(text), line, line, "", text)
        (vector,) = pack(vector_of(text)[np.newaxis])
        chunks.append(EncodedChunk(chunk, _hash(f"{title}\n{text}"), vector, codes_of(text)))
    note = Note(path, title, "heading", whole, (), tuple(tags), tuple(links), date)
    return EncodedNote(1, note, Stamp(len(whole), 1), _hash(whole), tuple(chunks))


def write(writer: IndexWriter, *notes: EncodedNote) -> None:
    """Writes notes in one transaction, each in the place of the one with the same path."""
    with writer.transaction():
        known = {path: folder_id for folder_id, path in writer.folders()}
        folder_id = known.get(FOLDER) or writer.add_folder(FOLDER)
        ids = {path: note.id for path, note in writer.known_notes(folder_id).items()}
        writer.write_notes(replace(note, folder_id=folder_id, replaced=ids.get(str(note.note.path))) for note in notes)


def remove(writer: IndexWriter, *names: str) -> None:
    with writer.transaction():
        writer.remove_notes([note_id(writer, name) for name in names])


def note_id(writer: IndexWriter, name: str) -> int:
    return next(
        known[str(FOLDER / name)].id
        for folder_id, _ in writer.folders()
        if str(FOLDER / name) in (known := writer.known_notes(folder_id))
    )


def found(index_dir: Path, query: str | WordQuery, filters: Filters | None = None, limit: int = 100) -> list[str]:
    """Names of the notes that any of some words or a query finds, best first."""
    asked = query if isinstance(query, WordQuery) else WordQuery(tuple(query.split()))
    with closing(IndexReader(index_dir)) as reader:
        ids = [row[0] for row in reader.match(asked, limit, filters or Filters())]
        notes = reader.notes(ids)
        return [str(Path(notes[i].path).relative_to(FOLDER)) for i in ids]


def live_vectors(reader: IndexReader) -> dict[int, tuple[float, ...]]:
    """Chunk ids and vectors as a search sees them."""
    pairs = [(i, tuple(row.tolist())) for ids, rows in reader.vectors() for i, row in zip(ids, rows, strict=True)]
    dead = set(reader.dead_chunks().tolist())
    live = {int(i): row for i, row in pairs if i not in dead}
    assert len(live) == len([i for i, _ in pairs if i not in dead]), "a chunk came twice"
    return live


def rows(index_dir: Path, sql: str) -> list[Any]:
    """What a query of the tests' own gives."""
    with closing(sqlite3.connect(index_dir / "notes.db")) as connection:
        return connection.execute(sql).fetchall()


def as_nobody(function: Callable[[], Any]) -> Any:
    """Runs a function as a user whom permissions stop, which root is not; returns what it returns or raises."""
    if os.geteuid() != 0:
        return _outcome(function)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        os.write(writing, pickle.dumps(_outcome(function)))
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123 - from a descriptor
        outcome = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    return outcome


def _outcome(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except BaseException as error:  # noqa: BLE001 - the caller looks at it
        return (type(error).__name__, str(error))


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def check_words(index_dir: Path) -> None:
    """Has FTS5 compare its index with the notes and chunks; raises where they differ."""
    with closing(open_for_writing(database_file(index_dir))) as connection:
        connection.execute("INSERT INTO note_words (note_words, rank) VALUES ('integrity-check', 1)")
