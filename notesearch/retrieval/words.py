"""Which words of queries and passages are the same, and how rare they are."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Set

from notesearch.storage import IndexReader

# A stem begins as its word does, so only words that begin like a word of the query need to be stemmed.
_BEGINNING_CHARS = 2


def note_frequencies(reader: IndexReader, words: Iterable[str]) -> dict[str, int]:
    """In how many notes each word occurs, in whatever form.

    A word that is several terms (a pair of characters) is at most as frequent as the rarest of them.
    """
    stems = reader.stems(words)
    frequencies = reader.note_frequencies(term for terms in stems.values() for term in terms)
    return {word: min((frequencies.get(term, 0) for term in terms), default=0) for word, terms in stems.items()}


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
