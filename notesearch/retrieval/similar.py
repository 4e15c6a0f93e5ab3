"""Notes that are related to a note: by what their passages mean, and by the words that are typical of the note."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from notesearch.records import Filters, Hit, extend_hit
from notesearch.retrieval.fusion import Candidate
from notesearch.retrieval.links import LinkedNotes
from notesearch.retrieval.passage_matching import AllPassages, mutually_closest
from notesearch.retrieval.passages import ChosenPassage, Match, make_hit, make_snippet
from notesearch.storage import IndexReader, StoredChunk, StoredNote, WordQuery
from notesearch.storage.full_text import idf
from notesearch.words import STOPWORDS, distinct_words, find_words, key_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]

LinkDirection = Literal["to", "from"]
Stem = tuple[str, ...]

# What words count beside meaning, both in standard deviations (docs/decisions/0012-similar.md).
_WORD_WEIGHT = np.float32(0.3)
_LEAST_DEVIATION = np.float32(1e-6)
_MOST_MEETINGS = 3
# The words of a note that others are found by: more add time, and no better notes.
_MOST_WORDS = 25
_MOST_NOTES = 5_000


@dataclass(frozen=True, slots=True)
class SourceNote:
    """The note that others are to be related to.

    Attributes:
        note: The note; the id is 0 where the index does not know it.
        chunks: Its chunks, one at least.
        vectors: Their embeddings, float32 `(chunks, dim)` of length 1.
        linked: The notes that links join to it.
    """

    note: StoredNote
    chunks: tuple[StoredChunk, ...]
    vectors: Scores
    linked: LinkedNotes


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two passages, one of either note, each the other's closest.

    Attributes:
        start_line: First line of the passage of the note that was asked about, 1-based.
        end_line: Its last line, inclusive.
        heading: Its heading path.
        snippet: Its most telling lines.
        hit_start_line: First line of the passage of the note that was found.
        hit_end_line: Its last line, inclusive.
        hit_heading: Its heading path.
        cosine: Of the two passages' embeddings.
        page: The page that the first passage begins on; `None` where there are no pages.
        hit_page: The page that the other begins on.
    """

    start_line: int
    end_line: int
    heading: str
    snippet: str
    hit_start_line: int
    hit_end_line: int
    hit_heading: str
    cosine: float = field(metadata={"decimals": 4})
    page: int | None = None
    hit_page: int | None = None


@dataclass(frozen=True, slots=True)
class SimilarHit(Hit):
    """A note that is related to another; its passage is that of the closest meeting.

    Attributes:
        meetings: The passages that meet, the closest first.
        shared_tags: Tags that both notes have, as the one that was found writes them.
        links: `to` where the note that was asked about has a link to this one, `from` where this one has one to it.
    """

    meetings: tuple[Meeting, ...] = ()
    shared_tags: tuple[str, ...] = ()
    links: tuple[LinkDirection, ...] = ()


@dataclass(frozen=True, slots=True)
class _Related:
    """A related note.

    Attributes:
        found: The note with its scores.
        note: The note.
        chunks: Its chunks.
        pairs: Places of the passages that meet, in either note, and the cosines of their embeddings.
    """

    found: Candidate
    note: StoredNote
    chunks: Sequence[StoredChunk]
    pairs: Sequence[tuple[int, int, float]]


def find_similar_notes(
    reader: IndexReader, source: SourceNote, *, limit: int, filters: Filters, unlinked: bool = False
) -> list[SimilarHit]:
    """Finds the notes that are related to a note, more than notes are on average.

    Args:
        reader: The index.
        source: The note.
        limit: The most hits, ≥ 1.
        filters: Which notes may be found.
        unlinked: Whether to leave out notes that a link joins to it.

    Returns:
        Hits, best first.
    """
    related = _rank(reader, source, limit, filters, unlinked)
    met = [(source.chunks[own].text, each.chunks[other].text) for each in related for own, other, _ in each.pairs]
    weights = WordWeights.of(reader, set().union(*(distinct_words(text) for pair in met for text in pair)))
    return [_hit(rank, source, each, weights) for rank, each in enumerate(related, start=1)]


def _rank(reader: IndexReader, source: SourceNote, limit: int, filters: Filters, unlinked: bool) -> list[_Related]:
    passages = AllPassages.read(reader)
    others = passages.note_ids != source.note.id
    if not others.any():
        return []
    text = "\n".join([source.note.title, *(chunk.text for chunk in source.chunks)])
    matched = match_words(reader, text, is_indexed=source.note.id != 0)
    words = np.array([matched.get(note_id, 0.0) for note_id in passages.note_ids.tolist()], dtype=np.float32)
    meaning = passages.similarity(source.vectors)
    from_words, from_meaning = _WORD_WEIGHT * _standardized(words, others), _standardized(meaning, others)
    scores = from_words + from_meaning
    may_be_found = others & (scores > 0)
    if unlinked:
        may_be_found &= ~np.isin(passages.note_ids, [*source.linked.to, *source.linked.back])
    if (admitted := reader.admitted_chunks(filters)) is not None:
        may_be_found &= np.logical_or.reduceat(np.isin(passages.chunk_ids, admitted), passages.starts)
    rows = np.flatnonzero(may_be_found)
    best = rows[np.argsort(-scores[rows], kind="stable")][:limit].tolist()
    notes = reader.notes(passages.note_ids[best].tolist())
    chunks: dict[int, list[StoredChunk]] = {note_id: [] for note_id in notes}
    for chunk in reader.chunks_of_notes(list(notes)):
        chunks[chunk.note_id].append(chunk)
    vectors = reader.vectors_of_chunks([chunk.id for own in chunks.values() for chunk in own])
    related = []
    for row in best:
        note_id = int(passages.note_ids[row])
        cosines = source.vectors @ np.stack([vectors[chunk.id] for chunk in chunks[note_id]]).T
        pairs = mutually_closest(cosines, passages.hubness[passages.of(row)], _MOST_MEETINGS)
        parts = {"lexical": float(words[row]), "dense": float(meaning[row])}
        contributions = {"lexical": float(from_words[row]), "dense": float(from_meaning[row])}
        found = Candidate(note_id, float(scores[row]), parts, contributions)
        met = [(own, other, float(cosines[own, other])) for own, other in pairs]
        related.append(_Related(found, notes[note_id], chunks[note_id], met))
    return related


def _standardized(scores: Scores, others: NDArray[np.bool_]) -> Scores:
    """Scores in standard deviations above the mean of the other notes, so that they do not depend on filters."""
    own = scores[others]
    standardized: Scores = (scores - own.mean()) / max(own.std(), _LEAST_DEVIATION)
    return standardized


def _hit(rank: int, source: SourceNote, related: _Related, weights: WordWeights) -> SimilarHit:
    note, chunks = related.note, related.chunks
    own, other, _ = related.pairs[0]
    snippet = make_snippet(chunks[other].text, weights.matches(chunks[other].text, source.chunks[own].text))
    tags = {key_of(tag) for tag in source.note.tags}
    directions: tuple[tuple[LinkDirection, frozenset[int]], ...] = (
        ("to", source.linked.to),
        ("from", source.linked.back),
    )
    return extend_hit(
        make_hit(rank, ChosenPassage(related.found, note, chunks[other], len(chunks) - 1, {}), snippet),
        SimilarHit,
        meetings=tuple(_meeting(source.chunks[a], chunks[b], cosine, weights) for a, b, cosine in related.pairs),
        shared_tags=tuple(tag for tag in note.tags if key_of(tag) in tags),
        links=tuple(direction for direction, linked in directions if note.id in linked),
    )


def _meeting(own: StoredChunk, other: StoredChunk, cosine: float, weights: WordWeights) -> Meeting:
    return Meeting(
        start_line=own.start_line,
        end_line=own.end_line,
        heading=own.heading,
        snippet=make_snippet(own.text, weights.matches(own.text, other.text)).text,
        hit_start_line=other.start_line,
        hit_end_line=other.end_line,
        hit_heading=other.heading,
        cosine=cosine,
        page=own.page or None,
        hit_page=other.page or None,
    )


@dataclass(frozen=True, slots=True)
class WordWeights:
    """How distinctive some words are.

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
        """Looks words up; stopwords are left out."""
        stems = {word: stem for word, stem in reader.stems(set(words) - STOPWORDS).items() if stem}
        counts = reader.note_frequencies(term for stem in stems.values() for term in stem)
        # A word that is several terms is at most as frequent as the rarest of them.
        frequencies = {stem: min(counts.get(term, 0) for term in stem) for stem in set(stems.values())}
        return cls(stems, frequencies, reader.count_notes())

    def weight(self, stem: Stem) -> float:
        """The IDF of a stem, as in BM25."""
        return idf(self.notes, self.frequencies[stem])

    def matches(self, text: str, other: str) -> list[Match]:
        """Where words of a text stand that another text has too."""
        others = {self.stems[word] for _, _, word in find_words(other) if word in self.stems}
        return [
            Match(start, end, word, 1.0, self.weight(self.stems[word]))
            for start, end, word in find_words(text)
            if self.stems.get(word) in others
        ]


def match_words(reader: IndexReader, text: str, *, is_indexed: bool) -> dict[int, float]:
    """Finds the notes that have the most distinctive words of a text; note ids and BM25 scores.

    Args:
        reader: The index.
        text: A note's title and text.
        is_indexed: Whether the note is one of the index: words that no other note has are then left out.
    """
    counts = Counter(word for _, _, word in find_words(text))
    weights = WordWeights.of(reader, counts)
    by_stem: dict[Stem, int] = {}
    spelling: dict[Stem, str] = {}
    for word, stem in weights.stems.items():
        by_stem[stem] = by_stem.get(stem, 0) + counts[word]
        spelling[stem] = min(word, spelling.get(stem, word))
    known = [stem for stem in by_stem if weights.frequencies[stem] > is_indexed]
    known.sort(key=lambda stem: (-math.log1p(by_stem[stem]) * weights.weight(stem), stem))
    if not known:
        return {}
    words = tuple(spelling[stem] for stem in known[:_MOST_WORDS])
    return dict(reader.match(WordQuery(words), _MOST_NOTES, Filters()))
