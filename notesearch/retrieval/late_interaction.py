"""Late interaction: how well each word of a query is met by some word of a passage (MaxSim, ColBERT)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders import EncodedQuery, Encoder
from notesearch.encoders.token_codes import CodedWord, expand, max_similarities
from notesearch.errors import IndexDamaged
from notesearch.retrieval.dense import DenseScores
from notesearch.retrieval.fusion import Candidate
from notesearch.retrieval.lexical import note_frequencies, word_forms
from notesearch.storage import Reader
from notesearch.words import STOPWORDS, distinct_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]

# What late interaction counts against similarity, both with 0 for unrelated and 1 for an answer.
LATE_WEIGHT = 0.5
# The passages of a note that are scored, the closest ones.
PASSAGES_A_NOTE = 4
# The cosine of a word of the query with the same word of a passage, more or less.
_MET = 0.75
# Passages scored at once: so few that what their codes expand to stays in the cache.
_BATCH_PASSAGES = 32


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


@dataclass(frozen=True, slots=True, eq=False)
class LateQuery:
    """A query made ready for late interaction.

    Attributes:
        text: The query, as it was encoded.
        encoder: What encoded it, and the passages.
        words: Its words.
        vectors: Theirs, float32 `(words, bits)`, each of length 1.
        weights: What each counts, float32 `(words,)`; their sum is 1, but 0 where the model could read none of them.
        legible: How much of the query the model could read, from 0 to 1.
    """

    text: str
    encoder: Encoder
    words: tuple[CodedWord, ...]
    vectors: Scores
    weights: Scores
    legible: float = 1.0

    @classmethod
    def of(
        cls, text: str, encoder: Encoder, encoded: EncodedQuery, frequencies: Mapping[str, int], notes: int
    ) -> LateQuery:
        """Weights the words of a query by how rare they are, unless they count alike, and by how much of each was read.

        Args:
            text: The query.
            encoder: What encoded it.
            encoded: The query, encoded.
            frequencies: In how many notes each of its words occurs.
            notes: How many notes there are.
        """
        rarities = [math.log((notes + 1) / (frequencies.get(word.word, 0) + 0.5)) for word in encoded.words]
        weights = np.maximum(np.array(rarities, dtype=np.float32), 0)
        if encoded.alike or not weights.any():
            weights = np.ones_like(weights)
        read = weights * np.array([encoded.legible.get(word.word, 1.0) for word in encoded.words], dtype=np.float32)
        total = read.sum()
        legible = float(total / weights.sum())
        return cls(text, encoder, encoded.words, encoded.word_vectors, read / total if total else read, legible)

    @classmethod
    def of_index(cls, text: str, encoder: Encoder, encoded: EncodedQuery, reader: Reader) -> LateQuery:
        """Weights the words of a query by how rare they are in an index; see `of`."""
        frequencies = note_frequencies(reader, [word.word for word in encoded.words])
        return cls.of(text, encoder, encoded, frequencies, reader.count_notes())

    def score(self, codes: Sequence[bytes], least: Scores | None = None) -> Scores:
        """Scores passages by their token codes.

        Args:
            codes: Those of each passage.
            least: How well each word is met at least in each of them, float32 `(len(codes), words)`.

        Returns:
            float32 `(len(codes),)`: MaxSim, as a weighted mean over the words of the query, so that queries of any
            length are on one scale; 1 for a passage that holds every word in the same meaning.

        Raises:
            IndexDamaged: The codes are not of this model's kind.
        """
        bits = self.vectors.shape[1]
        code_bytes = -(-bits // 8)
        scores = np.zeros(len(codes), dtype=np.float32)
        for first in range(0, len(codes), _BATCH_PASSAGES):
            batch = codes[first : first + _BATCH_PASSAGES]
            if any(type(own) is not bytes or len(own) % code_bytes for own in batch):
                raise IndexDamaged("the index is damaged: token codes in it cannot be read")
            lengths = [len(own) // code_bytes for own in batch]
            highest = max_similarities(self.vectors, expand(b"".join(batch), bits), lengths)
            if least is not None:
                highest = np.maximum(highest, least[first : first + len(batch)])
            scores[first : first + len(batch)] = highest @ self.weights
        return scores

    def contributions(self, scores: Scores) -> Scores:
        """What scores of late interaction, which are on a scale of their own, add to similarities."""
        scale = self.encoder.late_scale.weighted(self.legible)
        contributions: Scores = np.float32(LATE_WEIGHT) * scale.similarity(scores)
        return contributions

    def match(self, codes: bytes, passage: str) -> list[WordMatch]:
        """Finds for each word of the query the word of a passage that meets it best, in the query's order."""
        cosines = self.vectors @ expand(codes, self.vectors.shape[1]).T
        best = cosines.argmax(axis=1).tolist()
        # None are found with another version of the tokenizer: better no evidence than a wrong one.
        found = self.encoder.places_of_codes(passage, cosines.shape[1], best)
        return [
            WordMatch(self.words[row], places, float(cosines[row, best[row]]), float(self.weights[row]))
            for row, places in enumerate(found)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class LateInteraction:
    """Late interaction between one query and candidates.

    Attributes:
        reader: The index.
        dense: How similar chunks are to the query.
        query: The query.
    """

    reader: Reader
    dense: DenseScores
    query: LateQuery

    def rescore(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """See `Stage`."""
        note_chunks = self.reader.chunk_ids_of_notes([candidate.note_id for candidate in candidates])
        closest = closest_chunks(note_chunks, self.dense, PASSAGES_A_NOTE)
        codes = self.reader.token_codes([chunk_id for own in closest.values() for chunk_id in own])
        met = self._met_in_properties([candidate.note_id for candidate in candidates])
        nothing = np.zeros(len(self.query.words), dtype=np.float32)
        least = np.stack([met.get(note_chunks[chunk_id], nothing) for chunk_id in codes]) if met else None
        late = self.query.score(list(codes.values()), least)
        scores = dict(zip(codes, late.tolist(), strict=True))
        added = dict(zip(codes, self.query.contributions(late).tolist(), strict=True))
        rescored = []
        for candidate in candidates:
            own = [chunk_id for chunk_id in closest[candidate.note_id] if chunk_id in scores]
            if own:  # always, unless the index is damaged
                score, contribution = (score_note([values[chunk_id] for chunk_id in own]) for values in (scores, added))
                candidate = candidate.with_part("late", score, contribution, {i: added[i] for i in own})
            rescored.append(candidate)
        return rescored

    def _met_in_properties(self, note_ids: Sequence[int]) -> dict[int, Scores]:
        """How well the properties of notes, which are in no passage, meet each word of the query: `(words,)` each."""
        words = {
            note_id: set().union(*(distinct_words(each.value) for each in values))
            for note_id, values in self.reader.properties(note_ids).items()
        }
        asked = [word.word for word in self.query.words]
        content = [word for word in asked if word not in STOPWORDS] or asked
        forms = word_forms(self.reader, content, set().union(*words.values())) if words else {}
        met = {note_id: {forms[word] for word in own & forms.keys()} for note_id, own in words.items()}
        return {
            note_id: np.array([_MET * (word in own) for word in asked], dtype=np.float32)
            for note_id, own in met.items()
            if own
        }


def closest_chunks(chunk_notes: Mapping[int, int], dense: DenseScores, most: int) -> dict[int, list[int]]:
    """For each note the chunks that are closest to a query, closest first.

    Args:
        chunk_notes: Ids of chunks, and of their notes; of these, the admitted ones count.
        dense: How similar the chunks are.
        most: The most chunks a note.
    """
    chunk_ids = dense.admitted(np.array(sorted(chunk_notes), dtype=np.int64))
    closest: dict[int, list[int]] = {}
    for chunk_id in chunk_ids[np.argsort(-dense.of(chunk_ids), kind="stable")].tolist():
        own = closest.setdefault(chunk_notes[chunk_id], [])
        if len(own) < most:
            own.append(chunk_id)
    return closest


def score_note(passage_scores: Sequence[float]) -> float:
    """A note's score by those of its passages that are closest to the query: halfway from their mean to the best.

    The best alone favours long notes, whose many passages have many chances.
    """
    return (max(passage_scores) + sum(passage_scores) / len(passage_scores)) / 2
