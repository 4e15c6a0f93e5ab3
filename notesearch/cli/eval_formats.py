"""An evaluation as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from notesearch.cli.terminal import columns_of, fitted, harmless, paint, wrapped
from notesearch.evaluation import Evaluation, Measures, StageScores
from notesearch.evaluation.comparison import shown_p
from notesearch.evaluation.measures import HurtQuery, StageComparison

_SCORES = (
    f"{'nDCG@10':>7} {'95 % interval':>13} {'recall@10':>9} {'@100':>5} {'MRR@10':>6} {'hit@1':>5} {'ms/query':>8}"
)
_OUTCOME = f"{'nDCG@10':>7} {'95 % interval':>13} {'p':>5} {'better':>6} {'same':>5} {'worse':>5}"
_LEAST_NAME = 12


def format_evaluation(evaluation: Evaluation, *, columns: int, colour: bool) -> Iterator[str]:
    """Formats an evaluation as tables.

    Args:
        evaluation: What was found out.
        columns: Columns of the terminal.
        colour: Whether to colour it.

    Yields:
        Lines, line ends included.
    """
    for line in _lines(evaluation, columns, colour):
        yield line.rstrip() + "\n"


def _lines(evaluation: Evaluation, columns: int, colour: bool) -> Iterator[str]:
    yield from _stages(evaluation.stages, columns)
    if evaluation.comparisons:
        yield ""
        yield from _comparisons(evaluation.comparisons, columns)
    for comparison in evaluation.comparisons:
        if comparison.worst:
            yield ""
            yield from wrapped(f"Hurt most by {harmless(comparison.stage)}:", columns, "", "")
            for query in comparison.worst:
                yield from _hurt(query, columns)
    yield ""
    for line in wrapped(harmless(evaluation.verdict), columns, "", ""):
        yield paint(line, "bold", colour=colour)


def _stages(stages: Sequence[StageScores], columns: int) -> Iterator[str]:
    names = [stage.name for stage in stages]
    names += [f"  {grade}{_queries(measures)}" for grade, measures in stages[0].grades.items()]
    widest = _name_width(names, columns - len(_SCORES) - 1)
    yield f"{'':<{widest}} {_SCORES}"
    for stage in stages:
        interval = f"{stage.interval[0]:.3f}–{stage.interval[1]:.3f}"
        milliseconds = "" if stage.ms_per_query is None else f"{stage.ms_per_query:.1f}"
        yield f"{fitted(stage.name, widest)} {_scores(stage.measures, interval)} {milliseconds:>8}"
        for grade, measures in stage.grades.items():
            queries = _queries(measures)
            name = fitted(grade, min(columns_of(harmless(grade)), widest - 2 - len(queries)))
            yield f"{fitted(f'  {name}{queries}', widest)} {_scores(measures, '')}"


def _scores(measures: Measures, interval: str) -> str:
    return (
        f"{measures.ndcg_10:7.3f} {interval:>13} {measures.recall_10:9.3f} {measures.recall_100:5.3f} "
        f"{measures.mrr_10:6.3f} {measures.hit_1:5.3f}"
    )


def _queries(measures: Measures) -> str:
    return f" ({measures.queries:,})"


def _comparisons(comparisons: Sequence[StageComparison], columns: int) -> Iterator[str]:
    names = [name for comparison in comparisons for name in (comparison.stage, comparison.against)]
    widest = _name_width(names, (columns - len(_OUTCOME) - 2) // 2)
    yield f"{'':<{widest}} {'against':<{widest}} {_OUTCOME}"
    for comparison in comparisons:
        outcome = comparison.outcome
        interval = f"{outcome.low:+.3f}…{outcome.high:+.3f}"
        p = shown_p(outcome.p).removeprefix("p ").removeprefix("= ").replace(" ", "")
        yield (
            f"{fitted(comparison.stage, widest)} {fitted(comparison.against, widest)} "
            f"{outcome.difference:+7.3f} {interval:>13} {p:>5} {outcome.wins:6} {outcome.ties:5} {outcome.losses:5}"
        )


def _hurt(query: HurtQuery, columns: int) -> Iterator[str]:
    yield from wrapped(harmless(query.query), columns, "  ", "  ")
    what = (
        f"nDCG@10 {query.ndcg_before:.3f} → {query.ndcg_after:.3f}, first relevant at "
        f"{query.rank_before or '–'} → {query.rank_after or '–'}; now first: {query.first or 'nothing'}"
    )
    yield from wrapped(harmless(what), columns, "    ", "    ")


def _name_width(names: Sequence[str], most: int) -> int:
    return max(_LEAST_NAME, min(most, max(map(columns_of, names))))
