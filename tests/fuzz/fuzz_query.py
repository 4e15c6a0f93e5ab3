"""What a person types → the words and phrases that SQLite's full-text search is asked for."""

import atexit
import shutil
import tempfile
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np

from notesearch.errors import UsageError
from notesearch.files import Stamp
from notesearch.records import Chunk, Filters, Note
from notesearch.retrieval.lexical import chunks_with_phrases, is_mentioned, match_lexical
from notesearch.retrieval.query import parse_query
from notesearch.storage import Fingerprint, IndexReader
from notesearch.storage.rows import EncodedChunk, EncodedNote
from notesearch.storage.vectors import pack
from notesearch.storage.writer import IndexWriter

_TEXTS = (
    "Consistency or availability. NEAR and NOT",
    "Lentils, turmeric, salt; café",
    "麻婆豆腐 서울 여행 naïve * ^ -",
)


def check(data: bytes) -> None:
    """Reads the input as a query; what is no UTF-8 becomes lone surrogates, as in the arguments of a command."""
    typed = data.decode("utf-8", "surrogateescape")
    try:
        query = parse_query(typed)
    except UsageError as error:
        assert error.message == "the query is empty"
        return
    query.text.encode("utf-8")
    assert query.text.strip() and not set(query.text) & set('"\0')
    assert all(word.strip() for word in (*query.words, *query.phrases))
    for chosen in (Filters(), Filters(tags=(query.text,)), Filters(paths=((query.text[:100],),))):
        found = match_lexical(_reader(), query, chosen)
        assert all(score > 0 for score in found.notes.values()) and 0 <= found.coverage <= 1
        chunks_with_phrases(_reader(), query, chosen)
    for words in (*query.words[:2], *query.phrases[:2]):
        is_mentioned(_reader(), words)


@cache
def _reader() -> IndexReader:
    """A few notes, in a folder that goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="notesearch-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with IndexWriter(folder) as writer, writer.transaction():
        writer.set_fingerprint(Fingerprint("fuzz", "0" * 32, 8, 192, 0, 1))
        folder_id = writer.add_folder(Path("/notes"))
        writer.write_notes(_encoded(folder_id, number, text) for number, text in enumerate(_TEXTS))
    return IndexReader(folder)


def _encoded(folder_id: int, number: int, text: str) -> EncodedNote:
    (vector,) = pack(np.eye(1, 8, number, dtype=np.float32))
    chunk = EncodedChunk(Chunk(0, len(text), 1, 1, "", text), bytes([number]) * 16, vector, b"")
    path = Path(f"/notes/{number}.md")
    note = Note(path, f"Title {number}", "heading", text, (), (f"tag{number}",), (), datetime(2024, 5, 17))
    return EncodedNote(folder_id, note, Stamp(len(text)), bytes([number]) * 16, (chunk,))
