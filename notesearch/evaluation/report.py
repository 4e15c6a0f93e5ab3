"""An evaluation as values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from notesearch.evaluation.comparison import shown_p
from notesearch.evaluation.measures import Evaluation, HurtQuery, StageComparison, StageScores
from notesearch.pages import page, table

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


# Charts as inline SVG.

_WIDTH = 720
_LABELS = 190
_FIGURES = 50
_ROW = 24
_HALF = 60
_MARGIN = 30
_LONGEST_LABEL = 30


def bar_chart(rows: Sequence[tuple[str, float, tuple[float, float] | None]]) -> str:
    """Bars from 0 to 1, one below the other.

    Args:
        rows: The label, the value, and the ends of its interval where it has one.
    """

    def across(value: float) -> float:
        return round(_LABELS + value * (_WIDTH - _LABELS - _FIGURES), 1)

    marks = []
    for number, (label, value, interval) in enumerate(rows):
        top = number * _ROW
        middle = top + _ROW / 2
        short = label if len(label) <= _LONGEST_LABEL else f"…{label[1 - _LONGEST_LABEL :]}"
        marks += [
            f'<text x="{_LABELS - 8}" y="{middle + 4}" text-anchor="end">{escape(short)}</text>',
            f'<rect class="bar" x="{_LABELS}" y="{top + 5}" width="{round(across(value) - _LABELS, 1)}" '
            f'height="{_ROW - 10}"/>',
            f'<text x="{_WIDTH}" y="{middle + 4}" text-anchor="end">{value:.3f}</text>',
        ]
        if interval:
            low, high = map(across, interval)
            ends = f"M{low} {middle - 4}V{middle + 4}M{low} {middle}H{high}M{high} {middle - 4}V{middle + 4}"
            marks.append(f'<path class="interval" d="{ends}"/>')
    return _svg(len(rows) * _ROW, "bars from 0 to 1", marks)


def difference_chart(differences: Sequence[float]) -> str:
    """Differences from −1 to 1 side by side, as bars up or down from a line.

    Args:
        differences: In descending order.
    """
    step = (_WIDTH - _MARGIN) / len(differences)
    marks = [
        '<text x="0" y="12">+1</text>',
        f'<text x="0" y="{2 * _HALF}">−1</text>',
        _area("bar", [max(0.0, value) for value in differences], step),
        _area("worse", [min(0.0, value) for value in differences], step),
        f'<path class="axis" d="M{_MARGIN} {_HALF}H{_WIDTH}"/>',
    ]
    return _svg(2 * _HALF, "differences of the queries", marks)


def _area(kind: str, heights: Sequence[float], step: float) -> str:
    """What lies between the zero line and the heights."""
    outline = [f"M{_MARGIN} {_HALF}"]
    for number, height in enumerate(heights):
        # A run of the same height is one line.
        if number + 1 == len(heights) or heights[number + 1] != height:
            outline.append(f"V{_HALF * (1 - height):.1f}H{_MARGIN + (number + 1) * step:.1f}")
    return f'<path class="{kind}" d="{"".join(outline)}V{_HALF}Z"/>'


def _svg(height: float, label: str, marks: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">{"".join(marks)}</svg>'


# An evaluation as a page with charts: it opens by itself and loads nothing.

_STYLE = """
svg { width: 100%; max-width: 46rem; display: block; margin: .6rem 0; }
.bar { fill: var(--bar); } .worse { fill: #b5604a; }
.axis { stroke: var(--line); } .interval { stroke: currentColor; stroke-width: 1.5; fill: none; }
td:last-child { white-space: normal; } h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
"""


def report_page(evaluation: Evaluation) -> str:
    """Renders an evaluation as one HTML page."""
    source = "made from the notes' own titles, headings and links" if evaluation.own_notes else "judged"
    parts = [
        f"<p><b>{escape(evaluation.verdict)}</b></p>",
        f'<p class="note">{evaluation.queries:,} {_plural("query", "queries", evaluation.queries)}, {source}.</p>',
        "<h2>Stages</h2>",
        "<p>nDCG@10, with its 95 % interval over queries.</p>",
        bar_chart([(stage.name, stage.measures.ndcg_10, stage.interval) for stage in evaluation.stages]),
        _stages(evaluation.stages),
        *_grades(evaluation.stages),
        *_comparisons(evaluation.comparisons),
        *_skipped(evaluation),
    ]
    return page("How good the search is", parts, _STYLE)


def _stages(stages: Sequence[StageScores]) -> str:
    head = ("stage", "nDCG@10", "95 % interval", "recall@10", "recall@100", "MRR@10", "hit@1", "ms/query")
    rows = []
    for stage in stages:
        means = stage.measures
        values = (means.recall_10, means.recall_100, means.mrr_10, means.hit_1)
        interval = f"{stage.interval[0]:.3f} to {stage.interval[1]:.3f}"
        milliseconds = "" if stage.ms_per_query is None else f"{stage.ms_per_query:.1f}"
        rows.append((stage.name, f"{means.ndcg_10:.3f}", interval, *(f"{value:.3f}" for value in values), milliseconds))
    return table(head, rows)


def _grades(stages: Sequence[StageScores]) -> list[str]:
    parts = ["<h2>By kind of query</h2>", "<p>nDCG@10.</p>"] if stages[0].grades else []
    for grade, measures in stages[0].grades.items():
        queries = f"{measures.queries:,} {_plural('query', 'queries', measures.queries)}"
        parts.append(f"<h3>{escape(grade)} ({queries})</h3>")
        parts.append(bar_chart([(stage.name, stage.grades[grade].ndcg_10, None) for stage in stages]))
    return parts


def _comparisons(comparisons: Sequence[StageComparison]) -> list[str]:
    if not comparisons:
        return []
    parts = [
        "<h2>Comparisons</h2>",
        "<p>Each stage against the best of those before it: the difference in nDCG@10 of every query, from the most "
        "gained to the most lost.</p>",
    ]
    for comparison in comparisons:
        outcome = comparison.outcome
        parts += [
            f"<h3>{escape(comparison.stage)} against {escape(comparison.against)}</h3>",
            f"<p>{outcome.difference:+.3f} (95 % interval {outcome.low:+.3f} to {outcome.high:+.3f}, "
            f"{escape(shown_p(outcome.p))}): {outcome.wins:,} better, {outcome.ties:,} the same, "
            f"{outcome.losses:,} worse.</p>",
            difference_chart(sorted(comparison.differences.tolist(), reverse=True)),
        ]
        if comparison.worst:
            parts.append(_worst(comparison.worst))
    return parts


def _worst(queries: Sequence[HurtQuery]) -> str:
    head = ("query hurt most", "nDCG@10", "first relevant at", "now first")
    rows = [
        (
            query.query,
            f"{query.ndcg_before:.3f} → {query.ndcg_after:.3f}",
            f"{query.rank_before or '–'} → {query.rank_after or '–'}",
            query.first,
        )
        for query in queries
    ]
    return table(head, rows)


def _skipped(evaluation: Evaluation) -> list[str]:
    if not evaluation.skipped:
        return []
    rows = [(entry.path, entry.reason) for entry in evaluation.skipped]
    return ["<h2>Left out</h2>", table(("what", "why"), rows)]


def _plural(one: str, many: str, count: int) -> str:
    return one if count == 1 else many
