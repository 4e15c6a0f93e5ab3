"""`notesearch tune`: tune the bi-encoder to the notes, and keep it only if it is better."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from notesearch.cli.options import MOST_SEED, CollectionName, IndexDir, Quiet, Verbose
from notesearch.cli.terminal import is_terminal, json_text, stage_progress, warn, warn_of_skipped, width, wrapped, write


def tune(
    pairs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help='Pairs of your own: JSON lines with "query", "positive" and perhaps "negative".'
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Bi-encoder: a local directory or a hub id. Default: the index's."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to put it. Default: a new folder beside the index.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of all that is random.", min=0, max=MOST_SEED)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    collection: CollectionName = None,
    index_dir: IndexDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Tune the model to your notes.

    Titles, headings, links, rare tags and accepted results say what belongs together. The tuned model is kept only if
    searches of notes held out get better, and general English no worse. Exits with 1 where it is not kept. After
    Ctrl-C, the same command goes on where it was. Nothing changes in the index.

    Example: notesearch tune
    """
    from notesearch.library.tune import TuningOptions
    from notesearch.library.tune import tune as run
    from notesearch.settings import load_settings

    settings = load_settings(collection=collection, index_dir=index_dir, model=model)
    options = TuningOptions(pairs, output.absolute() if output else None, seed)
    with stage_progress(shown=not quiet and is_terminal(sys.stderr)) as progress:
        report, skipped = run(settings, options, progress)
    values = report.as_json()
    write([json_text(values) + "\n"] if as_json else _table(values, width()))
    if not quiet:
        warn_of_skipped(skipped, everything=verbose)
        if report.directory:
            warn(f"To use it: notesearch index --rebuild --model {shlex.quote(str(report.directory))}")
    if not report.kept:
        raise typer.Exit(1)


def _table(report: dict[str, Any], columns: int) -> Iterator[str]:
    """The report in so many columns of a terminal."""
    pairs = ", ".join(f"{count:,} from {_SOURCES[source]}" for source, count in report["pairs"].items())
    yield from _lines(f"{report['notes']:,} notes; pairs: {pairs}; {report['seconds']:.0f} s.", columns)
    yield "\n"
    yield f"{'interpolation weight':<22} {'notes':>7} {'general':>8}   nDCG@10, vectors alone\n"
    for quality in report["interpolation_weights"]:
        chosen = " ← chosen" if quality["weight"] == report["interpolation_weight"] > 0 else ""
        yield f"{quality['weight']:<22.2f} {quality['own']:7.3f} {quality['general']:8.3f}{chosen}\n"
    if report["trial"]:
        yield "\n"
        yield f"{'held out':<16} {'queries':>7} {'before':>7} {'after':>7}  difference\n"
    for row in report["trial"]:
        yield (
            f"{row['name']:<16} {row['queries']:7,} {row['before']:7.3f} {row['after']:7.3f}  "
            f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}], p = {row['p']:.3f}\n"
        )
    yield "\n"
    yield from _lines(report["verdict"], columns)


_SOURCES = {
    "title": "titles",
    "heading": "headings",
    "link": "links",
    "tag": "rare tags",
    "file": "your file",
    "accepted": "accepted results",
}


def _lines(text: str, columns: int) -> Iterator[str]:
    return (line + "\n" for line in wrapped(text, columns, "", ""))
