"""`notesearch train-classifier`: learn to tag from tagged notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from notesearch.cli.options import IndexOptions, MessageOptions, Seed, flag, option
from notesearch.cli.tables import table
from notesearch.cli.terminal import paint, show, warn, width, wrapped, write_json
from notesearch.records import TestSplit

_MOST_NAMED = 12
_MOST_CONFUSIONS = 5


def train_classifier(
    labels_from: Annotated[
        str,
        option(
            "tags|folder|FILE.jsonl", "Labels: the notes' tags, their folders, or lines with text or path, and labels."
        ),
    ] = "tags",
    name: Annotated[str, option("NAME", "The classifier's name.")] = "default",
    base: Annotated[
        str | None, option("MODEL", "Encoder: a local directory or a hub id. Default: the index's.")
    ] = None,
    method: Annotated[str, option("METHOD", "Take this method, as the table calls it, without comparing others.")] = "",
    quick: Annotated[bool, flag("Leave out the methods that take minutes.", "--quick")] = False,
    min_examples: Annotated[int, option("N", "Leave out labels that fewer notes have.", min=2)] = 3,
    test_split: Annotated[TestSplit, typer.Option(help="Hold out notes chosen at random, or the newest.")] = "random",
    seed: Seed = 0,
    as_json: Annotated[bool, flag("Print the report as JSON.", "--json")] = False,
    *,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Learn to tag from tagged notes.

    Several methods are compared on the same notes; the best is tested on notes held out and kept in the index's
    directory, with a report. Ctrl-C keeps the best so far.

    Example: notesearch train-classifier

    From folders: notesearch train-classifier --labels-from folder
    """
    from notesearch.library.train import TrainingOptions, report_file, train_classifier
    from notesearch.tagging.report import report_as_json

    settings = index.settings()
    options = TrainingOptions(
        labels_from=labels_from,
        name=name,
        base=base,
        method=method,
        quick=quick,
        min_examples=min_examples,
        test_split=test_split,
        seed=seed,
    )
    with messages.stages() as progress:
        report, skipped = train_classifier(settings, options, progress)
    values = report_as_json(report)
    if as_json:
        write_json(values)
    else:
        show(_lines(values))
    if not messages.quiet:
        messages.tell_of_skipped(skipped)
        _warn_of_labels(values, everything=messages.verbose)
    if report.interrupted:
        messages.tell("Interrupted: the best method so far was kept.")
    messages.tell(f"Report: {report_file(settings, name)}")
    messages.tell("To see what it suggests: notesearch tag")


def _lines(report: dict[str, Any]) -> Iterator[str]:
    held_out = report["held_out"]
    of_all = f" of {report['labelled']:,}" if report["labelled"] > report["notes"] else ""
    kind = "one each" if report["exclusive"] else "any number each"
    yield f"{report['notes']:,} notes{of_all}, {len(report['labels'])} labels ({kind}), {report['seconds']:.0f} s"
    yield ""
    heading, *methods = table(
        [
            (
                method["name"],
                f"{method['micro_f1']:.3f}",
                f"{method['macro_f1']:.3f}",
                f"±{method['spread']:.3f}",
                f"{method['seconds']:4.0f}",
                "← kept" if method["name"] == report["method"] else "",
            )
            for method in report["methods"]
        ],
        ("method", "micro-F1", "macro-F1", "spread", "s", ""),
        text=(0, 5),
    )
    yield heading
    for line in methods:
        yield paint(line, "bold") if line.endswith("← kept") else line
    yield from _lead(report)
    yield ""
    yield (
        f"On {held_out['notes']:,} notes held out ({held_out['split']}): micro-F1 {held_out['micro_f1']:.3f}, "
        f"macro-F1 {held_out['macro_f1']:.3f},"
    )
    yield (
        f"precision {held_out['precision']:.3f}, recall {held_out['recall']:.3f}, "
        f"calibration error {held_out['calibration_error']:.3f}, {held_out['untagged']:.0%} untagged."
    )
    yield ""
    yield from table(
        [
            (
                label["label"],
                *(f"{label[name]:.2f}" for name in ("precision", "recall", "f1")),
                str(label["support"]),
                f"{label['threshold']:.2f}",
            )
            for label in sorted(held_out["labels"], key=lambda label: -label["support"])
        ],
        ("label", "precision", "recall", "F1", "notes", "threshold"),
    )
    confusions = [f"{wanted} taken for {given} ({count})" for wanted, given, count in held_out["confusions"]]
    if confusions:
        yield ""
        yield from wrapped(", ".join(confusions[:_MOST_CONFUSIONS]), width(), "Confused:", "  ")


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
