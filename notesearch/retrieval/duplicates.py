"""Notes, and passages of notes, that say the same in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from notesearch.retrieval.shared_text import (
    MOST_SHARING,
    SHINGLE_WORDS,
    NoteText,
    SharedText,
    WordTable,
    cover,
    find_shared_text,
    read_text,
    read_word_table,
)
from notesearch.storage import IndexReader, StoredNote

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from notesearch.retrieval.shared_text import Flags, Hashes


Relation = Literal["same", "copy", "part", "whole"]

# Fewer words of their own may agree by chance.
_LEAST_WORDS = 10
_DIFFERENCES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Stretch:
    """Words that follow each other in a note.

    Attributes:
        start_line: Their first line in the file, 1-based.
        end_line: Their last line, inclusive.
        words: How many there are.
        text: The words, white space collapsed.
    """

    start_line: int
    end_line: int
    words: int
    text: str


@dataclass(frozen=True, slots=True)
class Copy:
    """A note, or a passage, that says what the first of its group says.

    Attributes:
        path: Absolute path of its note.
        title: Its note's title.
        date: Its note's date.
        start_line: Its first line in the file, 1-based.
        end_line: Its last line, inclusive.
        words: How many words it has.
        relation: `same`: the same words; `copy`: most of each is in the other; `part`: most of it is in the first;
            `whole`: most of the first is in it.
        share: How much of it stands in the first, from 0 to 1; templates do not count.
        share_of_first: How much of the first stands in it.
        only_here: The longest stretches that only it has.
        only_there: The longest stretches that only the first has.
    """

    path: str
    title: str
    date: str
    start_line: int
    end_line: int
    words: int
    relation: Relation
    share: float
    share_of_first: float
    only_here: tuple[Stretch, ...] = ()
    only_there: tuple[Stretch, ...] = ()


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Notes, or passages, that say the same: the first, and its copies, each compared with the first.

    Attributes:
        path: Absolute path of the first one's note: the longest one, of equally long ones the oldest.
        title: Its note's title.
        date: Its note's date.
        start_line: Its first line in the file, 1-based.
        end_line: Its last line, inclusive.
        words: How many words it has.
        text: Its beginning.
        copies: The others, the most alike first.
    """

    path: str
    title: str
    date: str
    start_line: int
    end_line: int
    words: int
    text: str
    copies: tuple[Copy, ...]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What was found.

    Attributes:
        groups: The groups, those with most words to spare first.
        notes: How many notes were looked at.
        short: How many of them have too few words to be compared.
        templates: How many have hardly any words but those of a template: text that more than 20 notes share.
    """

    groups: tuple[DuplicateGroup, ...]
    notes: int
    short: int
    templates: int


@dataclass(frozen=True, slots=True)
class _Edge:
    """What a note has in common with another.

    Attributes:
        other: The other's row.
        share: How much of the other stands in the note.
        share_of_note: How much of the note stands in the other.
    """

    other: int
    share: float
    share_of_note: float


def find_duplicate_notes(reader: IndexReader, threshold: float) -> Duplicates:
    """Finds notes that are copies of others, or parts of them.

    Args:
        reader: The index.
        threshold: How much of a note, from 0 to 1, must stand in another.
    """
    table = read_word_table(reader, reader.note_ids())
    notes = reader.notes(table.note_ids)
    same = _notes_of_same_words(table, notes)
    shared = find_shared_text(table, sorted(same))
    own_words = {
        row: int(shared.telling_of(row).sum()) if len(copies) <= MOST_SHARING else 0 for row, copies in same.items()
    }
    edges = _edges(shared, own_words, threshold)
    groups: list[DuplicateGroup] = []
    placed: set[int] = set()
    # Each note is compared with the first of its group, so that no chain of notes alike in pairs becomes a group.
    for first in sorted(same, key=lambda row: (-own_words[row], age_of(notes[table.note_ids[row]]))):
        if first in placed or own_words[first] < _LEAST_WORDS:
            continue
        others = [edge for edge in edges.get(first, ()) if edge.other not in placed]
        if others or len(same[first]) > 1:
            placed |= {first, *(edge.other for edge in others)}
            groups.append(_group(reader, shared, notes, same, first, others, threshold))
    short = len(table.note_ids) - sum(map(len, same.values()))
    templates = sum(len(copies) for row, copies in same.items() if own_words[row] < _LEAST_WORDS)
    return Duplicates(tuple(sorted(groups, key=_words_to_spare, reverse=True)), len(table.note_ids), short, templates)


def _notes_of_same_words(table: WordTable, notes: Mapping[int, StoredNote]) -> dict[int, list[int]]:
    """The notes that are long enough to be compared: by the oldest of each text, all that have it, oldest first."""
    rows = sorted(range(len(table.note_ids)), key=lambda row: age_of(notes[table.note_ids[row]]))
    by_text: dict[bytes, list[int]] = {}
    for row in rows:
        if len(table.of(row)) >= _LEAST_WORDS:
            by_text.setdefault(table.of(row).tobytes(), []).append(row)
    return {copies[0]: copies for copies in by_text.values()}


def age_of(note: StoredNote) -> tuple[str, str]:
    """What to sort notes by, the oldest first."""
    return note.date, note.path


def _edges(shared: SharedText, own_words: Mapping[int, int], threshold: float) -> dict[int, list[_Edge]]:
    """By row, the notes that it is as good as the same as, that are part of it, or that it is part of."""
    edges: dict[int, list[_Edge]] = {}
    needed = {row: _least_shingles(shared, row, own_words[row], threshold) for row in own_words}
    for (a, b), count in zip(shared.pairs.tolist(), shared.counts.tolist(), strict=True):
        if min(own_words[a], own_words[b]) < _LEAST_WORDS or count < min(needed[a], needed[b]):
            continue
        share_of_a, share_of_b = _share(shared, a, b), _share(shared, b, a)
        if max(share_of_a, share_of_b) >= threshold:
            edges.setdefault(a, []).append(_Edge(b, share_of_b, share_of_a))
            edges.setdefault(b, []).append(_Edge(a, share_of_a, share_of_b))
    return edges


def _least_shingles(shared: SharedText, row: int, own_words: int, threshold: float) -> float:
    """How many shingles a note must share for so much of it to stand in another; each covers four words at most."""
    shingles = shared.shingles(row)
    repeated = len(shingles) / max(1, len(np.unique(shingles)))  # they are counted once
    return threshold * own_words / SHINGLE_WORDS / repeated


def _share(shared: SharedText, row: int, other: int) -> float:
    """How much of a note's own words stands in another."""
    own = shared.telling_of(row)
    return float(shared.shared_words(row, other)[own].mean())


def _group(
    reader: IndexReader,
    shared: SharedText,
    notes: Mapping[int, StoredNote],
    same: Mapping[int, Sequence[int]],
    first: int,
    edges: Sequence[_Edge],
    threshold: float,
) -> DuplicateGroup:
    """The group of a note: those of the same words, and those that it has in common with enough."""
    ids = shared.table.note_ids
    text = read_text(reader, ids[first])
    copies = [_copy(notes[ids[row]], text, "same", 1.0, 1.0) for row in same[first][1:]]
    for edge in sorted(edges, key=lambda edge: (-edge.share - edge.share_of_note, age_of(notes[ids[edge.other]]))):
        other = read_text(reader, ids[edge.other])
        here = differences(other, ~shared.shared_words(edge.other, first))
        there = differences(text, ~shared.shared_words(first, edge.other))
        relation = relation_of(edge.share, edge.share_of_note, threshold)
        shares = round(edge.share, 4), round(edge.share_of_note, 4)
        copies += [_copy(notes[ids[row]], other, relation, *shares, here, there) for row in same[edge.other]]
    note = notes[ids[first]]
    lines, words, beginning = text.lines(0, len(text.spans) - 1), len(text.spans), text.excerpt(0, len(text.spans) - 1)
    return DuplicateGroup(note.path, note.title, note.date, *lines, words, beginning, tuple(copies))


def relation_of(share: float, share_of_first: float, threshold: float) -> Relation:
    """What something is to the first of its group, by how much of each stands in the other."""
    if share < threshold:
        return "whole"
    return "copy" if share_of_first >= threshold else "part"


def _copy(
    note: StoredNote,
    text: NoteText,
    relation: Relation,
    share: float,
    share_of_first: float,
    here: tuple[Stretch, ...] = (),
    there: tuple[Stretch, ...] = (),
) -> Copy:
    lines = text.lines(0, len(text.spans) - 1)
    return Copy(note.path, note.title, note.date, *lines, len(text.spans), relation, share, share_of_first, here, there)


def differences(text: NoteText, different: NDArray[np.bool_], start: int = 0) -> tuple[Stretch, ...]:
    """The longest stretches of words that are different, in their order.

    Args:
        text: A note.
        different: Which words are, from the word `start` on.
        start: See `different`.
    """
    longest = sorted(runs(different), key=lambda run: run[0] - run[1])[:_DIFFERENCES_SHOWN]
    return tuple(_stretch(text, start + first, start + last) for first, last in sorted(longest))


def runs(flags: NDArray[np.bool_], gap: int = 0) -> list[tuple[int, int]]:
    """First and last of the runs of flagged words; those with no more than `gap` words between are one."""
    places = np.flatnonzero(flags)
    if not len(places):
        return []
    breaks = np.flatnonzero(np.diff(places) > gap + 1)
    firsts = places[np.concatenate([[0], breaks + 1])]
    lasts = places[np.concatenate([breaks, [len(places) - 1]])]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def _stretch(text: NoteText, first: int, last: int) -> Stretch:
    return Stretch(*text.lines(first, last), last - first + 1, text.excerpt(first, last))


def _words_to_spare(group: DuplicateGroup) -> float:
    return sum(copy.words * copy.share for copy in group.copies)


# Passages that stand in several notes in the same words: quotes, and paragraphs that were copied.

# Shorter ones are idioms, addresses, signatures.
_LEAST_WORDS_OF_DUPLICATE_PASSAGES = 25
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
    rows = [row for row in range(len(table.note_ids)) if len(table.of(row)) >= _LEAST_WORDS_OF_DUPLICATE_PASSAGES]
    shared = find_shared_text(table, rows)
    notes = reader.notes(table.note_ids)
    by_length = sorted(_matches(shared, threshold), key=lambda match: (-match[0].words - match[1].words, match))
    groups = [_group_of_duplicate_passages(reader, shared, notes, spans, threshold) for spans in _grouped(by_length)]
    groups.sort(key=lambda group: -group.words * len(group.copies))
    templates = sum(int(shared.telling_of(row).sum()) < _LEAST_WORDS_OF_DUPLICATE_PASSAGES for row in rows)
    return Duplicates(tuple(groups), len(table.note_ids), len(table.note_ids) - len(rows), templates)


def _matches(shared: SharedText, threshold: float) -> Iterator[tuple[_Span, _Span]]:
    """Finds passages of two notes that say the same."""
    enough = shared.counts > _LEAST_WORDS_OF_DUPLICATE_PASSAGES - SHINGLE_WORDS - 2 * _MOST_CHANGED
    for row, other in shared.pairs[enough].tolist():
        for first, last in runs(shared.shared_words(row, other) & shared.telling_of(row), _MOST_CHANGED):
            span = _Span(row, first, last)
            there = _counterpart(shared, span, other) if span.words >= _LEAST_WORDS_OF_DUPLICATE_PASSAGES else None
            if (
                there
                and min(
                    _share_of_duplicate_passages(shared, span, there), _share_of_duplicate_passages(shared, there, span)
                )
                >= threshold
            ):
                yield span, there


def _counterpart(shared: SharedText, span: _Span, row: int) -> _Span | None:
    """The passage of another note that says what stands in a span."""
    found = cover(np.isin(shared.shingles(row), _shingles(shared, span)), len(shared.table.of(row)))
    there = max((_Span(row, *run) for run in runs(found, _MOST_CHANGED)), key=lambda span: span.words, default=None)
    return there if there and there.words >= _LEAST_WORDS_OF_DUPLICATE_PASSAGES else None


def _share_of_duplicate_passages(shared: SharedText, span: _Span, other: _Span) -> float:
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


def _group_of_duplicate_passages(
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
