"""Charts as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_WIDTH = 720
_LABELS = 190
_FIGURES = 50
_ROW = 24
_HALF = 60
_MARGIN = 30
_LONGEST_LABEL = 30


def bar_chart(rows: Sequence[tuple[str, float, tuple[float, float] | None]]) -> str:
    """Bars from 0 to 1, one below the other.

    Args:
        rows: The label, the value, and the ends of its interval where it has one.
    """

    def across(value: float) -> float:
        return round(_LABELS + value * (_WIDTH - _LABELS - _FIGURES), 1)

    marks = []
    for number, (label, value, interval) in enumerate(rows):
        top = number * _ROW
        middle = top + _ROW / 2
        short = label if len(label) <= _LONGEST_LABEL else f"…{label[1 - _LONGEST_LABEL :]}"
        marks += [
            f'<text x="{_LABELS - 8}" y="{middle + 4}" text-anchor="end">{escape(short)}</text>',
            f'<rect class="bar" x="{_LABELS}" y="{top + 5}" width="{round(across(value) - _LABELS, 1)}" '
            f'height="{_ROW - 10}"/>',
            f'<text x="{_WIDTH}" y="{middle + 4}" text-anchor="end">{value:.3f}</text>',
        ]
        if interval:
            low, high = map(across, interval)
            ends = f"M{low} {middle - 4}V{middle + 4}M{low} {middle}H{high}M{high} {middle - 4}V{middle + 4}"
            marks.append(f'<path class="interval" d="{ends}"/>')
    return _svg(len(rows) * _ROW, "bars from 0 to 1", marks)


def difference_chart(differences: Sequence[float]) -> str:
    """Differences from −1 to 1 side by side, as bars up or down from a line.

    Args:
        differences: In descending order.
    """
    step = (_WIDTH - _MARGIN) / len(differences)
    marks = [
        '<text x="0" y="12">+1</text>',
        f'<text x="0" y="{2 * _HALF}">−1</text>',
        _area("bar", [max(0.0, value) for value in differences], step),
        _area("worse", [min(0.0, value) for value in differences], step),
        f'<path class="axis" d="M{_MARGIN} {_HALF}H{_WIDTH}"/>',
    ]
    return _svg(2 * _HALF, "differences of the queries", marks)


def _area(kind: str, heights: Sequence[float], step: float) -> str:
    """What lies between the zero line and the heights."""
    outline = [f"M{_MARGIN} {_HALF}"]
    for number, height in enumerate(heights):
        # A run of the same height is one line.
        if number + 1 == len(heights) or heights[number + 1] != height:
            outline.append(f"V{_HALF * (1 - height):.1f}H{_MARGIN + (number + 1) * step:.1f}")
    return f'<path class="{kind}" d="{"".join(outline)}V{_HALF}Z"/>'


def _svg(height: float, label: str, marks: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">{"".join(marks)}</svg>'
