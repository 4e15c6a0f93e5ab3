"""Query → hits."""

from notesearch.retrieval.pipeline import Mode, Rerank, Searcher

__all__ = ["Mode", "Rerank", "Searcher"]
