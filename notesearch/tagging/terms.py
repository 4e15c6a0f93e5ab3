"""Words and pairs of words as features: their TF-IDF weights. Tagging needs numpy alone for them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.words import find_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A term of one note says nothing about another.
_LEAST_NOTES = 2
# Terms beyond these are pairs of words that occur in few notes.
_MOST_TERMS = 200_000


def count_terms(text: str) -> Counter[str]:
    """Counts the words of a text, in lower case, and the pairs of adjoining words, with a space between."""
    words = [word for _, _, word in find_words(text)]
    counts = Counter(words)
    counts.update(f"{first} {second}" for first, second in pairwise(words))
    return counts


@dataclass(frozen=True, slots=True)
class WeighedTerms:
    """The terms of a text that a vocabulary knows.

    Attributes:
        places: Where they are in the vocabulary, int64 `(n,)`.
        weights: TF-IDF, float32 `(n,)`, of length 1 (empty for a text without known terms).
    """

    places: NDArray[np.int64]
    weights: NDArray[np.float32]


class Vocabulary:
    """The terms that are features, and their inverse document frequencies.

    The weight of a term is (1 + ln tf) · (1 + ln((1 + N) / (1 + df))), scaled so that a text's weights have length 1
    (Salton & Buckley, 1988, with the smoothing of scikit-learn).

    Attributes:
        terms: The terms, sorted.
        idf: Inverse document frequencies, float32 `(len(terms),)`.
    """

    def __init__(self, terms: Sequence[str], idf: NDArray[np.float32]) -> None:
        self.terms = tuple(terms)
        self.idf = idf
        self._places = {term: place for place, term in enumerate(self.terms)}

    @classmethod
    def of(cls, texts: Sequence[Counter[str]]) -> Vocabulary:
        """Takes the terms of at least two of the texts, the most frequent ones where there are too many."""
        frequencies = Counter(term for counts in texts for term in counts)
        kept = [term for term, _ in frequencies.most_common(_MOST_TERMS) if frequencies[term] >= _LEAST_NOTES]
        terms = sorted(kept)
        idf = [1 + math.log((1 + len(texts)) / (1 + frequencies[term])) for term in terms]
        return cls(terms, np.array(idf, dtype=np.float32))

    def weigh(self, counts: Counter[str]) -> WeighedTerms:
        """Weighs the terms of a text."""
        known = [(place, count) for term, count in counts.items() if (place := self._places.get(term)) is not None]
        places = np.array([place for place, _ in known], dtype=np.int64)
        frequencies = np.array([count for _, count in known], dtype=np.float32)
        weights = (1 + np.log(np.maximum(frequencies, 1))) * self.idf[places]
        length = float(np.linalg.norm(weights))
        return WeighedTerms(places, weights / np.float32(length or 1))


def term_matrix(texts: Iterable[WeighedTerms], terms: int) -> Any:
    """The weights of texts as a scipy CSR matrix, float32 `(texts, terms)`."""
    from scipy import sparse

    rows = list(texts)
    ends = np.cumsum([0, *(len(row.places) for row in rows)])
    places = np.concatenate([np.empty(0, dtype=np.int64), *(row.places for row in rows)])
    weights = np.concatenate([np.empty(0, dtype=np.float32), *(row.weights for row in rows)])
    return sparse.csr_matrix((weights, places, ends), shape=(len(rows), terms))
