"""Query → hits."""

from notesearch.retrieval.pipeline import Mode, Searcher

__all__ = ["Mode", "Searcher"]
