"""An evaluation as values for JSON and as a page with charts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from notesearch.evaluation.comparison import shown_p
from notesearch.evaluation.measures import Evaluation, StageComparison, StageScores
from notesearch.pages import render_page

_DECIMALS = 4


def report_as_json(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as values for JSON, rounded."""
    return {
        "queries": evaluation.queries,
        "own_notes": evaluation.own_notes,
        "stages": [_stage(stage) for stage in evaluation.stages],
        "comparisons": [_comparison(comparison) for comparison in evaluation.comparisons],
        "verdict": evaluation.verdict,
        "skipped": [{"path": entry.path, "reason": entry.reason} for entry in evaluation.skipped],
    }


def report_page(evaluation: Evaluation) -> str:
    """An evaluation as one HTML page."""
    return render_page("evaluation.html", evaluation=evaluation, shown_p=shown_p)


def _stage(stage: StageScores) -> dict[str, Any]:
    low, high = stage.interval
    return {
        "name": stage.name,
        "mode": stage.mode,
        "rerank": stage.rerank,
        **_rounded(asdict(stage.measures)),
        **_rounded({"ndcg_10_low": low, "ndcg_10_high": high}),
        "ms_per_query": None if stage.ms_per_query is None else round(stage.ms_per_query, 2),
        "grades": {grade: _rounded(asdict(measures)) for grade, measures in stage.grades.items()},
    }


def _comparison(comparison: StageComparison) -> dict[str, Any]:
    return {
        "stage": comparison.stage,
        "against": comparison.against,
        **_rounded(asdict(comparison.outcome)),
        "worst": [_rounded(asdict(query)) for query in comparison.worst],
    }


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, _DECIMALS) if isinstance(value, float) else value for name, value in values.items()}
