"""`notesearch tune`: tune the bi-encoder to the notes, and keep it only if it is better."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from notesearch.cli.options import IndexOptions, MessageOptions, Seed, flag, option
from notesearch.cli.tables import table
from notesearch.cli.terminal import show, width, wrapped, write_json
from notesearch.errors import NOTHING_FOUND

_SOURCES = {
    "title": "titles",
    "heading": "headings",
    "link": "links",
    "tag": "rare tags",
    "file": "your file",
    "accepted": "accepted results",
}


def tune(
    pairs: Annotated[
        Path | None, option("FILE", 'Pairs of your own: JSON lines with "query", "positive" and perhaps "negative".')
    ] = None,
    model: Annotated[
        str | None, option("MODEL", "Bi-encoder: a local directory or a hub id. Default: the index's.")
    ] = None,
    output: Annotated[
        Path | None, option("DIR", "Where to put the model. Default: a new folder beside the index.")
    ] = None,
    seed: Seed = 0,
    as_json: Annotated[bool, flag("Print the report as JSON.", "--json")] = False,
    *,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Tune the model to your notes.

    Titles, headings, links, rare tags and accepted results say what belongs together. The tuned model is kept only if
    searches of notes held out get better, and general English no worse. Exits with 1 where it is not kept. After
    Ctrl-C, the same command resumes where it was. Nothing changes in the index.

    Example: notesearch tune
    """
    from notesearch.library.tune import TuningOptions
    from notesearch.library.tune import tune as run

    options = TuningOptions(pairs, output.absolute() if output else None, seed)
    with messages.stages() as progress:
        report, skipped = run(index.settings(model=model), options, progress)
    values = report.as_json()
    if as_json:
        write_json(values)
    else:
        show(_lines(values))
    if not messages.quiet:
        messages.tell_of_skipped(skipped)
    if report.directory:
        messages.tell(f"To use it: notesearch index --rebuild --model {shlex.quote(str(report.directory))}")
    if not report.kept:
        raise typer.Exit(NOTHING_FOUND)


def _lines(report: dict[str, Any]) -> Iterator[str]:
    pairs = ", ".join(f"{count:,} from {_SOURCES[source]}" for source, count in report["pairs"].items())
    yield from wrapped(f"{report['notes']:,} notes; pairs: {pairs}; {report['seconds']:.0f} s.", width())
    yield ""
    yield "nDCG@10, vectors alone:"
    weights = []
    for quality in report["interpolation_weights"]:
        chosen = "← chosen" if quality["weight"] == report["interpolation_weight"] > 0 else ""
        weights.append((f"{quality['weight']:.2f}", f"{quality['own']:.3f}", f"{quality['general']:.3f}", chosen))
    yield from table(weights, ("interpolation weight", "notes", "general", ""), text=(0, 3))
    rows = [
        (
            row["name"],
            f"{row['queries']:,}",
            f"{row['before']:.3f}",
            f"{row['after']:.3f}",
            f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}], p = {row['p']:.3f}",
        )
        for row in report["trial"] or ()
    ]
    if rows:
        yield ""
        yield from table(rows, ("held out", "queries", "before", "after", "difference"), text=(0, 4))
    yield ""
    yield from wrapped(report["verdict"], width())
