"""Words that were mistyped: those that no note holds, and the words of the notes that are one edit away."""

from __future__ import annotations

import re
import string
from dataclasses import replace

from notesearch.encoders import Encoder
from notesearch.retrieval.lexical import note_frequencies
from notesearch.retrieval.query import Query
from notesearch.storage import Reader
from notesearch.words import bare, holds_unspaced

# Too many words are one edit from a shorter one.
_LEAST_CHARS = 4
# Of one query, as many words are looked at, and of each, as many other words are searched for.
_MOST_WORDS = 3
_MOST_CORRECTIONS = 3
# Letters of a script stand together in blocks of so many characters, as a rule.
_BLOCK = 128


def with_corrections(reader: Reader, query: Query) -> Query:
    """The query with what its words may mean that no note holds; words in quotation marks mean what they say."""
    quoted = " ".join(query.phrases)
    words = [
        word
        for word in dict.fromkeys(query.words)
        if len(word) >= _LEAST_CHARS and word.isalpha() and not holds_unspaced(word) and word not in quoted
    ]
    if not words:
        return query
    frequencies = note_frequencies(reader, words)
    missing = [word for word in words if not frequencies[word]]
    found = {word: _corrections(reader, word) for word in missing[:_MOST_WORDS]}
    return replace(query, corrections={word: corrections for word, corrections in found.items() if corrections})


def respelled(query: Query, encoder: Encoder) -> Query:
    """The query as the model should read it: with the corrections of words that are none to the model either."""
    text = query.text
    for word, corrections in query.corrections.items():
        if len(corrections) == 1 and not encoder.knows(word):
            text = re.sub(rf"\b{re.escape(word)}\b", corrections[0], text, flags=re.IGNORECASE)
    return replace(query, text=text)


def _corrections(reader: Reader, word: str) -> tuple[str, ...]:
    """The words one edit away that notes hold in any form, those of most notes first; one of several forms."""
    stems = reader.stems(one_edit_away(bare(word)))
    forms = {terms[0]: variant for variant, terms in reversed(stems.items()) if len(terms) == 1}
    held = reader.note_frequencies(forms)
    return tuple(forms[term] for term in sorted(held, key=lambda term: (-held[term], term))[:_MOST_CORRECTIONS])


def one_edit_away(word: str) -> list[str]:
    """All that a word becomes by two neighbours changing places, by a letter more, a letter less or another letter."""
    letters = string.ascii_lowercase
    for block in sorted({ord(char) // _BLOCK for char in word if not char.isascii()}):
        letters += "".join(filter(str.isalpha, map(chr, range(block * _BLOCK, (block + 1) * _BLOCK))))
    cuts = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    found = [before + after[1] + after[0] + after[2:] for before, after in cuts if len(after) > 1]
    found += [before + letter + after for before, after in cuts for letter in letters]
    found += [before + after[1:] for before, after in cuts if after]
    found += [before + letter + after[1:] for before, after in cuts if after for letter in letters]
    return [variant for variant in dict.fromkeys(found) if variant != word]
