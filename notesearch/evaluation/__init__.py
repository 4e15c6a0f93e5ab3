"""How good a ranking is: collections with judgements, and measures."""

from notesearch.evaluation.collection import Collection, read_collection, write_corpus_as_notes
from notesearch.evaluation.measures import Measures, measure_run

__all__ = ["Collection", "Measures", "measure_run", "read_collection", "write_corpus_as_notes"]
