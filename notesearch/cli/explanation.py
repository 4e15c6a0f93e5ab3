"""Why a hit was found, for people."""

from __future__ import annotations

from collections.abc import Iterator

from notesearch.cli.terminal import columns_of, harmless, paint
from notesearch.records import Evidence, Hit

_INDENT = "    "
_NAMES = {"lexical": "words", "dense": "meaning", "late": "words in context", "cross_encoder": "cross-encoder"}
_BAR_COLUMNS = 10
_EIGHTHS = " ▏▎▍▌▋▊▉"
_STRONG, _FAIR = 0.75, 0.55


def shade(strength: float) -> str:
    """The style of a match, by how strong it is."""
    return "strong" if strength >= _STRONG else "fair" if strength >= _FAIR else "weak"


def explanation(hit: Hit, colour: bool, width: int) -> Iterator[str]:
    """Lines that say what a hit's score is made of, and which word meets each word of the query."""
    if hit.contributions:
        parts = " + ".join(f"{value:.2f} {_NAMES[name]}" for name, value in hit.contributions.items())
        yield _INDENT + paint(f"{hit.score:.2f} = {parts}".replace("+ -", "- "), "dim", colour=colour)
    else:
        parts = ", ".join(f"{value:.2f} {_NAMES[name]}" for name, value in hit.scores.items())
        yield _INDENT + paint(parts, "dim", colour=colour)
    # A word and what meets it share what the bar, the number and the gaps leave.
    room = (width - len(_INDENT) - _BAR_COLUMNS - 8) // 2
    longest = max((columns_of(harmless(row.query_token)) for row in hit.evidence), default=0)
    for row in hit.evidence:
        yield _evidence_line(row, min(longest, room), room, colour)


def _evidence_line(row: Evidence, first_columns: int, room: int, colour: bool) -> str:
    word = _fitted(harmless(row.query_token), first_columns)
    met_by = _fitted(harmless(row.matched), room).rstrip()
    eighths = round(row.score * _BAR_COLUMNS * 8)
    bar = ("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()).ljust(_BAR_COLUMNS)
    style = shade(row.score)
    return f"{_INDENT}{word} {paint(bar, style, colour=colour)} {row.score:.2f} {paint(met_by, style, colour=colour)}"


def _fitted(text: str, columns: int) -> str:
    """A text filled up with spaces, or cut with an ellipsis, to a number of columns."""
    if columns_of(text) > columns:
        while text and columns_of(text) >= columns:
            text = text[:-1]
        text += "…"
    return text + " " * (columns - columns_of(text))
