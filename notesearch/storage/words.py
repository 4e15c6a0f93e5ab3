"""What the full-text index is given in place of the raw text."""

from __future__ import annotations

from notesearch.words import UNSPACED_CHARACTER


def searchable_words(text: str) -> str:
    """Puts spaces around each character of the unspaced scripts, so that each becomes a word of the index.

    Words are forgotten by computing them again: a change here needs a migration that fills `note_words` anew.

    A query for several of them asks for a phrase; so any substring of such a text can be found, without a dictionary.
    """
    return text if text.isascii() else UNSPACED_CHARACTER.sub(r" \g<0> ", text)


def quoted(words: str) -> str:
    """Words as a string of FTS5's query syntax: nothing in it can be taken for syntax."""
    return '"' + searchable_words(words).replace('"', '""') + '"'
