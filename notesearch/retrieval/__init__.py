"""Query → hits."""

from notesearch.retrieval.pipeline import Searcher

__all__ = ["Searcher"]
