"""The report on a classifier as a page: it opens by itself and loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from notesearch.pages import page, table

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
