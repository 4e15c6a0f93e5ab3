"""What the full-text index is given in place of the raw text."""

from __future__ import annotations

import re

# Scripts written without spaces (or, for Hangul, with particles glued on): Han, Hiragana, Katakana, Hangul.
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af"

_UNSPACED_CHARACTER = re.compile(f"([{UNSPACED}])")


def searchable_words(text: str) -> str:
    """Puts spaces around each character of the unspaced scripts, so that each becomes a word of the index.

    Words are forgotten by computing them again: a change here needs a migration that fills `note_words` anew.

    A query for several of them asks for a phrase; so any substring of such a text can be found, without a dictionary.
    """
    return text if text.isascii() else _UNSPACED_CHARACTER.sub(r" \1 ", text)
