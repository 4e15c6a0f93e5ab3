"""The results of an evaluation: each stage by itself and compared with others, as JSON and as a page with charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.evaluation.collections import Collection
from notesearch.evaluation.comparison import Comparison, bootstrap_interval, compare, give_verdict, shown_p
from notesearch.evaluation.measures import Measures, QueryMeasures, first_relevant, measure_queries, measure_run
from notesearch.pages import render_page, rounded
from notesearch.records import Skipped

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class StageScores:
    """The measures of a ranking: up to one stage of the search, or a run made elsewhere.

    Attributes:
        name: The stage, or the run's file.
        run: Query id → document ids, best first.
        by_query: The measures of each query, in the collection's order.
        measures: Over all queries.
        interval: The 95 % interval of `measures.ndcg_10`.
        grades: Over the queries of each grade, where the collection has grades.
        ms_per_query: Milliseconds of wall-clock time, everything warm; `None` for a run made elsewhere.
        mode: Which retrievers took part; empty for a run made elsewhere.
        rerank: What reranked the best candidates; empty for a run made elsewhere.
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
        first: The document at rank 1 now; empty where nothing was found.
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
        verdict: Which is best, and by how much: one sentence.
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
    grades = {grade: measure_run(run, collection.qrels_of(grade)) for grade in sorted(set(collection.grades.values()))}
    interval = bootstrap_interval(by_query.ndcg_10)
    return StageScores(name, run, by_query, by_query.mean(), interval, grades, ms_per_query, mode, rerank)


def sum_up(
    collection: Collection, stages: Sequence[StageScores], skipped: Sequence[Skipped], *, worst: int = 0
) -> Evaluation:
    """Compares each stage with the best of those before it.

    Args:
        collection: What was measured on.
        stages: At least one.
        skipped: What could not be used, besides what the collection skipped.
        worst: How many of the queries that a stage hurts most to list for each comparison.
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
    values_before, values_after = before.by_query.ndcg_10, after.by_query.ndcg_10
    differences = values_after - values_before
    query_ids = list(collection.queries)
    hurt = []
    for row in np.argsort(differences, kind="stable")[:worst].tolist():
        if differences[row] < 0:
            query_id = query_ids[row]
            gains = collection.qrels[query_id]
            found_before, found_after = before.run.get(query_id, ()), after.run.get(query_id, ())
            hurt.append(
                HurtQuery(
                    query=collection.queries[query_id],
                    ndcg_before=float(values_before[row]),
                    ndcg_after=float(values_after[row]),
                    rank_before=first_relevant(found_before, gains),
                    rank_after=first_relevant(found_after, gains),
                    first=next(iter(found_after), ""),
                )
            )
    return StageComparison(after.name, before.name, compare(values_before, values_after), differences, tuple(hurt))


def report_as_json(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as values for JSON, rounded."""
    values: dict[str, Any] = rounded(
        {
            "queries": evaluation.queries,
            "own_notes": evaluation.own_notes,
            "stages": [_stage_as_json(stage) for stage in evaluation.stages],
            "comparisons": [
                {
                    "stage": comparison.stage,
                    "against": comparison.against,
                    **asdict(comparison.outcome),
                    "worst": [asdict(query) for query in comparison.worst],
                }
                for comparison in evaluation.comparisons
            ],
            "verdict": evaluation.verdict,
            "skipped": [{"path": entry.path, "reason": entry.reason} for entry in evaluation.skipped],
        }
    )
    return values


def _stage_as_json(stage: StageScores) -> dict[str, Any]:
    return {
        "name": stage.name,
        "mode": stage.mode,
        "rerank": stage.rerank,
        **asdict(stage.measures),
        "ndcg_10_low": stage.interval[0],
        "ndcg_10_high": stage.interval[1],
        "ms_per_query": None if stage.ms_per_query is None else round(stage.ms_per_query, 2),
        "grades": {grade: asdict(measures) for grade, measures in stage.grades.items()},
    }


def report_page(evaluation: Evaluation) -> str:
    """An evaluation as one HTML page."""
    return render_page("evaluation.html", evaluation=evaluation, shown_p=shown_p)
