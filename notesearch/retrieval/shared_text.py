"""Text that several notes share, found by shingles, which are all overlapping runs of four words.

What two notes share is counted in words: those that stand in a shingle of both. So a word changed here and there costs
little. All shingles are sorted, so nothing is missed but text that too many notes share to be copies of each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from notesearch.notes.structure import LineTable
from notesearch.storage import IndexReader, StoredChunk
from notesearch.words import Spelling, find_runs, holds_unspaced, key_of, spelled, unspaced

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Hashes = NDArray[np.uint64]
    Numbers = NDArray[np.int64]

SHINGLE_WORDS = 4
# What more notes than this share is a template.
MOST_SHARING = 20
# Notes whose texts are in memory at a time.
_BATCH_NOTES = 500
_EXCERPT_CHARS = 200
# Shingles sorted at a time, in some 300 MB.
_SORTED_SHINGLES = 1 << 22
# The constants of SplitMix64 (Steele, Lea and Flood, 2014).
_STEP, _FIRST_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(29)


class Span(NamedTuple):
    """Words of a note, the last one inclusive; the note is given by its row in a `WordTable`."""

    row: int
    first: int
    last: int

    @property
    def words(self) -> int:
        """How many words it has."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class WordTable:
    """The words of notes as numbers, without titles; each character of a script without spaces is a word.

    Attributes:
        note_ids: The notes.
        words: Numbers of their words, one note after another, int32; the same word has the same number in any case.
        starts: Where the words of each note start in `words`, int64 `(notes + 1,)`.
    """

    note_ids: tuple[int, ...]
    words: NDArray[np.int32]
    starts: Numbers

    @classmethod
    def read(cls, reader: IndexReader) -> Self:
        """Reads the words of all notes, by path; their texts are in memory only some at a time."""
        note_ids = reader.note_ids()
        numbers: dict[str, int] = {}
        columns: list[NDArray[np.int32]] = []
        for first in range(0, len(note_ids), _BATCH_NOTES):
            batch = note_ids[first : first + _BATCH_NOTES]
            words: dict[int, list[int]] = {note_id: [] for note_id in batch}
            for chunk, repeated in _without_repeats(reader.chunks_of_notes(batch)):
                own = words[chunk.note_id]
                own += [numbers.setdefault(word, len(numbers)) for word in _words(chunk.text[repeated:])]
            columns += [np.array(own, dtype=np.int32) for own in words.values()]
        starts = np.zeros(len(columns) + 1, dtype=np.int64)
        np.cumsum([len(column) for column in columns], out=starts[1:])
        return cls(tuple(note_ids), np.concatenate([*columns, np.empty(0, dtype=np.int32)]), starts)

    def of(self, row: int) -> NDArray[np.int32]:
        """The words of one note."""
        own: NDArray[np.int32] = self.words[self.starts[row] : self.starts[row + 1]]
        return own

    def words_of(self, span: Span) -> NDArray[np.int32]:
        """The words of a span."""
        return self.of(span.row)[span.first : span.last + 1]

    def whole(self, row: int) -> Span:
        """All words of a note."""
        return Span(row, 0, len(self.of(row)) - 1)


@dataclass(frozen=True, slots=True)
class NoteText:
    """The text of a note, and where its words stand in it.

    Attributes:
        chunks: The note's chunks.
        spans: For each word, as `WordTable` counts them, its chunk, and where it starts and ends in that chunk's text.
    """

    chunks: tuple[StoredChunk, ...]
    spans: tuple[tuple[int, int, int], ...]

    @classmethod
    def read(cls, reader: IndexReader, note_id: int) -> Self:
        """Reads one note."""
        chunks = reader.chunks_of_notes([note_id])
        spans = [
            (number, repeated + start, repeated + end)
            for number, (chunk, repeated) in enumerate(_without_repeats(chunks))
            for start, end in _spans(chunk.text[repeated:])
        ]
        return cls(tuple(chunks), tuple(spans))

    def lines(self, first: int, last: int) -> tuple[int, int]:
        """The lines of the file, 1-based, that the words from `first` to `last`, inclusive, stand on."""
        return self._line(first), self._line(last)

    def excerpt(self, first: int, last: int) -> str:
        """The text from one word to another, inclusive, white space collapsed; its beginning, where it is long."""
        shown = ""
        chunk, start, _ = self.spans[first]
        last_chunk, _, end = self.spans[last]
        while chunk <= last_chunk and len(shown) <= _EXCERPT_CHARS:
            text = self.chunks[chunk].text[start : end if chunk == last_chunk else None]
            shown = " ".join([shown, *text.split()]).strip()
            chunk, start = chunk + 1, 0
        return shown if len(shown) <= _EXCERPT_CHARS else shown[:_EXCERPT_CHARS].rsplit(" ", 1)[0] + "…"

    def _line(self, word: int) -> int:
        chunk, start, _ = self.spans[word]
        return self.chunks[chunk].start_line + len(LineTable(self.chunks[chunk].text[:start]).starts) - 1


@dataclass(frozen=True, slots=True)
class SharedText:
    """What notes have in common.

    Attributes:
        table: The words of all notes.
        hashes: The shingle that starts with each word, uint64; the last three words of a note have none that counts.
        distinctive: For each word whether it is outside templates, texts that many notes share.
        pairs: Rows of two notes that share shingles, the lower first, int64 `(n, 2)`.
        counts: How many shingles each two share, int64 `(n,)`.
    """

    table: WordTable
    hashes: Hashes
    distinctive: Flags
    pairs: Numbers
    counts: Numbers

    @classmethod
    def find(cls, table: WordTable, rows: Sequence[int]) -> Self:
        """Finds the notes that share text.

        Args:
            table: The words of all notes.
            rows: The notes to compare, ascending.
        """
        hashes = _hash_shingles(table.words)
        places, owners = _places_of_shingles(table, rows)
        in_template = np.zeros(len(table.words), dtype=np.bool_)
        found: list[tuple[Numbers, Numbers]] = []
        parts = 1 + len(places) // _SORTED_SHINGLES
        part_of_each = hashes[places] % np.uint64(parts)
        for part in range(parts):
            chosen = np.flatnonzero(part_of_each == part)
            chosen = chosen[np.argsort(hashes[places[chosen]], kind="stable")]  # stable: in each group, note by note
            groups, sharing = _group(hashes[places[chosen]], owners[chosen])
            in_template[places[chosen][sharing[groups] > MOST_SHARING]] = True
            found.append(_count_pairs(groups, owners[chosen], sharing, len(table.note_ids)))
        keys, counts = _sum_by_key(found)
        pairs = np.stack(np.divmod(keys, max(1, len(table.note_ids))), axis=1)
        return cls(table, hashes, ~cover(in_template, len(in_template)), pairs, counts)

    def distinctive_of(self, row: int) -> Flags:
        """For each word of a note whether it is outside templates."""
        own: Flags = self.distinctive[self.table.starts[row] : self.table.starts[row + 1]]
        return own

    def shared_words(self, span: Span, other: Span) -> Flags:
        """For each word of a span whether it stands in a shingle that another span has too."""
        return cover(np.isin(self._shingles(span), self._shingles(other)), span.words)

    def share(self, span: Span, other: Span) -> float:
        """How much of a span stands in another."""
        return float(self.shared_words(span, other).mean())

    def share_of_note(self, row: int, other: int) -> float:
        """How much of a note's own words, which are no part of a template, stands in another note."""
        return float(self.shared_words(self.table.whole(row), self.table.whole(other))[self.distinctive_of(row)].mean())

    def least_shingles(self, row: int, words: float) -> float:
        """How many shingles a note must share for so many of its words to stand in another."""
        shingles = self._shingles(self.table.whole(row))
        repeated = len(shingles) / max(1, len(np.unique(shingles)))  # they are counted once
        return words / SHINGLE_WORDS / repeated  # each covers four words at most

    def _shingles(self, span: Span) -> Hashes:
        start = int(self.table.starts[span.row])
        own: Hashes = self.hashes[start + span.first : start + max(span.first, span.last - SHINGLE_WORDS + 2)]
        return own


def cover(shingles: Flags, words: int) -> Flags:
    """For each of so many words, whether it stands in one of some shingles, which are flagged at their first words."""
    covered = np.zeros(words, dtype=np.bool_)
    for step in range(min(SHINGLE_WORDS, words)):
        own = shingles[: words - step]
        covered[step : step + len(own)] |= own
    return covered


def _hash_shingles(words: NDArray[np.int32]) -> Hashes:
    """A hash for the four words from each word on; those at the very end take fewer."""
    hashes = np.zeros(len(words), dtype=np.uint64)
    for step in range(min(SHINGLE_WORDS, len(words))):
        hashes *= _FIRST_FACTOR
        hashes ^= hashes >> _SHIFT
        hashes[: len(words) - step] += words[step:].astype(np.uint64) * _STEP
    hashes *= _FIRST_FACTOR
    return hashes ^ (hashes >> _SHIFT)


def _places_of_shingles(table: WordTable, rows: Sequence[int]) -> tuple[Numbers, Numbers]:
    """Where the shingles of some notes start, ascending, and the rows of these notes."""
    chosen = np.array(rows, dtype=np.int64)
    starts = table.starts[chosen]
    sizes = np.maximum(table.starts[chosen + 1] - starts - SHINGLE_WORDS + 1, 0)
    ends = np.cumsum(sizes)
    places = np.arange(sizes.sum()) + np.repeat(starts - (ends - sizes), sizes)
    return places, np.repeat(chosen, sizes)


def _group(hashes: Hashes, owners: Numbers) -> tuple[Numbers, Numbers]:
    """For each of some shingles, sorted, the number of its group of equal ones; and how many notes each group is of."""
    is_first = np.ones(len(hashes), dtype=np.bool_)
    is_first[1:] = hashes[1:] != hashes[:-1]
    is_other_note = is_first.copy()
    is_other_note[1:] |= owners[1:] != owners[:-1]
    groups = np.cumsum(is_first) - 1
    return groups, np.bincount(groups[is_other_note])


def _count_pairs(groups: Numbers, owners: Numbers, sharing: Numbers, notes: int) -> tuple[Numbers, Numbers]:
    """Counts the groups that each two notes are in, but for templates; a pair is `lower row * notes + higher row`."""
    is_first = np.ones(len(groups), dtype=np.bool_)
    is_first[1:] = (groups[1:] != groups[:-1]) | (owners[1:] != owners[:-1])
    kept = is_first & (sharing[groups] > 1) & (sharing[groups] <= MOST_SHARING)
    groups, owners = groups[kept], owners[kept]
    pairs = []
    for step in range(1, MOST_SHARING):
        together = groups[step:] == groups[:-step]
        pairs.append(owners[:-step][together] * notes + owners[step:][together])
    keys, counts = np.unique(np.concatenate(pairs), return_counts=True)
    return keys, counts


def _sum_by_key(counted: Sequence[tuple[Numbers, Numbers]]) -> tuple[Numbers, Numbers]:
    keys, inverse = np.unique(np.concatenate([keys for keys, _ in counted]), return_inverse=True)
    sums = np.zeros(len(keys), dtype=np.int64)
    np.add.at(sums, inverse, np.concatenate([counts for _, counts in counted]))
    return keys, sums


def _without_repeats(chunks: Sequence[StoredChunk]) -> Iterator[tuple[StoredChunk, int]]:
    """Chunks, and how many characters each repeats of the one before."""
    note_id, end = 0, 0
    for chunk in chunks:
        if chunk.note_id != note_id:
            note_id, end = chunk.note_id, 0
        yield chunk, max(0, end - chunk.start)
        end = max(end, chunk.end)


def _spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each word."""
    spelling = Spelling(text)
    return [spelling.span(start, end) for start, end in _spans_in(spelling.text)]


def _words(text: str) -> list[str]:
    """The words of a text, such that the same word is the same in any case and however its letters are typed."""
    text = spelled(text)
    if text.isascii():
        text = text.lower()
        return [text[start:end] for start, end in _spans_in(text)]
    return [key_of(text[start:end]) for start, end in _spans_in(text)]


def _spans_in(text: str) -> list[tuple[int, int]]:
    """Start and end of each word of a text in one spelling."""
    runs = find_runs(text)
    if not holds_unspaced(text):
        return runs
    spans = []
    for start, end in runs:
        spans += (
            [(place, place + 1) for place in range(start, end)] if unspaced().match(text, start) else [(start, end)]
        )
    return spans
