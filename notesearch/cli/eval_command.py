"""`notesearch eval`: how good the search is, on judged queries or on the notes' own."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from notesearch.cli.options import CollectionName, IndexDir, Quiet, Verbose
from notesearch.cli.progress import stage_progress
from notesearch.cli.terminal import is_terminal, json_text, uses_colour, warn, warn_of_skipped, width, write


class StageName(StrEnum):
    """A stage of the search."""

    LEXICAL = "lexical"
    DENSE = "dense"
    HYBRID = "hybrid"
    MAXSIM = "maxsim"
    CROSS_ENCODER = "cross-encoder"


def evaluate(
    directory: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it
        typer.Argument(
            metavar="[DIR]",
            help="The documents: corpus.jsonl, or notes. Default: the notes of the index.",
            show_default=False,
        ),
    ] = None,
    qrels: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="Judgements, of TREC or BEIR. Default: those in DIR.", show_default=False),
    ] = None,
    topics: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="FILE", help="Queries: TREC topics, id<TAB>text, or JSON lines. Default: DIR's.", show_default=False
        ),
    ] = None,
    runs: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(
            "--run", metavar="FILE", help="Score this TREC run too; without --stage, only runs.", show_default=False
        ),
    ] = None,
    stages: Annotated[
        Optional[list[StageName]],  # noqa: UP045
        typer.Option("--stage", help="Score this stage; again for more. Default: all; cross-encoder where one is set."),
    ] = None,
    cross_encoder: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="MODEL", help="Score it too: a local directory or a hub id.", show_default=False),
    ] = None,
    worst: Annotated[int, typer.Option(metavar="N", help="Show the N queries that each stage hurts most.", min=0)] = 0,
    work_dir: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="DIR", help="Keep the index here for the next time. Default: a temporary one.", show_default=False
        ),
    ] = None,
    model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="MODEL",
            help="Bi-encoder: a local directory or a hub id. Default: all-MiniLM-L6-v2; without DIR, the index's.",
            show_default=False,
        ),
    ] = None,
    max_queries: Annotated[
        int,
        typer.Option(
            metavar="N", help="Take at most so many queries; 0: all, or 300 of a kind from your notes.", min=0
        ),
    ] = 0,
    html: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="Also write a page with charts.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measures as JSON.")] = False,
    collection: CollectionName = None,
    index_dir: IndexDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score the search, stage by stage.

    On queries with judgements, in a folder or in files of TREC; else on queries that your notes make themselves: their
    titles, headings and links, which are taken out of the notes first. The documents are indexed apart from your index.

    Example: notesearch eval

    Of a collection: notesearch eval sample_notes --worst 3 --html report.html

    Of other programs: notesearch eval --qrels qrels.txt --run bm25.run --run mine.run
    """
    from notesearch.cli.eval_formats import format_evaluation
    from notesearch.evaluation.report import report_as_json, report_page
    from notesearch.library.evaluate import EvaluationOptions, evaluate
    from notesearch.pages import check_writable, write_page
    from notesearch.settings import load_settings

    settings = load_settings(collection=collection, index_dir=index_dir, model=model, cross_encoder=cross_encoder)
    options = EvaluationOptions(
        directory=directory,
        qrels_file=qrels,
        topics_file=topics,
        run_files=tuple(runs or ()),
        stages=tuple(stage.value for stage in stages or ()),
        max_queries=max_queries,
        worst=worst,
        work_dir=work_dir,
    )
    if html:
        check_writable(html)
    with stage_progress(shown=not quiet and is_terminal(sys.stderr)) as progress:
        evaluation = evaluate(settings, options, progress=progress)
    if html:
        write_page(html, report_page(evaluation))
    if as_json:
        write([json_text(report_as_json(evaluation)) + "\n"])
    else:
        write(format_evaluation(evaluation, columns=width(), colour=uses_colour(sys.stdout)))
    if not quiet:
        warn_of_skipped(evaluation.skipped, everything=verbose)
        if evaluation.own_notes:
            warn("The queries are the notes' own titles, headings and links, which were taken out of them first.")
        if html:
            warn(f"Report: {html}")
