"""Why a hit was found, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from notesearch.cli.terminal import columns_of, fitted, harmless, paint, wrapped
from notesearch.records import Evidence, Hit

if TYPE_CHECKING:
    from notesearch.retrieval.concepts import ConceptLink

_INDENT = "    "
# What the parts of a sum are called, and scores as they are.
_PARTS = {
    "lexical": "words",
    "dense": "meaning",
    "late": "words in context",
    "feedback": "feedback",
    "concepts": "concepts",
}
_SCORES = {
    "cross_encoder": "cross-encoder",
    "lexical": "BM25",
    "dense": "cosine",
    "late": "MaxSim",
    "concepts": "concepts",
}
_BAR_COLUMNS = 10
_LEAST_WIDTH_FOR_BARS = 40
_EIGHTHS = " ▏▎▍▌▋▊▉"
_STRONG, _FAIR = 0.75, 0.55


def shade(strength: float) -> str:
    """The style of a match, by how strong it is."""
    return "strong" if strength >= _STRONG else "fair" if strength >= _FAIR else "weak"


def explanation(hit: Hit, colour: bool, width: int) -> Iterator[str]:
    """Lines that say what a hit's score is made of, and which word meets each word of the query."""
    for line in wrapped(_sum(hit), width, _INDENT, _INDENT):
        yield _INDENT + paint(line[len(_INDENT) :], "dim", colour=colour)
    bar_columns = _BAR_COLUMNS if width >= _LEAST_WIDTH_FOR_BARS else 0
    # A word and what meets it share what the bar, the number and the gaps leave.
    room = (width - len(_INDENT) - bar_columns - 8) // 2
    longest = max((columns_of(harmless(row.query_token)) for row in hit.evidence), default=0)
    for row in hit.evidence:
        yield _evidence_line(row, min(longest, room), room, bar_columns, colour)


def explain_concepts(links: Sequence[ConceptLink], colour: bool, width: int) -> Iterator[str]:
    """Says which of the owner's links between ideas a query brought along, one a line; an empty line ends them."""
    for link in links:
        text = f"linked: {link.idea} ~ {link.linked} ({link.weight:.2f})"
        for line in wrapped(harmless(text), width, "", _INDENT):
            yield paint(line, "dim", colour=colour) + "\n"
    if links:
        yield "\n"


def _sum(hit: Hit) -> str:
    """What a score is made of, in words."""
    if not hit.contributions:
        return ", ".join(f"{hit.scores[name]:.2f} {_SCORES[name]}" for name in _SCORES if name in hit.scores)
    parts = " + ".join(f"{value:.2f} {_PARTS[name]}" for name, value in hit.contributions.items()).replace("+ -", "- ")
    return f"{hit.score:.2f} = {parts}" if len(hit.contributions) > 1 else parts


def _evidence_line(row: Evidence, first_columns: int, room: int, bar_columns: int, colour: bool) -> str:
    word = fitted(row.query_token, first_columns)
    met_by = fitted(row.matched, room).rstrip()
    style = shade(row.score)
    bar = ""
    if bar_columns:
        eighths = round(row.score * bar_columns * 8)
        bar = ("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()).ljust(bar_columns)
        bar = paint(bar, style, colour=colour) + " "
    return f"{_INDENT}{word} {bar}{row.score:.2f} {paint(met_by, style, colour=colour)}"
