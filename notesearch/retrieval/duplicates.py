"""Notes, and passages of notes, that say the same in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from notesearch.retrieval.shared_text import MOST_SHARING, SHINGLE_WORDS, NoteText, SharedText, Span, WordTable
from notesearch.storage import IndexReader, StoredNote

if TYPE_CHECKING:
    from notesearch.retrieval.shared_text import Flags

Relation = Literal["same", "copy", "part", "whole"]

# A note with fewer words of its own may agree with another by chance.
_LEAST_NOTE_WORDS = 10
# Shorter passages are idioms, addresses, signatures.
_LEAST_PASSAGE_WORDS = 25
# So many words that were changed, one after another, do not end a passage.
_MOST_CHANGED = 3
# Two passages of a note are one where so much of each lies in the other.
_LEAST_OVERLAP = 0.8
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


class _Edge(NamedTuple):
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
    table = WordTable.read(reader)
    notes = _notes_by_row(reader, table)
    same = _notes_of_same_words(table, notes)
    shared = SharedText.find(table, sorted(same))
    own_words = {
        row: int(shared.distinctive_of(row).sum()) if len(copies) <= MOST_SHARING else 0 for row, copies in same.items()
    }
    edges = _edges(shared, own_words, threshold)
    groups: list[DuplicateGroup] = []
    placed: set[int] = set()
    # Each note is compared with the first of its group, so that no chain of notes alike in pairs becomes a group.
    for first in sorted(same, key=lambda row: (-own_words[row], _age(notes[row]))):
        if first in placed or own_words[first] < _LEAST_NOTE_WORDS:
            continue
        others = [edge for edge in edges.get(first, ()) if edge.other not in placed]
        if others or len(same[first]) > 1:
            placed |= {first, *(edge.other for edge in others)}
            others.sort(key=lambda edge: (-edge.share - edge.share_of_note, _age(notes[edge.other])))
            copies = [(table.whole(row), 1.0, 1.0) for row in same[first][1:]]
            copies += [(table.whole(row), own, of_first) for other, own, of_first in others for row in same[other]]
            groups.append(_group(reader, shared, notes, table.whole(first), copies, threshold))
    groups.sort(key=lambda group: sum(copy.words * copy.share for copy in group.copies), reverse=True)
    short = len(notes) - sum(map(len, same.values()))
    templates = sum(len(copies) for row, copies in same.items() if own_words[row] < _LEAST_NOTE_WORDS)
    return Duplicates(tuple(groups), len(notes), short, templates)


def find_duplicate_passages(reader: IndexReader, threshold: float) -> Duplicates:
    """Finds passages of 25 words or more that stand in several notes: quotes, and paragraphs that were copied.

    Args:
        reader: The index.
        threshold: How much of each passage, from 0 to 1, must stand in the other.
    """
    table = WordTable.read(reader)
    notes = _notes_by_row(reader, table)
    rows = [row for row in range(len(notes)) if len(table.of(row)) >= _LEAST_PASSAGE_WORDS]
    shared = SharedText.find(table, rows)
    by_length = sorted(_matches(shared, threshold), key=lambda match: (-match[0].words - match[1].words, match))
    groups = []
    for spans in _grouped(by_length):
        first, *others = sorted(spans, key=lambda span: (-span.words, _age(notes[span.row]), span))
        copies = [(other, shared.share(other, first), shared.share(first, other)) for other in others]
        groups.append(_group(reader, shared, notes, first, copies, threshold))
    groups.sort(key=lambda group: -group.words * len(group.copies))
    templates = sum(int(shared.distinctive_of(row).sum()) < _LEAST_PASSAGE_WORDS for row in rows)
    return Duplicates(tuple(groups), len(notes), len(notes) - len(rows), templates)


def _notes_by_row(reader: IndexReader, table: WordTable) -> list[StoredNote]:
    notes = reader.notes(table.note_ids)
    return [notes[note_id] for note_id in table.note_ids]


def _age(note: StoredNote) -> tuple[str, str]:
    """What to sort notes by, the oldest first."""
    return note.date, note.path


def _notes_of_same_words(table: WordTable, notes: Sequence[StoredNote]) -> dict[int, list[int]]:
    """The notes that are long enough to be compared: by the oldest of each text, all that have it, oldest first."""
    by_text: dict[bytes, list[int]] = {}
    for row in sorted(range(len(notes)), key=lambda row: _age(notes[row])):
        if len(table.of(row)) >= _LEAST_NOTE_WORDS:
            by_text.setdefault(table.of(row).tobytes(), []).append(row)
    return {copies[0]: copies for copies in by_text.values()}


def _edges(shared: SharedText, own_words: Mapping[int, int], threshold: float) -> dict[int, list[_Edge]]:
    """By row, the notes that it is as good as the same as, that are part of it, or that it is part of."""
    edges: dict[int, list[_Edge]] = {}
    needed = {row: shared.least_shingles(row, threshold * words) for row, words in own_words.items()}
    for (a, b), count in zip(shared.pairs.tolist(), shared.counts.tolist(), strict=True):
        if min(own_words[a], own_words[b]) < _LEAST_NOTE_WORDS or count < min(needed[a], needed[b]):
            continue
        share_of_a, share_of_b = shared.share_of_note(a, b), shared.share_of_note(b, a)
        if max(share_of_a, share_of_b) >= threshold:
            edges.setdefault(a, []).append(_Edge(b, share_of_b, share_of_a))
            edges.setdefault(b, []).append(_Edge(a, share_of_a, share_of_b))
    return edges


def _matches(shared: SharedText, threshold: float) -> Iterator[tuple[Span, Span]]:
    """Finds passages of two notes that say the same."""
    enough = shared.counts > _LEAST_PASSAGE_WORDS - SHINGLE_WORDS - 2 * _MOST_CHANGED
    for row, other in shared.pairs[enough].tolist():
        whole = shared.table.whole(row), shared.table.whole(other)
        for span in _spans(row, shared.shared_words(*whole) & shared.distinctive_of(row)):
            # What stands in the other note of it.
            found = _spans(other, shared.shared_words(whole[1], span)) if span.words >= _LEAST_PASSAGE_WORDS else []
            there = max(found, key=lambda found: found.words, default=None)
            if there is None or there.words < _LEAST_PASSAGE_WORDS:
                continue
            if min(shared.share(span, there), shared.share(there, span)) >= threshold:
                yield span, there


def _spans(row: int, flags: Flags) -> list[Span]:
    """The passages of a note whose words are flagged, but for a few that were changed."""
    return [Span(row, first, last) for first, last in _runs(flags, _MOST_CHANGED)]


def _grouped(matches: Iterable[tuple[Span, Span]]) -> list[list[Span]]:
    """Puts passages together that say the same; matches with the longest ones first."""
    groups: list[list[Span]] = []
    groups_of_notes: dict[int, set[int]] = {}

    def group_of(span: Span) -> int | None:
        own = sorted(groups_of_notes.get(span.row, ()))
        return next((group for group in own if any(_is_nearly(span, known) for known in groups[group])), None)

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


def _is_nearly(span: Span, other: Span) -> bool:
    """Whether two passages are of one note, and nearly the same."""
    together = min(span.last, other.last) - max(span.first, other.first) + 1
    return span.row == other.row and together >= _LEAST_OVERLAP * max(span.words, other.words)


def _group(
    reader: IndexReader,
    shared: SharedText,
    notes: Sequence[StoredNote],
    first: Span,
    others: Iterable[tuple[Span, float, float]],
    threshold: float,
) -> DuplicateGroup:
    """Compares notes, or passages, with the first of their group.

    Args:
        reader: The index.
        shared: What notes have in common.
        notes: The notes, by row.
        first: The first.
        others: The others, how much of each stands in the first, and how much of the first in it.
        threshold: How much counts as most of it.
    """

    def place(span: Span, text: NoteText) -> tuple[str, str, str, int, int, int]:
        note = notes[span.row]
        return note.path, note.title, note.date, *text.lines(span.first, span.last), span.words

    text = NoteText.read(reader, shared.table.note_ids[first.row])
    copies = []
    for other, share, share_of_first in others:
        own = NoteText.read(reader, shared.table.note_ids[other.row])
        relation: Relation = "copy" if share_of_first >= threshold else "part"
        if np.array_equal(shared.table.words_of(other), shared.table.words_of(first)):
            relation = "same"
        elif share < threshold:
            relation = "whole"
        only_here = _differences(own, ~shared.shared_words(other, first), other.first)
        only_there = _differences(text, ~shared.shared_words(first, other), first.first)
        shares = round(share, 4), round(share_of_first, 4)
        copies.append(Copy(*place(other, own), relation, *shares, only_here, only_there))
    return DuplicateGroup(*place(first, text), text.excerpt(first.first, first.last), tuple(copies))


def _differences(text: NoteText, different: Flags, start: int) -> tuple[Stretch, ...]:
    """The longest stretches of words that are different, in their order.

    Args:
        text: A note.
        different: Which words are, from the word `start` on.
        start: See `different`.
    """
    longest = sorted(_runs(different), key=lambda run: run[0] - run[1])[:_DIFFERENCES_SHOWN]
    found = [(start + first, start + last) for first, last in sorted(longest)]
    return tuple(Stretch(*text.lines(*run), run[1] - run[0] + 1, text.excerpt(*run)) for run in found)


def _runs(flags: Flags, gap: int = 0) -> list[tuple[int, int]]:
    """First and last of the runs of flagged words; those with no more than `gap` words between are one."""
    places = np.flatnonzero(flags)
    if not len(places):
        return []
    breaks = np.flatnonzero(np.diff(places) > gap + 1)
    firsts = places[np.concatenate([[0], breaks + 1])]
    lasts = places[np.concatenate([breaks, [len(places) - 1]])]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))
