"""Notes like a note: by meaning and by words, with the links between them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

import numpy as np

from notesearch.notes.links import LinkResolver
from notesearch.records import Filters, Hit, LinkKind
from notesearch.retrieval.passage_matching import AllPassages, mutually_closest
from notesearch.retrieval.passages import Match, make_snippet
from notesearch.storage import IndexReader, StoredChunk, StoredNote, WordQuery
from notesearch.storage.full_text import idf
from notesearch.words import STOPWORDS, distinct_words, find_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]
    Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LinkedNotes:
    """The notes that links join to a note.

    Attributes:
        to: Ids of those that it has links to.
        back: Ids of those that have links to it.
    """

    to: frozenset[int]
    back: frozenset[int]


def find_linked_notes(
    reader: IndexReader, path: str, note_id: int | None, written: Iterable[tuple[str, LinkKind]] | None = None
) -> LinkedNotes:
    """Finds the notes that links join to a note, in either direction.

    Args:
        reader: The index.
        path: Absolute path of the note.
        note_id: Its id; `None` for a note that the index does not know.
        written: Targets and kinds of its links, if they are not those that the index knows.
    """
    links = reader.links()
    own = [(target, kind) for source, target, kind in links if source == note_id] if written is None else list(written)
    own_name = _rough_name(path)
    others = [link for link in links if link[0] != note_id and (link[2] == "id" or _rough_name(link[1]) == own_name)]
    paths = reader.paths()
    called = reader.note_names() if any(kind == "id" for _, kind in [*own, *(link[1:] for link in others)]) else {}
    # All notes that could be meant, and no others: a resolver for all of them takes longer than the rest of a command.
    meant = {own_name, *(_rough_name(target) for target, _ in own)}
    ids = {Path(known): known_id for known_id, known in paths.items() if _rough_name(known) in meant}
    ids |= {Path(paths[known_id]): known_id for known_id in called.values()}
    resolver = LinkResolver({*ids, Path(path)}, {name: Path(paths[known_id]) for name, known_id in called.items()})
    to = {ids.get(found) for target, kind in own if (found := resolver.resolve(Path(path), target, kind))}
    back = {
        source for source, target, kind in others if resolver.resolve(Path(paths[source]), target, kind) == Path(path)
    }
    return LinkedNotes(frozenset(linked for linked in to if linked not in (None, note_id)), frozenset(back))


def _rough_name(path: str) -> str:
    """The name of a note or a link's target, such that what a link may lead to has the same one."""
    return PurePosixPath(path).name.casefold().partition(".")[0]


# The words that tell a note from others, the notes that have them too, and where two passages share words.

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
    return dict(reader.match(WordQuery(tuple(spelling[stem] for stem in telling)), _MOST_NOTES, Filters()))


# Notes that are related to a note: by what their passages mean, and by the words that tell the note from others.

LinkDirection = Literal["to", "from"]

# What words count beside meaning, both in standard deviations (docs/decisions/0012-similar.md).
_WORD_WEIGHT = np.float32(0.3)
_LEAST_DEVIATION = np.float32(1e-6)
_MOST_MEETINGS = 3


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
    cosine: float
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
class _Found:
    """A related note.

    Attributes:
        note: The note.
        chunks: Its chunks.
        score: What it is ranked by.
        parts: What this was made of.
        contributions: What each part adds to it.
        pairs: Places of the passages that meet, in either note.
        cosines: Of all passages of the two.
    """

    note: StoredNote
    chunks: Sequence[StoredChunk]
    score: float
    parts: dict[str, float]
    contributions: dict[str, float]
    pairs: list[tuple[int, int]]
    cosines: Scores


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
    found = _rank(reader, source, limit, filters, unlinked)
    met = [(source.chunks[own].text, each.chunks[other].text) for each in found for own, other in each.pairs]
    weights = WordWeights.of(reader, set().union(*(distinct_words(text) for pair in met for text in pair)))
    return [_hit(rank, source, each, weights) for rank, each in enumerate(found, start=1)]


def _rank(reader: IndexReader, source: SourceNote, limit: int, filters: Filters, unlinked: bool) -> list[_Found]:
    passages = AllPassages.read(reader)
    others = passages.note_ids != source.note.id
    if not others.any():
        return []
    text = "\n".join([source.note.title, *(chunk.text for chunk in source.chunks)])
    matched = match_words(reader, text, is_indexed=source.note.id != 0)
    words = np.array([matched.get(note_id, 0.0) for note_id in passages.note_ids.tolist()], dtype=np.float32)
    meaning = passages.closeness(source.vectors)
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
    found = []
    for row in best:
        own_chunks = chunks[int(passages.note_ids[row])]
        cosines = source.vectors @ np.stack([vectors[chunk.id] for chunk in own_chunks]).T
        found.append(
            _Found(
                note=notes[int(passages.note_ids[row])],
                chunks=own_chunks,
                score=float(scores[row]),
                parts={"lexical": float(words[row]), "dense": float(meaning[row])},
                contributions={"lexical": float(from_words[row]), "dense": float(from_meaning[row])},
                pairs=mutually_closest(cosines, passages.hubness[passages.of(row)], _MOST_MEETINGS),
                cosines=cosines,
            )
        )
    return found


def _standardized(scores: Scores, others: NDArray[np.bool_]) -> Scores:
    """Scores in standard deviations above the mean of the other notes, so that they do not depend on filters."""
    own = scores[others]
    standardized: Scores = (scores - own.mean()) / max(own.std(), _LEAST_DEVIATION)
    return standardized


def _hit(rank: int, source: SourceNote, found: _Found, weights: WordWeights) -> SimilarHit:
    own, other = found.pairs[0]
    shown = found.chunks[other]
    snippet = make_snippet(shown.text, weights.matches(shown.text, source.chunks[own].text))
    return SimilarHit(
        rank=rank,
        score=found.score,
        path=found.note.path,
        title=found.note.title,
        heading=shown.heading,
        start_line=shown.start_line,
        end_line=shown.end_line,
        snippet=snippet.text,
        tags=found.note.tags,
        date=found.note.date,
        scores=found.parts,
        more_passages=len(found.chunks) - 1,
        highlights=snippet.highlights,
        contributions=found.contributions,
        strengths=snippet.strengths,
        meetings=tuple(
            _meeting(source.chunks[own], found.chunks[other], float(found.cosines[own, other]), weights)
            for own, other in found.pairs
        ),
        shared_tags=_shared_tags(source.note, found.note),
        links=_directions(source.linked, found.note.id),
        page=shown.page or None,
        end_page=shown.end_page or None,
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
        page=own.page or None,
        hit_page=other.page or None,
        cosine=round(cosine, 4),
    )


def _directions(linked: LinkedNotes, note_id: int) -> tuple[LinkDirection, ...]:
    directions: list[LinkDirection] = []
    if note_id in linked.to:
        directions.append("to")
    if note_id in linked.back:
        directions.append("from")
    return tuple(directions)


def _shared_tags(note: StoredNote, other: StoredNote) -> tuple[str, ...]:
    own = {tag.casefold() for tag in note.tags}
    return tuple(tag for tag in other.tags if tag.casefold() in own)
