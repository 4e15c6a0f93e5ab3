"""Which notes have runs of words in common: found by shingles, which are all overlapping runs of four words.

What two notes share is counted in words: those that stand in a shingle of both. So a word changed here and there costs
little. All shingles are sorted, so nothing is missed but text that too many notes share to be copies of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from notesearch.retrieval.word_table import WordTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Hashes = NDArray[np.uint64]
    Numbers = NDArray[np.int64]

SHINGLE_WORDS = 4
# What more notes than this share is a template.
MOST_SHARING = 20
# Shingles sorted at a time, in some 300 MB.
_SORTED_SHINGLES = 1 << 22
# The constants of SplitMix64 (Steele, Lea and Flood, 2014).
_STEP, _FIRST_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(29)


@dataclass(frozen=True, slots=True)
class SharedText:
    """What notes have in common.

    Attributes:
        table: The words of all notes.
        hashes: The shingle that starts with each word, uint64; the last three words of a note have none that counts.
        telling: For each word whether it is no part of a template.
        pairs: Rows of two notes that share shingles, the lower first, int64 `(n, 2)`.
        counts: How many shingles each two share, int64 `(n,)`.
    """

    table: WordTable
    hashes: Hashes
    telling: Flags
    pairs: Numbers
    counts: Numbers

    def telling_of(self, row: int) -> Flags:
        """For each word of a note whether it is no part of a template."""
        own: Flags = self.telling[self.table.starts[row] : self.table.starts[row + 1]]
        return own

    def shared_words(self, row: int, other: int) -> Flags:
        """For each word of a note whether it stands in a shingle that another note has too."""
        return cover(np.isin(self.shingles(row), self.shingles(other)), len(self.table.of(row)))

    def shingles(self, row: int) -> Hashes:
        """The shingles of a note."""
        start, end = int(self.table.starts[row]), int(self.table.starts[row + 1])
        own: Hashes = self.hashes[start : max(start, end - SHINGLE_WORDS + 1)]
        return own


def find_shared_text(table: WordTable, rows: Sequence[int]) -> SharedText:
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
    return SharedText(table, hashes, ~cover(in_template, len(in_template)), pairs, counts)


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
