"""The words that tell a note from others, the notes that have them too, and where two passages share words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from notesearch.records import Filters
from notesearch.retrieval.lexical import FIELD_WEIGHTS
from notesearch.retrieval.snippets import Match
from notesearch.storage import IndexReader, searchable_words
from notesearch.storage.bm25 import idf
from notesearch.words import STOPWORDS, find_words

# More add time, and no better notes.
_MOST_WORDS = 25
_MOST_NOTES = 5_000

Stem = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WordWeights:
    """How much some words tell.

    Attributes:
        stems: The words' stems, as the full-text index sees them.
        frequencies: In how many notes each stem stands.
        notes: How many notes there are.
    """

    stems: Mapping[str, Stem]
    frequencies: Mapping[Stem, int]
    notes: int

    @classmethod
    def of(cls, reader: IndexReader, words: Iterable[str]) -> WordWeights:
        """Looks words up; stopwords tell nothing and are left out."""
        stems = {word: stem for word, stem in reader.stems(set(words) - STOPWORDS).items() if stem}
        counts = reader.note_frequencies(term for stem in stems.values() for term in stem)
        # A word that is several terms is at most as frequent as the rarest of them.
        frequencies = {stem: min(counts.get(term, 0) for term in stem) for stem in set(stems.values())}
        return cls(stems, frequencies, reader.count_notes())

    def weight(self, stem: Stem) -> float:
        """The IDF of a stem, as BM25 reckons it."""
        count = self.frequencies[stem]
        return idf(self.notes, count)

    def matches(self, text: str, other: str) -> list[Match]:
        """Where words of a text stand that another text has too."""
        others = {self.stems[word] for _, _, word in find_words(other) if word in self.stems}
        return [
            Match(start, end, word, 1.0, self.weight(self.stems[word]))
            for start, end, word in find_words(text)
            if self.stems.get(word) in others
        ]


def match_words(reader: IndexReader, text: str, *, is_indexed: bool) -> dict[int, float]:
    """Finds the notes that have the most telling words of a text; note ids and BM25 scores.

    Args:
        reader: The index.
        text: A note's title and text.
        is_indexed: Whether the note is one of the index: words that no other note has are then passed over.
    """
    counts = Counter(word for _, _, word in find_words(text))
    weights = WordWeights.of(reader, counts)
    by_stem: dict[Stem, int] = {}
    spelling: dict[Stem, str] = {}
    for word, stem in weights.stems.items():
        by_stem[stem] = by_stem.get(stem, 0) + counts[word]
        spelling[stem] = min(word, spelling.get(stem, word))
    known = [stem for stem in by_stem if weights.frequencies[stem] > is_indexed]
    telling = sorted(known, key=lambda stem: (-math.log1p(by_stem[stem]) * weights.weight(stem), stem))[:_MOST_WORDS]
    if not telling:
        return {}
    # What find_words finds holds nothing that could be taken for query syntax.
    expression = " OR ".join(f'"{searchable_words(spelling[stem])}"' for stem in telling)
    return dict(reader.match_words(expression, FIELD_WEIGHTS, _MOST_NOTES, Filters()))
