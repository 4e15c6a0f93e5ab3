"""Words that were mistyped: those that no note holds, and the words of the notes that are one edit away."""

from __future__ import annotations

import re
import string
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from notesearch.encoders import Encoder
from notesearch.records import Filters
from notesearch.retrieval.lexical import note_frequencies
from notesearch.retrieval.query import Query
from notesearch.storage import Reader, WordQuery
from notesearch.words import bare, distinct_words, holds_unspaced

# Too many words are one edit from a shorter one.
_LEAST_CHARS = 4
# Of one query, as many words are looked at, and of each, as many other words are searched for.
_MOST_WORDS = 3
_MOST_CORRECTIONS = 3
# Letters of a script stand together in blocks of so many characters, as a rule.
_BLOCK = 128


def with_corrections(reader: Reader, query: Query) -> Query:
    """The query with what its words may mean that no note holds; words in quotation marks mean what they say."""
    frequencies = note_frequencies(reader, query.words)
    missing = [word for word, holding in frequencies.items() if not holding]
    quoted = " ".join(query.phrases)
    mistyped = [
        word
        for word in missing
        if len(word) >= _LEAST_CHARS and word.isalpha() and not holds_unspaced(word) and word not in quoted
    ]
    found = {word: _corrections(reader, word) for word in mistyped[:_MOST_WORDS]}
    corrections = {word: held for word, held in found.items() if held}
    strange = bool(missing) and len(missing) == len(frequencies) and not corrections
    return replace(query, corrections=corrections, strange=strange)


def as_read(query: Query, encoder: Encoder) -> Query:
    """The query as the model should read it: a word that it knows as a whole was not mistyped."""
    corrections = {word: held for word, held in query.corrections.items() if not encoder.knows(word)}
    text = query.text
    for word, held in corrections.items():
        if len(held) == 1:
            text = re.sub(rf"\b{re.escape(word)}\b", held[0], text, flags=re.IGNORECASE)
    strange = query.strange and not any(map(encoder.knows, query.words))
    return replace(query, text=text, corrections=corrections, strange=strange)


def _corrections(reader: Reader, word: str) -> tuple[str, ...]:
    """The words one edit away that notes hold in any form, those of most notes first."""
    forms: dict[str, list[str]] = defaultdict(list)
    for variant, terms in reader.stems(one_edit_away(bare(word))).items():
        if len(terms) == 1:
            forms[terms[0]].append(variant)
    held = reader.note_frequencies(forms)
    best = sorted(held, key=lambda term: (-held[term], term))[:_MOST_CORRECTIONS]
    return tuple(_as_written(reader, forms[term]) for term in best)


def _as_written(reader: Reader, forms: Sequence[str]) -> str:
    """Of several forms of a word the one that stands in a note that holds it, as far as its passages tell."""
    if len(forms) == 1:
        return forms[0]
    note_ids = [note_id for note_id, _ in reader.match(WordQuery((forms[0],)), 1, Filters())]
    words = {bare(word) for chunk in reader.chunks_of_notes(note_ids) for word in distinct_words(chunk.text)}
    return next((form for form in forms if form in words), forms[0])


def one_edit_away(word: str) -> list[str]:
    """All that a word becomes by two neighbours changing places, by a letter more, a letter less or another letter."""
    letters = string.ascii_lowercase
    for block in sorted({ord(char) // _BLOCK for char in word if not char.isascii()}):
        chars = map(chr, range(block * _BLOCK, (block + 1) * _BLOCK))
        letters += "".join(char for char in chars if char.isalpha() and char == char.lower())
    cuts = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    found = [before + after[1] + after[0] + after[2:] for before, after in cuts if len(after) > 1]
    found += [before + letter + after for before, after in cuts for letter in letters]
    found += [before + after[1:] for before, after in cuts if after]
    found += [before + letter + after[1:] for before, after in cuts if after for letter in letters]
    return [variant for variant in dict.fromkeys(found) if variant != word]
