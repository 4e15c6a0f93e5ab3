"""`notesearch eval`: how good the search is on a collection with judgements."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from notesearch.cli.options import Quiet, Verbose
from notesearch.cli.progress import progress_bar
from notesearch.cli.terminal import is_terminal, write

if TYPE_CHECKING:
    from notesearch.api import Evaluation
    from notesearch.evaluation import Measures

_COLUMNS = ("nDCG@10", "recall@100", "MRR@10", "ms/query")


def evaluate(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Holds corpus.jsonl, queries.jsonl, qrels.tsv; or notes and queries.jsonl."),
    ],
    index_dir: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it
        typer.Option(
            "--index-dir", metavar="DIR", help="Keep the index here. Default: a temporary one.", show_default=False
        ),
    ] = None,
    model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Bi-encoder: a local directory or a hub id. Default: all-MiniLM-L6-v2.", show_default=False),
    ] = None,
    max_queries: Annotated[int, typer.Option(help="Take every n-th query, so that no more remain; 0: all.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measures as JSON.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score the search on a collection with judgements, stage by stage.

    The documents are indexed apart from your notes.

    Example: notesearch eval sample_notes
    """
    from notesearch.api import evaluate_collection
    from notesearch.settings import load_settings

    settings = load_settings(model=model)
    with progress_bar("Indexing", shown=not quiet and is_terminal(sys.stderr)) as progress:
        results = evaluate_collection(
            settings, directory, index_dir=index_dir, max_queries=max_queries, progress=progress
        )
    if as_json:
        write([json.dumps([_as_json(result) for result in results]) + "\n"])
    else:
        write(f"{line}\n" for line in _table(results))


def _as_json(result: Evaluation) -> dict[str, object]:
    return {
        "mode": result.mode,
        "rerank": result.rerank,
        **_rounded(asdict(result.measures)),
        "ms_per_query": round(result.ms_per_query, 2),
        "grades": {grade: _rounded(asdict(measures)) for grade, measures in result.grades.items()},
    }


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def _table(results: list[Evaluation]) -> Iterator[str]:
    names = [name for result in results for name in (_stage(result), *(f"  {grade}" for grade in result.grades))]
    first = max(map(len, names))
    yield " ".join([" " * first, f"{'queries':>7}", *(f"{column:>10}" for column in _COLUMNS)])
    for result in results:
        rows: list[tuple[str, Measures, str]] = [(_stage(result), result.measures, f"{result.ms_per_query:10.1f}")]
        rows += [(f"  {grade}", measures, "") for grade, measures in result.grades.items()]
        for name, measures, milliseconds in rows:
            scores = f"{measures.ndcg_10:10.4f} {measures.recall_100:10.4f} {measures.mrr_10:10.4f}"
            yield f"{name:<{first}} {measures.queries:7d} {scores} {milliseconds}".rstrip()


def _stage(result: Evaluation) -> str:
    return result.mode if result.rerank == "none" else f"{result.mode} + {result.rerank}"
