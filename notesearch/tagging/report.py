"""The report on a classifier: how it was chosen, and how good it is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from notesearch.pages import render_page
from notesearch.tagging.adapted import Adaptation
from notesearch.tagging.classifier import REPORT_PAGE, Classifier
from notesearch.tagging.labels import Examples
from notesearch.tagging.selection import Entry, HeldOut, Trained

_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class MethodResult:
    """How a method fared in cross-validation.

    Attributes:
        name: The method.
        micro_f1: Mean over the folds.
        macro_f1: Mean over the folds.
        spread: Standard deviation over the folds of the mean of the two.
        seconds: Wall-clock time, trials of settings included.
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
        notes: How many notes it has learnt from.
        labelled: How many labelled notes there are; of very many, some are taken at random.
        labels: The labels it knows.
        exclusive: Whether every note has exactly one.
        rare: Labels left out since too few notes have them, and how many do.
        universal: Labels left out since all notes have them.
        methods: All that competed.
        method: The one that was kept.
        runner_up: The best of the others; empty where there was none.
        lead: By how much the winner is ahead of it: mean over the folds of the difference in F1 (the mean of micro
            and macro).
        lead_spread: The standard deviation of this difference.
        interrupted: Whether the contest was ended before all had run.
        held_out: How good the winner is on notes held out.
        seconds: Wall-clock time.
        adaptation: What came of adapting the base model, where that was asked for.
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
    adaptation: Adaptation | None = None


def make_report(name: str, labels_from: str, labelled: int, examples: Examples, trained: Trained) -> Report:
    """Sums up a training."""
    contest = trained.contest
    runner_up = contest.runner_up
    return Report(
        name=name,
        labels_from=labels_from,
        notes=len(examples.contents),
        labelled=labelled,
        labels=examples.labels,
        exclusive=examples.exclusive,
        rare=examples.rare,
        universal=examples.universal,
        methods=tuple(map(_result, contest.entries)),
        method=contest.winner.learner.name,
        runner_up=runner_up.learner.name if runner_up else "",
        lead=contest.lead,
        lead_spread=contest.lead_spread,
        interrupted=contest.interrupted,
        held_out=trained.held_out,
        seconds=trained.seconds,
    )


def report_as_json(report: Report) -> dict[str, Any]:
    """A report as values for JSON, rounded."""
    rounded: dict[str, Any] = _rounded(asdict(report))
    return rounded


def write_report(directory: Path, report: Report, classifier: Classifier) -> None:
    """Writes a report beside a classifier: `report.json`, `report.html`, and a model card."""
    values = report_as_json(report)
    page = render_page("classifier.html", report=values)
    (directory / "report.json").write_text(json.dumps(values, indent=1), encoding="utf-8")
    (directory / REPORT_PAGE).write_text(page, encoding="utf-8", errors="replace")
    (directory / "README.md").write_text(_model_card(report, classifier), encoding="utf-8", errors="replace")


def _result(entry: Entry) -> MethodResult:
    spread = float(entry.f1.std(ddof=1)) if len(entry.f1) > 1 else 0.0
    return MethodResult(entry.learner.name, float(entry.micro.mean()), float(entry.macro.mean()), spread, entry.seconds)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, dict):
        return {key: _rounded(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(own) for own in value]
    return value


def _model_card(report: Report, classifier: Classifier) -> str:
    held_out = report.held_out
    how_many = "one label a note" if report.exclusive else "any number of labels a note"
    return f"""# Classifier {report.name}

Suggests tags for notes the way their owner gives them: {len(report.labels)} labels, {how_many}.

- Learnt from: {report.notes} notes, labels from {report.labels_from}; hash of notes and labels {classifier.data}
- Method: {classifier.method}, on the encoder {classifier.model} ({classifier.encoder})
- Trained: {classifier.trained} by notesearch
- Quality on {held_out.notes} notes held out ({held_out.split}): micro-F1 {held_out.micro_f1:.3f}, macro-F1
  {held_out.macro_f1:.3f}, calibration error {held_out.calibration_error:.3f}; see report.html
- Meant for: notes of this owner. It knows no other labels, and holds words, titles and paths of the notes it has learnt
  from: keep it as private as these.
"""
