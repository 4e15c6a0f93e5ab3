"""Lexical retrieval: BM25 over whole notes, phrases, and which words are the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from notesearch.phrases import holds
from notesearch.records import Filters, HeldWords
from notesearch.retrieval.query import Query
from notesearch.storage import Reader, StoredChunk, WordQuery
from notesearch.storage.full_text import K1, idf
from notesearch.words import bare

if TYPE_CHECKING:
    from numpy.typing import NDArray

# How much two neighbouring words of a query count where they are found near each other, beside the words themselves.
_PAIR_WEIGHT = 0.25
# How much a word counts that was searched for in the place of one that no note holds.
_CORRECTION_WEIGHT = 0.7
# The most that BM25 gives a word, as a multiple of its IDF.
_SATURATION = K1 + 1
# Many more notes are scored than a search proposes: those that the dense side proposes should have their words counted.
_MOST_NOTES = 5_000
# A stem begins as its word does, so only words that begin like a word of the query need to be stemmed.
_BEGINNING_CHARS = 2


@dataclass(frozen=True, slots=True)
class LexicalScores:
    """How well notes match a query's words.

    Attributes:
        notes: Note ids and their scores, greater than 0. They are not scaled to the query: how much of its rare words
            was matched is just what they should tell.
        coverage: How much of the query the best note matches, 0 to 1: its BM25 as a part of the most that any note
            could get. About 0.5 for a note of common length that holds each word once.
        rarity: The IDF of each word of the query; of a mistyped one, that of its first correction.
    """

    notes: dict[int, float]
    coverage: float
    rarity: dict[str, float] = field(default_factory=dict)

    def best(self, limit: int) -> list[int]:
        """Ids of the notes that match best, best first; equally good ones by id."""
        note_ids = np.fromiter(self.notes.keys(), dtype=np.int64, count=len(self.notes))
        scores = np.fromiter(self.notes.values(), dtype=np.float64, count=len(self.notes))
        best: list[int] = note_ids[np.lexsort((note_ids, -scores))[:limit]].tolist()
        return best


NOTHING_MATCHED = LexicalScores({}, 0.0)


def match_lexical(reader: Reader, query: Query, filters: Filters) -> LexicalScores:
    """Finds the notes that match a query best by its words, and by its words near each other.

    Of stopwords alone, the notes are best in which all of them stand one after another.

    Args:
        reader: The index.
        query: The query.
        filters: Which notes may be found; of a query with phrases, `notes` are those that hold them.
    """
    if not query.words:  # but signs, in phrases
        return LexicalScores(dict.fromkeys(filters.notes or (), 1.0), 1.0)
    scores = dict(reader.match(WordQuery(query.words), _MOST_NOTES, filters))
    for word, corrections in query.corrections.items():
        for note_id, score in _match_best(reader, corrections, filters).items():
            scores[note_id] = scores.get(note_id, 0.0) + query.words.count(word) * score
    if not scores:
        return NOTHING_MATCHED
    words = [query.corrections.get(word, (word,))[0] for word in query.words]
    notes, frequencies = reader.count_notes(), note_frequencies(reader, words)
    rarity = {typed: idf(notes, frequencies[word]) for typed, word in zip(query.words, words, strict=True)}
    coverage = max(scores.values()) / (_SATURATION * sum(rarity[word] for word in query.words))
    # A sequential dependence model (Metzler and Croft, 2005).
    if pairs := tuple((first, second) for first, second in pairwise(words) if first != second):
        for note_id, score in reader.match(WordQuery(pairs=pairs), _MOST_NOTES, filters):
            scores[note_id] = scores.get(note_id, 0.0) + _PAIR_WEIGHT * score
    if query.says_nothing:
        highest = max(scores.values())
        for note_id, score in reader.match(WordQuery((" ".join(query.words),)), _MOST_NOTES, filters):
            if note_id in scores:
                scores[note_id] += highest + score
    return LexicalScores(scores, min(coverage, 1.0), rarity)


def is_mentioned(reader: Reader, words: str) -> bool:
    """Whether some words stand one after another in a note, in any form."""
    return bool(reader.match(WordQuery((words,)), 1, Filters()))


def chunks_with_phrases(reader: Reader, query: Query, filters: Filters) -> NDArray[np.int64] | None:
    """Ids of the chunks of notes in which all phrases of a query occur, ascending; `None` for a query without phrases.

    Where some chunks of a note hold a phrase, the others are left out.
    """
    if not query.phrases:
        return None
    asked = replace(filters, held=(*filters.held, *(HeldWords(phrase, exact=True) for phrase in query.phrases)))
    of_notes = reader.admitted_chunks(asked)
    assert of_notes is not None
    note_ids = sorted(set(reader.notes_of_chunks(of_notes.tolist()).values()))
    chunks: dict[int, list[StoredChunk]] = {}
    for chunk in reader.chunks_of_notes(note_ids):
        chunks.setdefault(chunk.note_id, []).append(chunk)
    found: list[int] = []
    for parts in chunks.values():
        holders = [part.id for part in parts if any(holds(phrase, part.text) for phrase in query.phrases)]
        found += holders or [part.id for part in parts]
    return np.array(sorted(found), dtype=np.int64)


def _match_best(reader: Reader, words: Sequence[str], filters: Filters) -> dict[int, float]:
    """The scores of notes for that of some words which each matches best."""
    scores: dict[int, float] = {}
    for word in words:
        for note_id, score in reader.match(WordQuery((word,)), _MOST_NOTES, filters):
            scores[note_id] = max(scores.get(note_id, 0.0), score)
    return scores


def note_frequencies(reader: Reader, words: Iterable[str]) -> dict[str, int]:
    """In how many notes each word occurs, in any form.

    A word that is several terms (a pair of characters) is at most as frequent as the rarest of them.
    """
    stems = reader.stems(words)
    frequencies = reader.note_frequencies(term for terms in stems.values() for term in terms)
    return {word: min((frequencies.get(term, 0) for term in terms), default=0) for word, terms in stems.items()}


def forms_of_query(reader: Reader, query: Query, words: Set[str]) -> dict[str, str]:
    """Finds the words that have the same stem as a word of the query, or as a correction of one; see `word_forms`."""
    typed = {correction: word for word, corrections in query.corrections.items() for correction in corrections}
    forms = word_forms(reader, (*query.words, *typed), words)
    return {word: typed.get(meant, meant) for word, meant in forms.items()}


def word_forms(reader: Reader, query_words: Iterable[str], words: Set[str]) -> dict[str, str]:
    """Finds the words that have the same stem as a word of the query.

    Returns:
        The words found, each with the word of the query that it stands for.
    """
    asked = list(dict.fromkeys(query_words))
    beginnings = {_beginning(word) for word in asked}
    stems = reader.stems([*asked, *(word for word in words if _beginning(word) in beginnings)])
    by_stem = {stems[word]: word for word in reversed(asked)}
    return {word: by_stem[stem] for word, stem in stems.items() if stem and stem in by_stem}


def _beginning(word: str) -> str:
    """The first letters of a word, given as its key, as the full-text index sees them."""
    return (word if word.isascii() else bare(word))[:_BEGINNING_CHARS]
