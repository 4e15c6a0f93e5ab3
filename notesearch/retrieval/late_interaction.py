"""Late interaction: how well each word of a query is met by some word of a passage (MaxSim, ColBERT)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders import CodedWord, EncodedQuery, Encoder, expand, max_similarities
from notesearch.errors import IndexDamaged
from notesearch.retrieval.words import note_frequencies
from notesearch.storage import IndexReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]


# Passages scored at once: so few that what their codes expand to stays in the cache.
_BATCH_PASSAGES = 32


@dataclass(frozen=True, slots=True)
class LateQuery:
    """A query made ready for late interaction.

    Attributes:
        words: Its words.
        vectors: Theirs, float32 `(words, bits)`, each of length 1.
        weights: What each counts, float32 `(words,)`; their sum is 1.
    """

    words: tuple[CodedWord, ...]
    vectors: Scores
    weights: Scores

    @classmethod
    def of(cls, query: EncodedQuery, frequencies: Mapping[str, int], notes: int) -> LateQuery:
        """Weights the words of a query by how rare they are, unless they count alike.

        Args:
            query: The query.
            frequencies: In how many notes each of its words occurs.
            notes: How many notes there are.
        """
        rarities = [math.log((notes + 1) / (frequencies.get(word.word, 0) + 0.5)) for word in query.words]
        weights = np.maximum(np.array(rarities, dtype=np.float32), 0)
        if query.alike or not weights.any():
            weights = np.ones_like(weights)
        return cls(query.words, query.word_vectors, weights / weights.sum())

    def score(self, codes: Sequence[bytes]) -> Scores:
        """Scores passages by their token codes.

        Returns:
            float32 `(len(codes),)`: MaxSim, as a weighted mean over the words of the query, so that queries of any
            length are on one scale; 1 for a passage that holds every word in the same meaning.

        Raises:
            IndexDamaged: What was given is not what was coded.
        """
        bits = self.vectors.shape[1]
        code_bytes = -(-bits // 8)
        scores = np.zeros(len(codes), dtype=np.float32)
        for first in range(0, len(codes), _BATCH_PASSAGES):
            batch = codes[first : first + _BATCH_PASSAGES]
            if any(type(own) is not bytes or len(own) % code_bytes for own in batch):
                raise IndexDamaged("the index is damaged: a token code in it is none")
            lengths = [len(own) // code_bytes for own in batch]
            highest = max_similarities(self.vectors, expand(b"".join(batch), bits), lengths)
            scores[first : first + len(batch)] = highest @ self.weights
        return scores


def weigh_by_index(query: EncodedQuery, reader: IndexReader) -> LateQuery:
    """Makes a query ready for late interaction with the notes of an index."""
    frequencies = note_frequencies(reader, [word.word for word in query.words])
    return LateQuery.of(query, frequencies, reader.count_notes())


@dataclass(frozen=True, slots=True)
class WordMatch:
    """A word of a query, and the word of a passage that meets it best.

    Attributes:
        word: Of the query.
        places: Where the word of the passage stands: start and end, ascending.
        cosine: Between the two, in their contexts; an estimate.
        weight: What the word counts in the query.
    """

    word: CodedWord
    places: tuple[tuple[int, int], ...]
    cosine: float
    weight: float


def match_words(query: LateQuery, codes: bytes, passage: str, encoder: Encoder) -> list[WordMatch]:
    """Finds for each word of a query the word of a passage that meets it best, in the query's order."""
    cosines = query.vectors @ expand(codes, query.vectors.shape[1]).T
    best = cosines.argmax(axis=1).tolist()
    # None are found with another version of the tokenizer: better no evidence than a wrong one.
    found = encoder.places_of_codes(passage, cosines.shape[1], best)
    return [
        WordMatch(query.words[row], places, float(cosines[row, best[row]]), float(query.weights[row]))
        for row, places in enumerate(found)
    ]


def score_note(passage_scores: Sequence[float]) -> float:
    """A note's score by those of its passages that are closest to the query: halfway from their mean to the best.

    The best alone favours long notes, whose many passages have many chances.
    """
    return (max(passage_scores) + sum(passage_scores) / len(passage_scores)) / 2
