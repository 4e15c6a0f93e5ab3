"""The index on disk: `notes.db` (SQLite, the truth) and `vectors.hnsw` (derived). All SQL is in here."""

from notesearch.storage.reader import Fingerprint, IndexReader, StoredChunk, StoredNote
from notesearch.storage.words import quoted, searchable_words

__all__ = ["Fingerprint", "IndexReader", "StoredChunk", "StoredNote", "quoted", "searchable_words"]
