"""What the encoder reads of a chunk."""

from __future__ import annotations

import re

from notesearch.records import Chunk, Note

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
        lines.append(note.title)
    above, _, last = chunk.heading.rpartition(" > ")
    heading = above if _begins_with(chunk.text, last) else chunk.heading
    if heading:
        lines.append(heading)
    return "\n".join([*lines, chunk.text])


def _begins_with(text: str, title: str) -> bool:
    words = _WORD.findall(title.casefold())
    # Markup may stand between the words.
    beginning = text[: 2 * len(title) + 40].casefold()
    return _WORD.findall(beginning)[: len(words)] == words
