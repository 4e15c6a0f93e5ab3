"""The text of a page of a PDF, column by column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from notesearch.documents.document import DAMAGE

if TYPE_CHECKING:
    from pypdf import PageObject

_SHOW_TEXT = {b"Tj", b"TJ", b"'", b'"'}
# In points; what is not further apart stands on one line, or begins at one place.
_NEAR = 4.0
# So much text is a line of text; most lines of a column begin at its edge, and most are full: those of tables differ.
_LEAST_CHARS = 10
_LEAST_ALIGNED = 0.6
_LEAST_FILLED = 0.6
# The lines of the second column are so many, and this part of those of the page.
_LEAST_LINES = 3
_LEAST_OF_PAGE = 0.25
# The second column begins in this part of the page; its lines are as many and as long as those of the first, or nearly.
_MIDDLE = (0.42, 0.58)
_LEAST_ALIKE = 0.7
# The lines of a column are not further apart than so many times their usual distance.
_MOST_LEADING = 2.0

# What a page draws; text alone is a twentieth of it.
_MOST_BYTES = 500_000

_Matrix = Sequence[float]
_Visitor = Callable[[bytes, list[Any], _Matrix, _Matrix], None]


class _Shown(NamedTuple):
    """Text that is shown at a place, in points from the lower left corner."""

    x: float
    y: float
    chars: int


class _Columns(NamedTuple):
    """Where two columns are: what begins left of `middle` is in the first one."""

    middle: float
    top: float
    bottom: float

    def part(self, x: float, y: float) -> int:
        """0 for what is above the columns, 1 and 2 for them, 3 for what is below."""
        if y > self.top + _NEAR:
            return 0
        return 3 if y < self.bottom - _NEAR else 1 + (x >= self.middle)


def page_text(page: PageObject) -> str:
    """The text of a page in the order in which it is drawn; where that is line by line across columns, one by one."""
    shown: list[_Shown] = []

    def see(operator: bytes, operands: list[Any], matrix: _Matrix, text_matrix: _Matrix) -> None:
        if operator in _SHOW_TEXT and operands:
            shown.append(_Shown(*_place(matrix, text_matrix), _length(operands[-1])))

    text = page.extract_text(visitor_operand_before=None if _is_large(page) else see)
    try:
        columns = _find_columns(shown, float(page.mediabox.left), float(page.mediabox.width))
    except DAMAGE:  # no size, say, or a place that is no number
        columns = None
    if columns is None:
        return text
    return "\n".join(page.extract_text(visitor_operand_before=_only(columns, part)) for part in range(4))


def _is_large(page: PageObject) -> bool:
    """Whether a page draws so much that to look at it closely takes long: pypdf alone passes over what has no text."""
    try:
        resources: Any = page["/Resources"]
        objects = resources["/XObject"].values() if "/XObject" in resources else ()
        forms = [form for item in objects if (form := item.get_object())["/Subtype"] == "/Form"]
        drawn = [stream for stream in (page.get_contents(), *forms) if stream is not None]
        return sum(len(stream.get_data()) for stream in drawn) > _MOST_BYTES
    except DAMAGE:
        return True


def _only(columns: _Columns, part: int) -> _Visitor:
    """Takes away the text outside of a part before it is shown."""

    def see(operator: bytes, operands: list[Any], matrix: _Matrix, text_matrix: _Matrix) -> None:
        if operator in _SHOW_TEXT and operands and columns.part(*_place(matrix, text_matrix)) != part:
            operands[-1] = b""

    return see


def _place(matrix: _Matrix, text_matrix: _Matrix) -> tuple[float, float]:
    x, y = text_matrix[4], text_matrix[5]
    return x * matrix[0] + y * matrix[2] + matrix[4], x * matrix[1] + y * matrix[3] + matrix[5]


def _length(operand: Any) -> int:
    parts = operand if isinstance(operand, list) else [operand]
    return sum(len(part) for part in parts if isinstance(part, str | bytes))


def _find_columns(shown: Sequence[_Shown], left: float, width: float) -> _Columns | None:
    """Two columns of text, where there are any and they are drawn line by line.

    Args:
        shown: What the page shows, in the order in which it is drawn.
        left: Where the page begins.
        width: Of the page.
    """
    starts = Counter(round(entry.x) for entry in shown if _MIDDLE[0] < (entry.x - left) / width < _MIDDLE[1])
    ((start, _),) = starts.most_common(1) or [(0, 0)]
    middle = start - _NEAR
    firsts = _lines([entry for entry in shown if entry.x < middle])
    seconds = _lines([entry for entry in shown if entry.x >= middle])
    aligned = [line.y for line in seconds if line.x < start + _NEAR]
    returns = sum(before.x >= middle > after.x for before, after in pairwise(shown))
    if len(aligned) < max(_LEAST_LINES, _LEAST_OF_PAGE * len(firsts + seconds)) or returns < len(aligned) / 2:
        return None
    columns = [
        sorted(line.chars for line in lines if aligned[-1] <= line.y <= aligned[0]) for lines in (firsts, seconds)
    ]
    for chars in columns:
        if not chars or len(aligned) < _LEAST_ALIGNED * len(chars):
            return None
        if median(chars) < _LEAST_FILLED * chars[len(chars) * 9 // 10]:
            return None
    for sizes in ([len(chars) for chars in columns], [median(chars) for chars in columns]):
        if min(sizes) < _LEAST_ALIKE * max(sizes):
            return None
    most = _MOST_LEADING * median(above - below for above, below in pairwise(aligned))
    bottom = aligned[-1]
    for line in _lines(shown):  # a column may be longer than the other
        if 0 < bottom - line.y <= most:
            bottom = line.y
    return _Columns(middle, aligned[0], bottom)


def _lines(shown: Sequence[_Shown]) -> list[_Shown]:
    """Lines with enough text, from top to bottom: not those of formulas, indices and numbers."""
    lines: list[_Shown] = []
    for x, y, chars in sorted(shown, key=lambda entry: -entry.y):
        if lines and lines[-1].y - y < _NEAR:
            line = lines.pop()
            lines.append(_Shown(min(line.x, x), line.y, line.chars + chars))
        else:
            lines.append(_Shown(x, y, chars))
    return [line for line in lines if line.chars >= _LEAST_CHARS]
