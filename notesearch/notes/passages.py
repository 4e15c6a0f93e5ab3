"""What the encoder reads of a chunk."""

from __future__ import annotations

import re

from notesearch.records import Chunk, Note

# Raise this when notes are cut, or passages put together, in another way than before.
PASSAGES_VERSION = 1
# Longer titles and heading paths would swamp the text that they stand before.
_MOST_TITLE_CHARS = 120

_WORD = re.compile(r"\w+")


def passage_text(note: Note, chunk: Chunk) -> str:
    """The text to encode for a chunk: title, heading path and the chunk's own text, each on its line.

    A title that is only a number or a date, as in `2025-01-04.md`, says nothing and is left out; so is a title or
    heading with which the chunk itself begins.

    Args:
        note: The note.
        chunk: One of its chunks.
    """
    lines: list[str] = []
    if any(char.isalpha() for char in note.title) and not _begins_with(chunk.text, note.title):
        lines.append(note.title[:_MOST_TITLE_CHARS])
    above, _, last = chunk.heading.rpartition(" > ")
    heading = above if _begins_with(chunk.text, last) else chunk.heading
    if heading:
        lines.append(heading[-_MOST_TITLE_CHARS:])
    return "\n".join([*lines, chunk.text])


def _begins_with(text: str, title: str) -> bool:
    words = _WORD.findall(title.casefold())
    # Markup may stand between the words.
    beginning = text[: 2 * len(title) + 40].casefold()
    return _WORD.findall(beginning)[: len(words)] == words
