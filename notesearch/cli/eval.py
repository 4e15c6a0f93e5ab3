"""`notesearch eval`: how good the search is, on judged queries or on the notes' own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from notesearch.cli.options import IndexOptions, MessageOptions, flag, option
from notesearch.cli.tables import table
from notesearch.cli.terminal import show, width, wrapped, write_json
from notesearch.records import SearchStage

if TYPE_CHECKING:
    from notesearch.evaluation.measures import Measures
    from notesearch.evaluation.report import Evaluation, HurtQuery, StageComparison, StageScores

_STAGES: tuple[SearchStage, ...] = get_args(SearchStage)


def _stage(name: str) -> str:
    if name not in _STAGES:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(_STAGES)}")
    return name


def evaluate(
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="The documents: corpus.jsonl, or notes. Default: the notes of the index."),
    ] = None,
    qrels: Annotated[Path | None, option("FILE", "Judgements, of TREC or BEIR. Default: those in DIR.")] = None,
    topics: Annotated[
        Path | None, option("FILE", "Queries: TREC topics, id<TAB>text, or JSON lines. Default: DIR's.")
    ] = None,
    runs: Annotated[
        list[Path] | None, option("FILE", "Score this TREC run too; without --stage, only runs.", "--run")
    ] = None,
    stages: Annotated[
        list[str] | None,  # typer takes no list of Literal
        option(
            f"<{'|'.join(_STAGES)}>",
            "Score this stage; may be repeated. Default: all; cross-encoder where one is set.",
            "--stage",
            parser=_stage,
            autocompletion=lambda: list(_STAGES),
        ),
    ] = None,
    cross_encoder: Annotated[
        str | None, option("MODEL", "Score this cross-encoder too: a local directory or a hub id.")
    ] = None,
    worst: Annotated[int, option("N", "Show the N queries that each stage hurts most.", min=0)] = 0,
    work_dir: Annotated[
        Path | None, option("DIR", "Keep the index here for the next time. Default: a temporary one.")
    ] = None,
    model: Annotated[
        str | None,
        option(
            "MODEL", "Bi-encoder: a local directory or a hub id. Default: all-MiniLM-L6-v2; without DIR, the index's."
        ),
    ] = None,
    max_queries: Annotated[
        int, option("N", "The most queries to ask; 0: all, or 300 of a kind from your notes.", min=0)
    ] = 0,
    html: Annotated[Path | None, option("FILE", "Also write a page with charts.")] = None,
    as_json: Annotated[bool, flag("Print the measures as JSON.", "--json")] = False,
    *,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Score the search, stage by stage.

    On queries with judgements, in a folder or in files of TREC; else on queries that your notes make themselves: their
    titles, headings and links, which are removed from the notes first. The documents are indexed apart from your index.

    Example: notesearch eval

    Of a collection: notesearch eval sample_notes --worst 3 --html report.html

    Of other programs: notesearch eval --qrels qrels.txt --run bm25.run --run mine.run
    """
    from notesearch.evaluation.report import report_as_json, report_page
    from notesearch.library.evaluate import EvaluationOptions, evaluate
    from notesearch.pages import check_writable, write_page

    settings = index.settings(model=model, cross_encoder=cross_encoder)
    options = EvaluationOptions(
        directory=directory,
        qrels_file=qrels,
        topics_file=topics,
        run_files=tuple(runs or ()),
        stages=tuple(stage for stage in _STAGES if stage in (stages or ())),
        max_queries=max_queries,
        worst=worst,
        work_dir=work_dir,
    )
    if html:
        check_writable(html)
    with messages.stages() as progress:
        evaluation = evaluate(settings, options, progress=progress)
    if html:
        write_page(html, report_page(evaluation))
    if as_json:
        write_json(report_as_json(evaluation))
    else:
        show(_lines(evaluation))
    if not messages.quiet:
        messages.tell_of_skipped(evaluation.skipped)
    if evaluation.own_notes:
        messages.tell("The queries are the notes' own titles, headings and links, which were removed from them first.")
    if html:
        messages.tell(f"Report: {html}")


def _lines(evaluation: Evaluation) -> Iterator[str]:
    yield from _stages(evaluation.stages)
    if evaluation.comparisons:
        yield ""
        yield from _comparisons(evaluation.comparisons)
    for comparison in evaluation.comparisons:
        if comparison.worst:
            yield ""
            yield from wrapped(f"Hurt most by {comparison.stage}:", width())
            for query in comparison.worst:
                yield from _hurt(query)
    yield ""
    yield from wrapped(evaluation.verdict, width(), style="bold")


def _stages(stages: Sequence[StageScores]) -> list[str]:
    headings = ("", "nDCG@10", "95 % interval", "recall@10", "@100", "MRR@10", "hit@1", "ms/query")
    rows = []
    for stage in stages:
        interval = "{:.3f}–{:.3f}".format(*stage.interval)
        milliseconds = "" if stage.ms_per_query is None else f"{stage.ms_per_query:.1f}"
        rows.append((stage.name, *_scores(stage.measures, interval), milliseconds))
        for grade, measures in stage.grades.items():
            rows.append((f"  {measures.queries:,} {grade}", *_scores(measures, ""), ""))
    return table(rows, headings)


def _scores(measures: Measures, interval: str) -> tuple[str, ...]:
    others = (measures.recall_10, measures.recall_100, measures.mrr_10, measures.hit_1)
    return (f"{measures.ndcg_10:.3f}", interval, *(f"{value:.3f}" for value in others))


def _comparisons(comparisons: Sequence[StageComparison]) -> list[str]:
    from notesearch.evaluation.comparison import shown_p

    rows = []
    for comparison in comparisons:
        outcome = comparison.outcome
        interval = f"{outcome.low:+.3f}…{outcome.high:+.3f}"
        p = shown_p(outcome.p).removeprefix("p ").removeprefix("= ").replace(" ", "")
        counts = (f"{count:,}" for count in (outcome.wins, outcome.ties, outcome.losses))
        rows.append((comparison.stage, comparison.against, f"{outcome.difference:+.3f}", interval, p, *counts))
    return table(rows, ("", "against", "nDCG@10", "95 % interval", "p", "better", "same", "worse"), text=(0, 1))


def _hurt(query: HurtQuery) -> Iterator[str]:
    yield from wrapped(query.query, width(), "  ")
    what = (
        f"nDCG@10 {query.ndcg_before:.3f} → {query.ndcg_after:.3f}, first relevant at "
        f"{query.rank_before or '–'} → {query.rank_after or '–'}; now first: {query.first or 'nothing'}"
    )
    yield from wrapped(what, width(), "    ")
