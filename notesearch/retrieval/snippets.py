"""The lines of a passage that show why it was found."""

from __future__ import annotations

import re
from collections.abc import Mapping

from notesearch.words import find_words

_SNIPPET_CHARS = 220
# How far back a snippet may reach for the start of its sentence or line.
_LEAD_CHARS = 60

_HEADING_LINES = re.compile(r"(?:#{1,6}[ \t][^\n]*\n\s*)+")
_BOUNDARY = re.compile(r"(?:[.!?。！？][)\"']*\s*|\n\s*)")


def make_snippet(text: str, telling: Mapping[str, str]) -> str:
    """Cuts out the window of a passage that holds most of the telling words.

    Args:
        text: The passage.
        telling: As `words.telling_words` finds them.

    Returns:
        At most some 220 characters on one line, with an ellipsis where it starts or ends inside the passage; the
        passage's beginning, below its headings, where no telling word occurs.
    """
    found = [(start, telling[word]) for start, _, word in find_words(text) if word in telling]
    heading = _HEADING_LINES.match(text)
    body_start = heading.end() if heading and heading.end() < len(text) else 0
    start = max(body_start, _sentence_start(text, _best_window(found))) if found else body_start
    end = start + _SNIPPET_CHARS
    if end < len(text):
        end = max(text.rfind(" ", start, end), text.rfind("\n", start, end), start + _SNIPPET_CHARS // 2)
    snippet = " ".join(text[start:end].split())
    return ("…" if text[body_start:start].strip() else "") + snippet + ("…" if text[end:].strip() else "")


def find_highlights(snippet: str, telling: Mapping[str, str]) -> tuple[tuple[int, int], ...]:
    """Spans of the telling words in a snippet, ascending; spans that meet are joined."""
    spans: list[tuple[int, int]] = []
    for start, end, word in find_words(snippet):
        if word not in telling:
            continue
        if spans and start <= spans[-1][1]:
            start = spans.pop()[0]
        spans.append((start, end))
    return tuple(spans)


def _best_window(found: list[tuple[int, str]]) -> int:
    """Start of the window with the most different words of the query, then with the most words; the first such."""
    best, best_value = 0, (0, 0)
    for first, (start, _) in enumerate(found):
        inside = []
        for position, word in found[first:]:
            if position > start + _SNIPPET_CHARS - _LEAD_CHARS:
                break
            inside.append(word)
        value = (len(set(inside)), len(inside))
        if value > best_value:
            best, best_value = start, value
    return best


def _sentence_start(text: str, position: int) -> int:
    """Where to begin before a position: at the first sentence or line that starts near it, else at a word."""
    earliest = max(0, position - _LEAD_CHARS)
    boundaries = [match.end() for match in _BOUNDARY.finditer(text, earliest, position) if match.end() <= position]
    if boundaries or earliest == 0:
        return boundaries[0] if boundaries else 0
    space = text.find(" ", earliest, position)
    return space + 1 if space >= 0 else position
