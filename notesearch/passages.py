"""What the encoder reads of a chunk."""

from __future__ import annotations

import re

# Raise this when notes are cut, or passages put together, in another way than before.
PASSAGES_VERSION = 1
# Longer titles and heading paths would swamp the text that they stand before.
_MOST_TITLE_CHARS = 120

_WORD = re.compile(r"\w+")


def passage_text(title: str, heading: str, text: str) -> str:
    """The text to encode for a chunk: title, heading path and the chunk's own text, which comes last, each on its line.

    A title that is only a number or a date, as in `2025-01-04.md`, says nothing and is left out; so is a title or
    heading with which the chunk itself begins.

    Args:
        title: The note's.
        heading: The chunk's heading path.
        text: The chunk's.
    """
    lines: list[str] = []
    if any(char.isalpha() for char in title) and not _begins_with(text, title):
        lines.append(title[:_MOST_TITLE_CHARS])
    above, _, last = heading.rpartition(" > ")
    if shown := above if _begins_with(text, last) else heading:
        lines.append(shown[-_MOST_TITLE_CHARS:])
    return "\n".join([*lines, text])


def _begins_with(text: str, title: str) -> bool:
    words = _WORD.findall(title.casefold())
    # Markup may stand between the words.
    beginning = text[: 2 * len(title) + 40].casefold()
    return _WORD.findall(beginning)[: len(words)] == words
