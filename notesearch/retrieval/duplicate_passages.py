"""Passages that stand in several notes in the same words: quotes, and paragraphs that were copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from notesearch.retrieval.duplicates import Copy, DuplicateGroup, Duplicates, age_of, differences, relation_of, runs
from notesearch.retrieval.shared_text import SHINGLE_WORDS, SharedText, cover, find_shared_text
from notesearch.retrieval.word_table import read_text, read_word_table
from notesearch.storage import IndexReader, StoredNote

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from notesearch.retrieval.shared_text import Flags, Hashes

# Shorter ones are idioms, addresses, signatures.
_LEAST_WORDS = 25
# So many words that were changed, one after another, do not end a passage.
_MOST_CHANGED = 3
# Two passages of a note are one where so much of each lies in the other.
_LEAST_OVERLAP = 0.8


class _Span(NamedTuple):
    """Words of a note, the last one inclusive."""

    row: int
    first: int
    last: int

    @property
    def words(self) -> int:
        return self.last - self.first + 1

    def is_nearly(self, other: _Span) -> bool:
        """Whether two spans are of one note, and nearly the same."""
        together = min(self.last, other.last) - max(self.first, other.first) + 1
        return self.row == other.row and together >= _LEAST_OVERLAP * max(self.words, other.words)


def find_duplicate_passages(reader: IndexReader, threshold: float) -> Duplicates:
    """Finds passages of 25 words or more that stand in several notes.

    Args:
        reader: The index.
        threshold: How much of each passage, from 0 to 1, must stand in the other.
    """
    table = read_word_table(reader, reader.note_ids())
    rows = [row for row in range(len(table.note_ids)) if len(table.of(row)) >= _LEAST_WORDS]
    shared = find_shared_text(table, rows)
    notes = reader.notes(table.note_ids)
    by_length = sorted(_matches(shared, threshold), key=lambda match: (-match[0].words - match[1].words, match))
    groups = [_group(reader, shared, notes, spans, threshold) for spans in _grouped(by_length)]
    groups.sort(key=lambda group: -group.words * len(group.copies))
    templates = sum(int(shared.telling_of(row).sum()) < _LEAST_WORDS for row in rows)
    return Duplicates(tuple(groups), len(table.note_ids), len(table.note_ids) - len(rows), templates)


def _matches(shared: SharedText, threshold: float) -> Iterator[tuple[_Span, _Span]]:
    """Finds passages of two notes that say the same."""
    enough = shared.counts > _LEAST_WORDS - SHINGLE_WORDS - 2 * _MOST_CHANGED
    for row, other in shared.pairs[enough].tolist():
        for first, last in runs(shared.shared_words(row, other) & shared.telling_of(row), _MOST_CHANGED):
            span = _Span(row, first, last)
            there = _counterpart(shared, span, other) if span.words >= _LEAST_WORDS else None
            if there and min(_share(shared, span, there), _share(shared, there, span)) >= threshold:
                yield span, there


def _counterpart(shared: SharedText, span: _Span, row: int) -> _Span | None:
    """The passage of another note that says what stands in a span."""
    found = cover(np.isin(shared.shingles(row), _shingles(shared, span)), len(shared.table.of(row)))
    there = max((_Span(row, *run) for run in runs(found, _MOST_CHANGED)), key=lambda span: span.words, default=None)
    return there if there and there.words >= _LEAST_WORDS else None


def _share(shared: SharedText, span: _Span, other: _Span) -> float:
    """How much of a span stands in another."""
    return float(_shared_words(shared, span, other).mean())


def _shared_words(shared: SharedText, span: _Span, other: _Span) -> Flags:
    return cover(np.isin(_shingles(shared, span), _shingles(shared, other)), span.words)


def _shingles(shared: SharedText, span: _Span) -> Hashes:
    own: Hashes = shared.shingles(span.row)[span.first : span.last - SHINGLE_WORDS + 2]
    return own


def _words(shared: SharedText, span: _Span) -> NDArray[np.int32]:
    return shared.table.of(span.row)[span.first : span.last + 1]


def _grouped(matches: Iterable[tuple[_Span, _Span]]) -> list[list[_Span]]:
    """Puts passages together that say the same; matches with the longest ones first."""
    groups: list[list[_Span]] = []
    groups_of_notes: dict[int, set[int]] = {}

    def group_of(span: _Span) -> int | None:
        own = sorted(groups_of_notes.get(span.row, ()))
        return next((group for group in own if any(span.is_nearly(known) for known in groups[group])), None)

    for match in matches:
        known = [group_of(span) for span in match]
        chosen = next((group for group in known if group is not None), len(groups))
        if chosen == len(groups):
            groups.append([])
        for span, group in zip(match, known, strict=True):
            if group is None:
                groups[chosen].append(span)
                groups_of_notes.setdefault(span.row, set()).add(chosen)
    return groups


def _group(
    reader: IndexReader,
    shared: SharedText,
    notes: Mapping[int, StoredNote],
    spans: Sequence[_Span],
    threshold: float,
) -> DuplicateGroup:
    """Makes a group of passages: its first is the longest, of equally long ones that of the oldest note."""
    ids = shared.table.note_ids
    first, *others = sorted(spans, key=lambda span: (-span.words, age_of(notes[ids[span.row]]), span))
    text = read_text(reader, ids[first.row])
    copies = []
    for other in others:
        note, other_text = notes[ids[other.row]], read_text(reader, ids[other.row])
        here, there = _shared_words(shared, other, first), _shared_words(shared, first, other)
        share, share_of_first = float(here.mean()), float(there.mean())
        is_same = np.array_equal(_words(shared, other), _words(shared, first))
        copies.append(
            Copy(
                note.path,
                note.title,
                note.date,
                *other_text.lines(other.first, other.last),
                other.words,
                "same" if is_same else relation_of(share, share_of_first, threshold),
                round(share, 4),
                round(share_of_first, 4),
                differences(other_text, ~here, other.first),
                differences(text, ~there, first.first),
            )
        )
    note = notes[ids[first.row]]
    lines = text.lines(first.first, first.last)
    return DuplicateGroup(
        note.path, note.title, note.date, *lines, first.words, text.excerpt(first.first, first.last), tuple(copies)
    )
