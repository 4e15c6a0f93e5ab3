"""`notesearch train-classifier`: learn to tag from tagged notes."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from notesearch.cli.options import MOST_SEED, CollectionName, IndexDir, Quiet, Verbose
from notesearch.cli.terminal import (
    columns_of,
    fitted,
    harmless,
    is_terminal,
    json_text,
    stage_progress,
    uses_colour,
    warn,
    warn_of_skipped,
    width,
    wrapped,
    write,
)

_MOST_NAMED = 12
_MOST_CONFUSIONS = 5


class TestSplit(StrEnum):
    """Which notes are held out to test on."""

    RANDOM = "random"
    TIME = "time"


def train_classifier(
    labels_from: Annotated[
        str,
        typer.Option(
            metavar="tags|folder|FILE.jsonl",
            help="Labels: the notes' tags, their folders, or lines with text or path, and labels.",
        ),
    ] = "tags",
    name: Annotated[str, typer.Option(metavar="NAME", help="The classifier's name.")] = "default",
    base: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Encoder: a local directory or a hub id. Default: the index's.")
    ] = None,
    method: Annotated[
        str, typer.Option(metavar="METHOD", help="Take this method, as the table calls it, without a contest.")
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the methods that take minutes.")] = False,
    min_examples: Annotated[int, typer.Option(metavar="N", help="Leave out labels that fewer notes have.", min=2)] = 3,
    test_split: Annotated[
        TestSplit, typer.Option(help="Hold out notes chosen at random, or the newest.")
    ] = TestSplit.RANDOM,
    seed: Annotated[int, typer.Option(metavar="N", help="Of all that is random.", min=0, max=MOST_SEED)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    collection: CollectionName = None,
    index_dir: IndexDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Learn to tag from tagged notes.

    Several methods compete on the same notes; the best is tested on notes held out and kept in the index's
    directory, with a report. Ctrl-C keeps the best so far.

    Example: notesearch train-classifier

    From folders: notesearch train-classifier --labels-from folder
    """
    from notesearch.library.train import TrainingOptions, report_file, train_classifier
    from notesearch.settings import load_settings
    from notesearch.tagging.report import report_as_json

    settings = load_settings(collection=collection, index_dir=index_dir)
    options = TrainingOptions(
        labels_from=labels_from,
        name=name,
        base=base,
        method=method,
        quick=quick,
        min_examples=min_examples,
        test_split=test_split.value,
        seed=seed,
    )
    with stage_progress(shown=not quiet and is_terminal(sys.stderr)) as progress:
        report, skipped = train_classifier(settings, options, progress)
    values = report_as_json(report)
    if as_json:
        write([json_text(values) + "\n"])
    else:
        write(_table(values, bold=uses_colour(sys.stdout), columns=width()))
    if not quiet:
        warn_of_skipped(skipped, everything=verbose)
        _warn_of_labels(values, everything=verbose)
        if report.interrupted:
            warn("Interrupted: the best method so far was kept.")
        warn(f"Report: {report_file(settings, name)}")
        warn("To see what it suggests: notesearch tag")


def _table(report: dict[str, Any], *, bold: bool, columns: int) -> list[str]:
    """The report in so many columns of a terminal."""
    held_out = report["held_out"]
    of_all = f" of {report['labelled']:,}" if report["labelled"] > report["notes"] else ""
    kind = "one each" if report["exclusive"] else "any number each"
    lines = [
        f"{report['notes']:,} notes{of_all}, {len(report['labels'])} labels ({kind}), {report['seconds']:.0f} s",
        "",
        f"{'method':<24} {'micro-F1':>8} {'macro-F1':>8} {'spread':>7} {'s':>5}",
    ]
    for method in report["methods"]:
        kept = method["name"] == report["method"]
        line = (
            f"{method['name']:<24} {method['micro_f1']:8.3f} {method['macro_f1']:8.3f} "
            f"{'±' + format(method['spread'], '.3f'):>7} {method['seconds']:5.0f}{' ← kept' if kept else ''}"
        )
        lines.append(f"\x1b[1m{line}\x1b[0m" if kept and bold else line)
    lines += [*_lead(report), ""]
    lines += [
        f"On {held_out['notes']:,} notes held out ({held_out['split']}): micro-F1 {held_out['micro_f1']:.3f}, "
        f"macro-F1 {held_out['macro_f1']:.3f},",
        f"precision {held_out['precision']:.3f}, recall {held_out['recall']:.3f}, "
        f"calibration error {held_out['calibration_error']:.3f}, {held_out['untagged']:.0%} untagged.",
        "",
    ]
    widest = max(12, min(columns - 44, max(columns_of(label["label"]) for label in held_out["labels"])))
    lines.append(f"{'label':<{widest}} {'precision':>9} {'recall':>6} {'F1':>5} {'notes':>5} {'threshold':>9}")
    for label in sorted(held_out["labels"], key=lambda label: -label["support"]):
        lines.append(
            f"{fitted(label['label'], widest)} {label['precision']:9.2f} {label['recall']:6.2f} "
            f"{label['f1']:5.2f} {label['support']:5} {label['threshold']:9.2f}"
        )
    confusions = [
        f"{harmless(wanted)} taken for {harmless(given)} ({count})" for wanted, given, count in held_out["confusions"]
    ]
    if confusions:
        lines += ["", *wrapped(", ".join(confusions[:_MOST_CONFUSIONS]), columns, "Confused:", "  ")]
    return [line + "\n" for line in lines]


def _lead(report: dict[str, Any]) -> list[str]:
    if not report["runner_up"]:
        return []
    margin, spread, other = report["lead"], report["lead_spread"], report["runner_up"]
    if margin < 0:
        return [f"{other} is {-margin:.3f} ahead (±{spread:.3f}) on the folds it ran on: not enough to be sure."]
    verdict = "beyond" if margin > spread else "within"
    return [f"{margin:.3f} ahead of {other}, {verdict} the spread from fold to fold (±{spread:.3f})."]


def _warn_of_labels(report: dict[str, Any], *, everything: bool) -> None:
    """Names the labels that were left out."""
    rare = [f"{label} ({count})" for label, count in report["rare"]]
    shown = rare if everything else rare[:_MOST_NAMED]
    more = f", and {len(rare) - len(shown)} more" if len(rare) > len(shown) else ""
    if rare:
        warn(f"Left out, since too few notes have them: {', '.join(shown)}{more}.")
    if report["universal"]:
        warn(f"Left out, since every note has them: {', '.join(report['universal'])}.")
