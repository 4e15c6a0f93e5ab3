"""The index on disk: `notes.db` (SQLite, the truth) and `vectors.hnsw` (derived). All SQL is in here."""

from notesearch.storage.full_text import WordQuery, searchable_words
from notesearch.storage.index_reader import IndexReader
from notesearch.storage.reader import (
    Fingerprint,
    Reader,
    StoredChunk,
    StoredLink,
    StoredNote,
    StoredProperty,
    Unfinished,
)

__all__ = [
    "Fingerprint",
    "IndexReader",
    "Reader",
    "StoredChunk",
    "StoredLink",
    "StoredNote",
    "StoredProperty",
    "Unfinished",
    "WordQuery",
    "searchable_words",
]
