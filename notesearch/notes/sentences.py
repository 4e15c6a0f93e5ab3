"""Places at which a block that is too long may be cut."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence

# The start of a list item, a table row or a quoted line.
_ITEM_BREAK = re.compile(r"(?:\r\n|\r|\n)(?=[ \t]*(?:[-*+>|]|\d{1,9}[.)])[ \t]*\S)")
# The end of a sentence (not of a number: `1. item`), with a closing quote or bracket; in Chinese and Japanese no space
# follows.
_SENTENCE_BREAK = re.compile(
    r"(?<=[^\d\s][.!?…])\s+"
    r"|(?<=[.!?…][\"'”’»)\]*_])\s+"
    r"|(?<=[。！？])(?![。！？」』”’）\s])"
    r"|(?<=[。！？][」』”’）])(?=\S)"
)
_LINE_BREAK = re.compile(r"\r\n|\r|\n")

# A tokenizer reads a word of any length, or a run of spaces, as one token or none.
_MAX_TOKEN_CHARS = 64


class TokenIndex:
    """Where the tokens of a text start, to count those of any span of it."""

    __slots__ = ("starts",)

    def __init__(self, starts: Sequence[int], offset: int, end: int) -> None:
        """Build the index.

        Args:
            starts: Ascending offsets of the tokens.
            offset: What to add to them.
            end: One past the last character of the text.
        """
        self.starts = array("q")
        last = offset
        for start in (*(start + offset for start in starts), end):
            if start - last > _MAX_TOKEN_CHARS:
                self.starts.extend(range(last + _MAX_TOKEN_CHARS, start, _MAX_TOKEN_CHARS))
            if start < end:
                self.starts.append(start)
            last = start

    def before(self, offset: int) -> int:
        """How many tokens start before an offset."""
        return bisect_left(self.starts, offset)


def cut_prose(text: str, start: int, end: int, limit_tokens: int, tokens: TokenIndex) -> Iterator[tuple[int, int]]:
    """Spans of at most so many tokens: list items and table rows, else sentences, cut further where too long."""
    return _cut(text, start, end, limit_tokens, tokens, (_ITEM_BREAK, _SENTENCE_BREAK))


def cut_code(text: str, start: int, end: int, limit_tokens: int, tokens: TokenIndex) -> Iterator[tuple[int, int]]:
    """Spans of at most so many tokens: lines, cut further where they are too long."""
    return _cut(text, start, end, limit_tokens, tokens, (_LINE_BREAK,))


def _cut(
    text: str, start: int, end: int, limit_tokens: int, tokens: TokenIndex, breaks: tuple[re.Pattern[str], ...]
) -> Iterator[tuple[int, int]]:
    if not breaks:
        yield from _windows(text, start, end, limit_tokens, tokens)
        return
    position = start
    for stop, following in [*(match.span() for match in breaks[0].finditer(text, start, end)), (end, end)]:
        if tokens.before(stop) - tokens.before(position) <= limit_tokens:
            yield from _trimmed(text, position, stop)
        else:
            yield from _cut(text, position, stop, limit_tokens, tokens, breaks[1:])
        position = following


def _windows(text: str, start: int, end: int, limit_tokens: int, tokens: TokenIndex) -> Iterator[tuple[int, int]]:
    while True:
        following = tokens.before(start) + limit_tokens
        if following >= len(tokens.starts) or tokens.starts[following] >= end:
            break
        # Several tokens may start at one character.
        reach = max(tokens.starts[following], start + 1)
        stop = _last_gap(text, start, reach)
        yield from _trimmed(text, start, stop)
        start = stop
        while start < end and text[start].isspace():
            start += 1
    yield from _trimmed(text, start, end)


def _last_gap(text: str, start: int, end: int) -> int:
    """Where to cut a span that goes on after `end`: at a line's end in its second half, at a space, else at `end`."""
    line_end = max(text.rfind("\n", start, end), text.rfind("\r", start, end))
    if line_end > (start + end) // 2:
        return line_end
    space = max(text.rfind(gap, start, end) for gap in " \t\n\r\u3000")
    return space if space > start else end


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    stripped = text[start:end].rstrip()
    if stripped.strip():
        yield start, start + len(stripped)
