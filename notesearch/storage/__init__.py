"""The index on disk: `notes.db` (SQLite, the truth) and `vectors.hnsw` (derived). All SQL is in here."""

from notesearch.storage.reader import Fingerprint, IndexReader, StoredChunk, StoredNote
from notesearch.storage.words import searchable_words

__all__ = ["Fingerprint", "IndexReader", "StoredChunk", "StoredNote", "searchable_words"]
