"""How good a ranking is: collections with judgements, measures, comparisons, reports."""

from notesearch.evaluation.collections import Collection, read_collection, read_run_for, write_corpus_as_notes
from notesearch.evaluation.comparison import Comparison, bootstrap_interval, compare
from notesearch.evaluation.measures import (
    Evaluation,
    Measures,
    QueryMeasures,
    StageScores,
    measure_queries,
    measure_run,
    score_run,
    sum_up,
)

__all__ = [
    "Collection",
    "Comparison",
    "Evaluation",
    "Measures",
    "QueryMeasures",
    "StageScores",
    "bootstrap_interval",
    "compare",
    "measure_queries",
    "measure_run",
    "read_collection",
    "read_run_for",
    "score_run",
    "sum_up",
    "write_corpus_as_notes",
]
