"""Looking notes up by their words: what the full-text index is given in place of the raw text, and how it is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass

from notesearch.words import bare, unspaced

# Marks are parts of words: in Indic scripts they are vowels.
TOKENIZER = "porter unicode61 remove_diacritics 0 categories ''L* N* M* Co''"
# Anything from 1 to 5 for the title does equally well (docs/decisions/0004-fusion.md).
RANK = "bm25(2.0, 1.0)"
# Of FTS5's BM25 (fts5_aux.c); so is `idf`.
K1 = 1.2
_LEAST_IDF = 1e-6
_NEAR_WORDS = 3


@dataclass(frozen=True, slots=True)
class WordQuery:
    """What to look notes up by. A note matches that holds any of the words or pairs.

    Attributes:
        words: Words, or phrases (words one after another); each counts as often as it is given.
        pairs: Two words each that stand near each other.
    """

    words: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()

    def clauses(self) -> list[WordQuery]:
        """The query's parts; a note's score is the sum of its scores for each of them."""
        return [*(WordQuery((word,)) for word in self.words), *(WordQuery(pairs=(pair,)) for pair in self.pairs)]

    def expression(self) -> str:
        """The query in FTS5's syntax."""
        any_of = [quoted(word) for word in self.words]
        any_of += [f"NEAR({quoted(first)} {quoted(second)}, {_NEAR_WORDS})" for first, second in self.pairs]
        return " OR ".join(any_of)


def searchable_words(text: str) -> str:
    """A text without case and accents, with spaces around each character of the unspaced scripts: each is a word then.

    A query for several of them asks for a phrase; so any substring of such a text can be found, without a dictionary.
    Words are forgotten by computing them again: a change here needs another `SCHEMA_VERSION`.
    """
    return text if text.isascii() else unspaced().sub(r" \g<0> ", bare(text))


def quoted(words: str) -> str:
    """Words as a string of FTS5's query syntax: nothing in it can be taken for syntax."""
    return '"' + searchable_words(words).replace('"', '""') + '"'


def idf(notes: int, holding: int) -> float:
    """How much a word tells: greater than 0, also for one that most notes hold.

    Args:
        notes: How many notes there are.
        holding: How many of them hold the word.
    """
    return max(math.log((notes - holding + 0.5) / (holding + 0.5)), _LEAST_IDF)
