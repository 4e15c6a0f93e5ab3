"""Folders of notes → index."""

from notesearch.indexing.sync import Synchronizer

__all__ = ["Synchronizer"]
