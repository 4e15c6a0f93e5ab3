"""An evaluation as a page with charts: it opens by itself and loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from notesearch.evaluation.charts import bar_chart, difference_chart
from notesearch.evaluation.scores import Evaluation, HurtQuery, StageComparison, StageScores
from notesearch.evaluation.verdict import shown_p
from notesearch.pages import page, table

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
