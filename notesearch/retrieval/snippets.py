"""The lines of a passage that show why it was found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SNIPPET_CHARS = 220
# How far back a snippet may reach for the start of its sentence or line.
_LEAD_CHARS = 60

_HEADING_LINES = re.compile(r"(?:#{1,6}[ \t][^\n]*\n\s*)+")
_BOUNDARY = re.compile(r"(?:[.!?。！？][)\"']*\s*|\n\s*)")


@dataclass(frozen=True, slots=True)
class Match:
    """A word of a passage that meets a word of the query.

    Attributes:
        start: Its first character in the passage.
        end: One past its last.
        word: Of the query.
        strength: How well it meets that word, up to 1.
        weight: What that word counts in the query.
    """

    start: int
    end: int
    word: str
    strength: float
    weight: float


@dataclass(frozen=True, slots=True)
class Snippet:
    """A part of a passage on one line.

    Attributes:
        text: Some 220 characters, with an ellipsis where it starts or ends inside the passage.
        highlights: Spans of the words that meet the query's, ascending, disjoint.
        strengths: How well each of them does.
    """

    text: str
    highlights: tuple[tuple[int, int], ...]
    strengths: tuple[float, ...]


def make_snippet(text: str, matches: Sequence[Match]) -> Snippet:
    """Cuts out the window of a passage that holds the most evidence.

    Args:
        text: The passage.
        matches: Its words that meet words of the query.

    Returns:
        The window; the passage's beginning, below its headings, where there are no matches.
    """
    found = sorted(matches, key=lambda match: (match.start, match.end))
    heading = _HEADING_LINES.match(text)
    body_start = heading.end() if heading and heading.end() < len(text) else 0
    start = max(body_start, _sentence_start(text, _best_window(found))) if found else body_start
    end = start + _SNIPPET_CHARS
    if end < len(text):
        end = max(text.rfind(" ", start, end), text.rfind("\n", start, end), start + _SNIPPET_CHARS // 2)
    before = "…" if text[body_start:start].strip() else ""
    after = "…" if text[end:].strip() else ""
    words = list(re.finditer(r"\S+", text[start:end]))
    snippet = before + " ".join(word.group() for word in words) + after
    highlights, strengths = _highlights(found, start, words, len(before))
    return Snippet(snippet, highlights, strengths)


def _highlights(
    found: Sequence[Match], start: int, words: Sequence[re.Match[str]], position: int
) -> tuple[tuple[tuple[int, int], ...], tuple[float, ...]]:
    """Where matches are once white space is collapsed; those that meet or overlap are joined.

    Args:
        found: Matches, ascending.
        start: Where the snippet starts in the passage.
        words: What stands between white space, from there on.
        position: Where the first of these stands in the snippet.
    """
    spans: list[tuple[int, int]] = []
    strengths: list[float] = []
    index = 0
    for word in words:
        first, last = start + word.start(), start + word.end()
        while index < len(found) and found[index].start < first:
            index += 1
        while index < len(found) and found[index].start < last:
            match = found[index]
            index += 1
            if match.end > last:  # cut off by the snippet's end
                continue
            span = (position + match.start - first, position + match.end - first)
            if spans and span[0] <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(span[1], spans[-1][1]))
                strengths[-1] = max(match.strength, strengths[-1])
            else:
                spans.append(span)
                strengths.append(match.strength)
        position += len(word.group()) + 1
    return tuple(spans), tuple(strengths)


def _best_window(found: Sequence[Match]) -> int:
    """Start of the window in which the query's words are met best, then with the most matches; the first such."""
    best, best_value = 0, (0.0, 0)
    for first, match in enumerate(found):
        met: dict[str, float] = {}
        count = 0
        for other in found[first:]:
            if other.start > match.start + _SNIPPET_CHARS - _LEAD_CHARS:
                break
            # Squared, since many words meet half by chance.
            met[other.word] = max(met.get(other.word, 0.0), other.strength**2 * other.weight)
            count += 1
        value = (round(sum(met.values()), 6), count)
        if value > best_value:
            best, best_value = match.start, value
    return best


def _sentence_start(text: str, position: int) -> int:
    """Where to begin before a position: at the first sentence or line that starts near it, else at a word."""
    earliest = max(0, position - _LEAD_CHARS)
    boundaries = [match.end() for match in _BOUNDARY.finditer(text, earliest, position) if match.end() <= position]
    if boundaries or earliest == 0:
        return boundaries[0] if boundaries else 0
    space = text.find(" ", earliest, position)
    return space + 1 if space >= 0 else position
