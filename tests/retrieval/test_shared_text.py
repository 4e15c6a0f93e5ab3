"""Shared text against a plain computation with sets of tuples."""

import random

import numpy as np
import pytest

from notesearch.retrieval import shared_text
from notesearch.retrieval.shared_text import MOST_SHARING, SHINGLE_WORDS, WordTable, cover, find_shared_text


def table_of(*notes):
    starts = np.cumsum([0, *map(len, notes)])
    words = np.array([word for note in notes for word in note], dtype=np.int32)
    return WordTable(tuple(range(len(notes))), words, starts.astype(np.int64))


def shingles_of(note):
    return {tuple(note[i : i + SHINGLE_WORDS]) for i in range(len(note) - SHINGLE_WORDS + 1)}


@pytest.mark.parametrize("sorted_at_a_time", [1 << 22, 50])
def test_pairs_and_counts_are_those_of_sets(monkeypatch, sorted_at_a_time):
    monkeypatch.setattr(shared_text, "_SORTED_SHINGLES", sorted_at_a_time)
    choose = random.Random(3)
    notes = [[choose.randrange(4) for _ in range(choose.randrange(1, 40))] for _ in range(12)]
    found = find_shared_text(table_of(*notes), range(12))
    sets = [shingles_of(note) for note in notes]
    expected = {(a, b): len(sets[a] & sets[b]) for a in range(12) for b in range(a + 1, 12) if sets[a] & sets[b]}
    assert expected
    assert {
        tuple(pair): count for pair, count in zip(found.pairs.tolist(), found.counts.tolist(), strict=True)
    } == expected


def test_words_in_a_shared_run_of_four_are_shared():
    first, second = [1, 2, 3, 4, 5, 9, 6, 7, 8], [0, 1, 2, 3, 4, 5, 6, 7, 8]
    found = find_shared_text(table_of(first, second), [0, 1])
    assert found.shared_words(0, 1).tolist() == [True] * 5 + [False] * 4
    assert found.shared_words(1, 0).tolist() == [False] + [True] * 5 + [False] * 3


def test_a_shingle_does_not_go_over_the_end_of_a_note():
    found = find_shared_text(table_of([1, 2], [3, 4], [1, 2, 3, 4]), [0, 1, 2])
    assert len(found.pairs) == 0


def test_what_too_many_notes_share_is_a_template():
    template = [1, 2, 3, 4, 5]
    notes = [[*template, 100 + number, 200 + number] for number in range(MOST_SHARING + 1)]
    found = find_shared_text(table_of(*notes), range(len(notes)))
    assert len(found.pairs) == 0
    assert found.telling_of(3).tolist() == [False] * 5 + [True] * 2


def test_what_fewer_notes_share_is_none():
    notes = [[1, 2, 3, 4, 5, 100 + number] for number in range(MOST_SHARING)]
    found = find_shared_text(table_of(*notes), range(len(notes)))
    assert len(found.pairs) == MOST_SHARING * (MOST_SHARING - 1) // 2
    assert found.telling_of(3).all()


def test_notes_that_are_not_compared_share_nothing():
    found = find_shared_text(table_of([1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]), [0, 2])
    assert found.pairs.tolist() == [[0, 2]]


def test_no_notes_share_nothing():
    assert len(find_shared_text(table_of(), []).pairs) == 0
    assert len(find_shared_text(table_of([1], []), [0, 1]).pairs) == 0


def test_cover_of_few_words():
    assert cover(np.array([True, False]), 2).tolist() == [True, True]
    assert cover(np.zeros(0, dtype=np.bool_), 3).tolist() == [False] * 3
