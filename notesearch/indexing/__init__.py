"""Folders of notes → index."""

from notesearch.indexing.sync import Synchronizer, chunking_for

__all__ = ["Synchronizer", "chunking_for"]
