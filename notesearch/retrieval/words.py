"""The words of queries and passages, and which of them are the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Set

from notesearch.storage import UNSPACED, IndexReader

_LETTERS = f"[^\\W_{UNSPACED}]"
# A letter may be typed as one with combining marks: some keyboards and all of macOS's file names do.
_RUN = re.compile(f"[{UNSPACED}]+|{_LETTERS}+(?:[\u0300-\u036f]+{_LETTERS}*)*")
_UNSPACED_CHARACTER = re.compile(f"[{UNSPACED}]")
# A stem begins as its word does, so only words that begin like a word of the query need to be stemmed.
_BEGINNING_CHARS = 2


def find_words(text: str) -> Iterator[tuple[int, int, str]]:
    """Finds the words of a text.

    Yields:
        Start, end, and the word in lower case; for a run of characters of an unspaced script, its overlapping pairs.
    """
    for run in _RUN.finditer(text):
        start, end = run.span()
        if end - start > 2 and _UNSPACED_CHARACTER.match(run.group()):
            yield from ((i, i + 2, text[i : i + 2]) for i in range(start, end - 1))
        else:
            # Not casefold(), which makes two letters of ß where the full-text index keeps one.
            yield start, end, run.group().lower()


def distinct_words(text: str) -> set[str]:
    """The words that `find_words` finds, each once, and much faster."""
    runs = set(_RUN.findall(text))
    words = {run.lower() for run in runs}
    if _UNSPACED_CHARACTER.search(text):
        words |= {word for run in runs for _, _, word in find_words(run)}
    return words


def telling_words(reader: IndexReader, query_words: Iterable[str], words: Set[str]) -> dict[str, str]:
    """Finds the words that have the same stem as a word of the query.

    Returns:
        The words found, each with the word of the query that it stands for.
    """
    asked = list(dict.fromkeys(query_words))
    beginnings = {_beginning(word) for word in asked}
    stems = reader.stems([*asked, *(word for word in words if _beginning(word) in beginnings)])
    by_stem = {stems[word]: word for word in reversed(asked)}
    return {word: by_stem[stem] for word, stem in stems.items() if stem and stem in by_stem}


def _beginning(word: str) -> str:
    """The first letters of a word, as the full-text index sees them: without diacritics."""
    if word.isascii():
        return word[:_BEGINNING_CHARS]
    bare = "".join(char for char in unicodedata.normalize("NFD", word) if not unicodedata.combining(char))
    return bare[:_BEGINNING_CHARS]
