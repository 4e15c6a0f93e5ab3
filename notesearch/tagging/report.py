"""The report on a classifier: how it was chosen, and how good it is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from notesearch.pages import render_page, rounded
from notesearch.tagging.classifier import REPORT_PAGE, Classifier
from notesearch.tagging.labels import Examples
from notesearch.tagging.selection import CrossValidation, HeldOut, Trained


@dataclass(frozen=True, slots=True)
class MethodResult:
    """The result of a method in cross-validation.

    Attributes:
        name: The method.
        micro_f1: Mean over the folds.
        macro_f1: Mean over the folds.
        spread: Standard deviation over the folds of the mean of the two.
        seconds: Wall-clock time, including that for hyperparameters that were not chosen.
    """

    name: str
    micro_f1: float
    macro_f1: float
    spread: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """How a classifier was chosen, and how good it is.

    Attributes:
        name: Its name.
        labels_from: Where the labels come from.
        notes: How many notes it was trained on.
        labelled: How many labelled notes there are; of very many, some are taken at random.
        labels: The labels it knows.
        exclusive: Whether every note has exactly one.
        rare: Labels left out since too few notes have them, and how many do.
        universal: Labels left out since all notes have them.
        methods: All that were cross-validated.
        method: The one that was chosen.
        runner_up: The best of the others; empty where there was none.
        lead: By how much the F1 (mean of micro and macro) of the chosen one is higher than its: mean over the folds.
        lead_spread: The standard deviation of this difference.
        interrupted: Whether model selection was stopped before all methods had run.
        held_out: The quality on notes held out.
        seconds: Wall-clock time.
    """

    name: str
    labels_from: str
    notes: int
    labelled: int
    labels: tuple[str, ...]
    exclusive: bool
    rare: tuple[tuple[str, int], ...]
    universal: tuple[str, ...]
    methods: tuple[MethodResult, ...]
    method: str
    runner_up: str
    lead: float
    lead_spread: float
    interrupted: bool
    held_out: HeldOut
    seconds: float


def make_report(name: str, labels_from: str, labelled: int, examples: Examples, trained: Trained) -> Report:
    """Puts together what training found out."""
    selection = trained.selection
    return Report(
        name=name,
        labels_from=labels_from,
        notes=len(examples.contents),
        labelled=labelled,
        labels=examples.labels,
        exclusive=examples.exclusive,
        rare=examples.rare,
        universal=examples.universal,
        methods=tuple(map(_method, selection.results)),
        method=selection.best.estimator.name,
        runner_up=selection.runner_up.estimator.name if selection.runner_up else "",
        lead=selection.lead,
        lead_spread=selection.lead_spread,
        interrupted=selection.interrupted,
        held_out=trained.held_out,
        seconds=trained.seconds,
    )


def report_as_json(report: Report) -> dict[str, Any]:
    """A report as values for JSON, rounded."""
    values: dict[str, Any] = rounded(asdict(report))
    return values


def write_report(directory: Path, report: Report, classifier: Classifier) -> None:
    """Writes a report beside a classifier: `report.json`, `report.html`, and a model card."""
    values = report_as_json(report)
    (directory / "report.json").write_text(json.dumps(values, indent=1), encoding="utf-8")
    pages = {REPORT_PAGE: render_page("classifier.html", report=values), "README.md": _model_card(report, classifier)}
    for name, text in pages.items():
        (directory / name).write_text(text, encoding="utf-8", errors="replace")


def _method(result: CrossValidation) -> MethodResult:
    spread = float(result.f1.std(ddof=1)) if len(result.f1) > 1 else 0.0
    micro, macro = float(result.micro.mean()), float(result.macro.mean())
    return MethodResult(result.estimator.name, micro, macro, spread, result.seconds)


def _model_card(report: Report, classifier: Classifier) -> str:
    held_out = report.held_out
    how_many = "one label a note" if report.exclusive else "any number of labels a note"
    return f"""# Classifier {report.name}

Suggests tags for notes the way their owner gives them: {len(report.labels)} labels, {how_many}.

- Trained on: {report.notes} notes, labels from {report.labels_from}; hash of notes and labels {classifier.data}
- Method: {classifier.method}, on the encoder {classifier.model} ({classifier.encoder})
- Made: {classifier.trained} by notesearch
- Quality on {held_out.notes} notes held out ({held_out.split}): micro-F1 {held_out.micro_f1:.3f}, macro-F1
  {held_out.macro_f1:.3f}, calibration error {held_out.calibration_error:.3f}; see report.html
- Meant for: notes of this owner. It knows no other labels, and holds words, titles and paths of the notes it was
  trained on: keep it as private as these.
"""
