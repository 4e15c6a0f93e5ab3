"""The report on a classifier: how it was chosen, and how good it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from notesearch.pages import page, table
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
    text = json.dumps(report_as_json(report), indent=1)
    (directory / "report.json").write_text(text, encoding="utf-8")
    (directory / REPORT_PAGE).write_text(report_page(report_as_json(report)), encoding="utf-8", errors="replace")
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


# The report on a classifier as a page: it opens by itself and loads nothing.

_STYLE = """
td.chart { width: 40%; } .kept td { font-weight: 600; }
.bar { background: var(--other); height: .8rem; border-radius: 2px; }
.kept .bar, .label .bar { background: var(--bar); }
svg { max-width: 24rem; width: 100%; }
"""
_PLOT = 260
_MARGIN = 36


def report_page(report: Mapping[str, Any]) -> str:
    """Renders a report, as `report.report_as_json` gives it, as one HTML page."""
    held_out = report["held_out"]
    parts = [
        f"<p>{report['notes']:,} notes, {len(report['labels'])} labels, labels from {escape(report['labels_from'])}. "
        f"Kept: <b>{escape(report['method'])}</b>.</p>",
        "<h2>Methods</h2>",
        _methods(report),
        f"<h2>On {held_out['notes']:,} notes held out ({escape(held_out['split'])})</h2>",
        f"<p>Micro-F1 <b>{held_out['micro_f1']:.3f}</b>, macro-F1 <b>{held_out['macro_f1']:.3f}</b>, precision "
        f"{held_out['precision']:.3f}, recall {held_out['recall']:.3f}; {held_out['untagged']:.0%} of the notes get no "
        "suggestion. Nothing was learnt from these notes, chosen by or fitted to them.</p>",
        _labels(held_out["labels"]),
        "<h2>Calibration</h2>",
        f"<p>Expected calibration error {held_out['calibration_error']:.3f}. On the diagonal, a score of 70 % is right "
        "seven times out of ten; the area of a dot is the number of scores.</p>",
        _calibration(held_out["bins"]),
        *_confusions(held_out["confusions"]),
        *_left_out(report),
    ]
    return page(f"Classifier {report['name']}", parts, _STYLE)


def _methods(report: Mapping[str, Any]) -> str:
    rows = [
        (
            "kept" if method["name"] == report["method"] else "",
            (
                escape(method["name"]),
                f"{method['micro_f1']:.3f}",
                f"{method['macro_f1']:.3f}",
                f"± {method['spread']:.3f}",
                f"{method['seconds']:.0f}",
            ),
            (method["micro_f1"] + method["macro_f1"]) / 2,
        )
        for method in report["methods"]
    ]
    return _table(("method", "micro-F1", "macro-F1", "spread", "seconds", "mean of both"), rows)


def _labels(labels: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            "label",
            (
                escape(label["label"]),
                f"{label['precision']:.2f}",
                f"{label['recall']:.2f}",
                f"{label['f1']:.2f}",
                str(label["support"]),
                f"{label['threshold']:.2f}",
            ),
            label["f1"],
        )
        for label in sorted(labels, key=lambda label: -label["support"])
    ]
    return _table(("label", "precision", "recall", "F1", "notes", "threshold", "F1"), rows)


def _table(head: Sequence[str], rows: Iterable[tuple[str, Sequence[str], float]]) -> str:
    """A table whose last column is a bar of a length from 0 to 1."""
    lines = ["<table>", "<tr>" + "".join(f"<th>{name}</th>" for name in head) + "</tr>"]
    for kind, cells, length in rows:
        bar = f'<td class="chart"><div class="bar" style="width:{100 * length:.1f}%"></div></td>'
        lines.append(f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + bar + "</tr>")
    return "\n".join([*lines, "</table>"])


def _calibration(bins: Sequence[Mapping[str, Any]]) -> str:
    def across(value: float) -> float:
        return _MARGIN + value * _PLOT

    def up(value: float) -> float:
        return 8 + (1 - value) * _PLOT

    most = max((entry["count"] for entry in bins), default=1)
    dots = "".join(
        f'<circle cx="{across(entry["probability"]):.1f}" cy="{up(entry["right"]):.1f}" '
        f'r="{3 + 9 * (entry["count"] / most) ** 0.5:.1f}" fill="#4a7fb5" fill-opacity=".7">'
        f"<title>{entry['count']:,} scores of {entry['probability']:.2f}: {entry['right']:.0%} right</title></circle>"
        for entry in bins
    )
    axes = (
        f'<path d="M{across(0)} {up(1)}V{up(0)}H{across(1)}" fill="none" stroke="currentColor"/>'
        f'<path d="M{across(0)} {up(0)}L{across(1)} {up(1)}" stroke="#8888" stroke-dasharray="4"/>'
        f'<text x="{across(0.5)}" y="{up(0) + 28}" text-anchor="middle">score</text>'
        f'<text x="{across(0) - 6}" y="{up(1) + 4}" text-anchor="end">1</text>'
        f'<text x="{across(0) - 6}" y="{up(0)}" text-anchor="end">0</text>'
        f'<text x="{across(1)}" y="{up(0) + 14}" text-anchor="end">1</text>'
        f'<text x="{across(0) + 6}" y="{up(1) + 8}">share that is right</text>'
    )
    size = _PLOT + _MARGIN + 12
    return f'<svg viewBox="0 0 {size} {size}" role="img" aria-label="calibration">{axes}{dots}</svg>'


def _confusions(confusions: Sequence[Sequence[Any]]) -> list[str]:
    if not confusions:
        return []
    rows = [(wanted, given, str(count)) for wanted, given, count in confusions]
    return ["<h2>Confusions</h2>", table(("the note has", "but is given", "times"), rows)]


def _left_out(report: Mapping[str, Any]) -> list[str]:
    named = [f"{escape(label)} ({count})" for label, count in report["rare"]]
    named += [f"{escape(label)} (on every note)" for label in report["universal"]]
    return ["<h2>Left out</h2>", f'<p class="note">{", ".join(named)}</p>'] if named else []
