"""Measures of a run, as trec_eval computes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from notesearch.evaluation.collections import Collection
from notesearch.evaluation.comparison import Comparison, bootstrap_interval, compare, give_verdict
from notesearch.records import Skipped

if TYPE_CHECKING:
    from numpy.typing import NDArray


Qrels = Mapping[str, Mapping[str, float]]
"""Query id → document id → gain, greater than 0."""


@dataclass(frozen=True, slots=True)
class Measures:
    """Means over queries, each 0 to 1.

    Attributes:
        queries: How many queries were judged.
        ndcg_10: nDCG@10 with linear gains (Järvelin and Kekäläinen, 2002; trec_eval's ndcg_cut).
        recall_10: Part of the relevant documents among the first 10.
        recall_100: Part of the relevant documents among the first 100.
        mrr_10: Reciprocal of the first relevant document's rank, 0 where that is beyond 10.
        hit_1: Part of the queries whose first document is relevant.
    """

    queries: int
    ndcg_10: float
    recall_10: float
    recall_100: float
    mrr_10: float
    hit_1: float


@dataclass(frozen=True, slots=True, eq=False)
class QueryMeasures:
    """The measures of each query, in the order of the judgements; see `Measures`."""

    ndcg_10: NDArray[np.float64]
    recall_10: NDArray[np.float64]
    recall_100: NDArray[np.float64]
    mrr_10: NDArray[np.float64]
    hit_1: NDArray[np.float64]

    def mean(self) -> Measures:
        """The means over all queries."""
        means = {field.name: float(getattr(self, field.name).mean()) for field in fields(self)}
        return Measures(queries=len(self.ndcg_10), **means)


def measure_queries(run: Mapping[str, Sequence[str]], qrels: Qrels) -> QueryMeasures:
    """Measures each judged query of a run; a query that the run leaves out counts as 0.

    Args:
        run: Query id → document ids, best first, each once.
        qrels: The judgements; not empty.
    """
    ranked = [(run.get(query_id, ()), gains) for query_id, gains in qrels.items()]
    return QueryMeasures(
        ndcg_10=np.array([ndcg(documents, gains, 10) for documents, gains in ranked]),
        recall_10=np.array([recall(documents, gains, 10) for documents, gains in ranked]),
        recall_100=np.array([recall(documents, gains, 100) for documents, gains in ranked]),
        mrr_10=np.array([reciprocal_rank(documents, gains, 10) for documents, gains in ranked]),
        hit_1=np.array([reciprocal_rank(documents, gains, 1) for documents, gains in ranked]),
    )


def measure_run(run: Mapping[str, Sequence[str]], qrels: Qrels) -> Measures:
    """The means of `measure_queries`."""
    return measure_queries(run, qrels).mean()


def ndcg(documents: Sequence[str], gains: Mapping[str, float], depth: int) -> float:
    """Discounted gain of a ranking's first `depth` documents, as a part of the best possible."""
    found = _discounted([gains.get(document, 0.0) for document in documents[:depth]])
    return found / _discounted(sorted(gains.values(), reverse=True)[:depth])


def recall(documents: Sequence[str], gains: Mapping[str, float], depth: int) -> float:
    """Part of the relevant documents that are among the first `depth`."""
    return len(gains.keys() & set(documents[:depth])) / len(gains)


def reciprocal_rank(documents: Sequence[str], gains: Mapping[str, float], depth: int) -> float:
    """1 / rank of the first relevant document; 0 where it is not among the first `depth`."""
    rank = first_relevant(documents[:depth], gains)
    return 1.0 / rank if rank else 0.0


def first_relevant(documents: Sequence[str], gains: Mapping[str, float]) -> int:
    """Rank of the first relevant document, 0 where there is none."""
    return next((rank for rank, document in enumerate(documents, start=1) if document in gains), 0)


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


# What an evaluation finds out: the measures of each stage, and how one compares with another.


@dataclass(frozen=True, slots=True, eq=False)
class StageScores:
    """How good a ranking is on a collection: up to one stage of the search, or a run made elsewhere.

    Attributes:
        name: The stage, or the run's file.
        run: Query id → document ids, best first.
        by_query: The measures of each query, in the collection's order.
        measures: Over all queries.
        interval: The 95 % interval of `measures.ndcg_10`.
        grades: Over the queries of each grade, where the collection has grades.
        ms_per_query: Milliseconds of wall-clock time, everything warm; `None` for a run made elsewhere.
        mode: Which retrievers took part; empty for a run made elsewhere.
        rerank: What scored the best candidates again; likewise.
    """

    name: str
    run: Mapping[str, Sequence[str]]
    by_query: QueryMeasures
    measures: Measures
    interval: tuple[float, float]
    grades: dict[str, Measures]
    ms_per_query: float | None = None
    mode: str = ""
    rerank: str = ""


@dataclass(frozen=True, slots=True)
class HurtQuery:
    """A query that a stage makes worse.

    Attributes:
        query: Its text.
        ndcg_before: nDCG@10.
        ndcg_after: nDCG@10.
        rank_before: Of the first relevant document, 0 where it was not found.
        rank_after: Likewise.
        first: The document that stands first now; empty where nothing was found.
    """

    query: str
    ndcg_before: float
    ndcg_after: float
    rank_before: int
    rank_after: int
    first: str


@dataclass(frozen=True, slots=True, eq=False)
class StageComparison:
    """A stage compared with the best of those before it.

    Attributes:
        stage: Its name.
        against: The name of that one.
        outcome: By nDCG@10.
        differences: Of each query, in the collection's order.
        worst: The queries that it hurts most.
    """

    stage: str
    against: str
    outcome: Comparison
    differences: NDArray[np.float64]
    worst: tuple[HurtQuery, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """How good the search is on a collection.

    Attributes:
        queries: How many were judged.
        own_notes: Whether the queries were made from the notes themselves.
        stages: In the order in which they build on each other; then the runs.
        comparisons: Of each but the first.
        verdict: Which serves best, and by how much: one sentence.
        skipped: What could not be used, and why.
    """

    queries: int
    own_notes: bool
    stages: tuple[StageScores, ...]
    comparisons: tuple[StageComparison, ...]
    verdict: str
    skipped: tuple[Skipped, ...]


def score_run(
    name: str,
    run: Mapping[str, Sequence[str]],
    collection: Collection,
    *,
    ms_per_query: float | None = None,
    mode: str = "",
    rerank: str = "",
) -> StageScores:
    """Measures a ranking; see `StageScores`."""
    by_query = measure_queries(run, collection.qrels)
    grades = sorted(set(collection.grades.values()))
    return StageScores(
        name=name,
        run=run,
        by_query=by_query,
        measures=by_query.mean(),
        interval=bootstrap_interval(by_query.ndcg_10),
        grades={grade: measure_run(run, collection.qrels_of(grade)) for grade in grades},
        ms_per_query=ms_per_query,
        mode=mode,
        rerank=rerank,
    )


def sum_up(
    collection: Collection, stages: Sequence[StageScores], skipped: Sequence[Skipped], *, worst: int = 0
) -> Evaluation:
    """Compares each stage with the best of those before it.

    Args:
        collection: What was measured on.
        stages: At least one.
        skipped: What could not be used, beside what the collection says.
        worst: How many of the queries that it hurts most to show for each comparison.
    """
    return Evaluation(
        queries=len(collection.queries),
        own_notes=bool(collection.document_ids),
        stages=tuple(stages),
        comparisons=tuple(
            _compare(collection, max(stages[:place], key=lambda stage: stage.measures.ndcg_10), stages[place], worst)
            for place in range(1, len(stages))
        ),
        verdict=give_verdict([(stage.name, stage.by_query.ndcg_10, stage.ms_per_query) for stage in stages]),
        skipped=(*collection.skipped, *skipped),
    )


def _compare(collection: Collection, before: StageScores, after: StageScores, worst: int) -> StageComparison:
    differences = after.by_query.ndcg_10 - before.by_query.ndcg_10
    hurt = [row for row in np.argsort(differences, kind="stable")[:worst].tolist() if differences[row] < 0]
    query_ids = list(collection.queries)
    return StageComparison(
        stage=after.name,
        against=before.name,
        outcome=compare(before.by_query.ndcg_10, after.by_query.ndcg_10),
        differences=differences,
        worst=tuple(_hurt(collection, query_ids[row], row, before, after) for row in hurt),
    )


def _hurt(collection: Collection, query_id: str, row: int, before: StageScores, after: StageScores) -> HurtQuery:
    gains = collection.qrels[query_id]
    found_before, found_after = before.run.get(query_id, ()), after.run.get(query_id, ())
    return HurtQuery(
        query=collection.queries[query_id],
        ndcg_before=float(before.by_query.ndcg_10[row]),
        ndcg_after=float(after.by_query.ndcg_10[row]),
        rank_before=first_relevant(found_before, gains),
        rank_after=first_relevant(found_after, gains),
        first=next(iter(found_after), ""),
    )
