"""Late interaction: how well each word of a query is met by some word of a passage (MaxSim, ColBERT)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders import CodedWord, EncodedQuery, Encoder, expand, max_similarities
from notesearch.errors import IndexDamaged
from notesearch.notes.chunks import passage_text
from notesearch.records import Evidence
from notesearch.retrieval.candidates import Candidate, closest_chunks, continue_below
from notesearch.retrieval.dense import DenseScores
from notesearch.retrieval.fusion import BACKGROUND_PASSAGES, Background, late_contributions
from notesearch.retrieval.lexical import note_frequencies
from notesearch.retrieval.passages import ChosenPassage, Match
from notesearch.storage import IndexReader, StoredChunk, StoredNote

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from notesearch.encoders.cross_encoder import CrossEncoder

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


# What late interaction saw in a passage, in words and places.

# Below this cosine, two words have met for want of better ones: it is reported, but not shown in the snippet.
_LEAST_STRENGTH = 0.4


def find_passage_evidence(
    late_query: LateQuery, query: str, encoder: Encoder, note: StoredNote, chunk: StoredChunk, codes: bytes
) -> tuple[tuple[Evidence, ...], list[Match]]:
    """How late interaction sees a chunk: evidence, and matches with places in the chunk's text.

    Args:
        late_query: The query, made ready.
        query: The query, as it was encoded.
        encoder: What encoded both.
        note: The chunk's note.
        chunk: The whole chunk.
        codes: Its token codes.
    """
    passage = passage_text(note.title, chunk.heading, chunk.text)
    return collect_evidence(match_words(late_query, codes, passage, encoder), query, passage, chunk.text, chunk.start)


def collect_evidence(
    matches: Sequence[WordMatch], query: str, passage: str, text: str, text_start: int
) -> tuple[tuple[Evidence, ...], list[Match]]:
    """Finds the places of the words that met.

    Args:
        matches: The words that met.
        query: The query, as it was encoded.
        passage: The passage, as it was encoded.
        text: The chunk's own text, with which the passage ends.
        text_start: Where that text starts in its file.

    Returns:
        Evidence, with places in the file, and matches, with places in `text`, for all places where a word stands.
    """
    before = len(passage) - len(text)
    evidence = []
    shown = []
    for match in matches:
        if not match.word.spans or not match.places:  # markers, or a text without words
            continue
        inside = [(start, end) for start, end in match.places if start >= before]
        start, end = (inside or match.places)[0]
        evidence.append(
            Evidence(
                query_token=query[slice(*match.word.spans[0])],
                matched=passage[start:end],
                start=text_start + start - before if inside else None,
                end=text_start + end - before if inside else None,
                score=min(max(match.cosine, 0.0), 1.0),
            )
        )
        if match.cosine >= _LEAST_STRENGTH:
            shown += [
                Match(start - before, end - before, match.word.word, min(match.cosine, 1.0), match.weight)
                for start, end in inside
            ]
    return tuple(evidence), shown


# The best candidates scored again: by late interaction, then by a cross-encoder if there is one.

# How many notes are scored again at least: more changes nothing.
POOL_NOTES = 50
# The passages of each that are scored, the closest ones.
PASSAGES_A_NOTE = 4


@dataclass(frozen=True, slots=True)
class LateStage:
    """Late interaction for one query.

    Attributes:
        reader: The index.
        encoder: Its encoder.
        text: The query, as it was encoded.
        query: The query, made ready.
        vector: Its vector, float32 `(dim,)` of length 1.
        dense: How close the chunks are to it.
        codes: Token codes by chunk, of those that were scored.
    """

    reader: IndexReader
    encoder: Encoder
    text: str
    query: LateQuery
    vector: Scores
    dense: DenseScores
    codes: dict[int, bytes] = field(default_factory=dict)

    def rerank(
        self, candidates: Sequence[Candidate], pool: int, also: Set[int] = frozenset()
    ) -> tuple[list[Candidate], dict[int, float]]:
        """Scores the first candidates again.

        Args:
            candidates: Best first.
            pool: How many.
            also: Notes to score besides, wherever they come.

        Returns:
            All of them, best first, and what late interaction and feedback add to the score of each chunk that they
            looked at. Notes without token codes (an index that an older notesearch made) stay behind those that have
            them.
        """
        first = [*candidates[:pool], *(candidate for candidate in candidates[pool:] if candidate.note_id in also)]
        others = [candidate for candidate in candidates[pool:] if candidate.note_id not in also]
        note_chunks = self.reader.chunk_ids_of_notes([candidate.note_id for candidate in first])
        closest = closest_chunks(note_chunks, self.dense, PASSAGES_A_NOTE)
        codes = self.reader.token_codes([chunk_id for ids, _ in closest.values() for chunk_id in ids])
        self.codes.update(codes)
        late = self.query.score(list(codes.values()))
        scores = dict(zip(codes, late.tolist(), strict=True))
        added = dict(zip(codes, late_contributions(late, self.encoder.late_scale).tolist(), strict=True))
        ranked, rest, chunks = [], [], []
        for candidate in first:
            own = [chunk_id for chunk_id in closest[candidate.note_id][0] if chunk_id in scores]
            if own:
                score, contribution = (score_note([values[chunk_id] for chunk_id in own]) for values in (scores, added))
                ranked.append(candidate.with_part("late", score, contribution))
                chunks.append(own)
            else:
                rest.append(candidate)
        if ranked and "dense" in ranked[0].contributions:
            ranked = self._feed_back(ranked, chunks, added)
        ranked.sort(key=lambda candidate: -candidate.score)
        return continue_below(ranked, [*rest, *others]), added

    def _feed_back(
        self, ranked: Sequence[Candidate], chunks: Sequence[Sequence[int]], added: dict[int, float]
    ) -> list[Candidate]:
        """Adds feedback to the scores of notes, and to what is added to those of their chunks."""
        closest = self.dense.best(BACKGROUND_PASSAGES).tolist()
        chunk_ids = [chunk_id for own in chunks for chunk_id in own]
        vectors = self.reader.vectors_of_chunks([*closest, *chunk_ids])
        background = Background.of(self.vector, np.stack([vectors[chunk_id] for chunk_id in closest]))
        if background is None:
            return list(ranked)
        notes, passages = background.feed_back(
            np.stack([vectors[chunk_id] for chunk_id in chunk_ids]),
            self.dense.of(np.array(chunk_ids, dtype=np.int64)),
            np.cumsum([0, *(len(own) for own in chunks[:-1])]),
            np.array([candidate.score for candidate in ranked], dtype=np.float32),
            self.encoder.scale,
        )
        for chunk_id, contribution in zip(chunk_ids, passages.tolist(), strict=True):
            added[chunk_id] += contribution
        return [
            candidate.with_part("feedback", part, part) for candidate, part in zip(ranked, notes.tolist(), strict=True)
        ]

    def find_evidence(self, note: StoredNote, chunk: StoredChunk) -> tuple[tuple[Evidence, ...], list[Match]]:
        """See `passages.FindEvidence`."""
        codes = self.codes.get(chunk.id) or self.reader.token_codes([chunk.id]).get(chunk.id)
        return find_passage_evidence(self.query, self.text, self.encoder, note, chunk, codes) if codes else ((), [])


def rerank_by_cross_encoder(
    cross_encoder: CrossEncoder, query: str, chosen: Sequence[ChosenPassage]
) -> list[ChosenPassage]:
    """Ranks notes by a cross-encoder's scores of the passages chosen for them."""
    texts = [passage_text(passage.note.title, passage.chunk.heading, passage.chunk.text) for passage in chosen]
    scores = cross_encoder.score(query, texts)
    ranked = []
    for row in np.argsort(-scores, kind="stable").tolist():
        score = float(scores[row])
        found = chosen[row].found
        parts = found.parts | {"cross_encoder": score}
        ranked.append(replace(chosen[row], found=replace(found, score=score, parts=parts, contributions={})))
    return ranked
