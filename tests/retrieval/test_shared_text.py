"""Shared text against a plain computation with sets of tuples."""

import random
from itertools import pairwise

import numpy as np
import pytest

from notesearch.library.index import sync_index
from notesearch.records import Chunking
from notesearch.retrieval import shared_text
from notesearch.retrieval.shared_text import MOST_SHARING, SHINGLE_WORDS, NoteText, SharedText, Span, WordTable, cover
from notesearch.settings import Settings
from notesearch.storage import IndexReader


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
    found = SharedText.find(table_of(*notes), range(12))
    sets = [shingles_of(note) for note in notes]
    expected = {(a, b): len(sets[a] & sets[b]) for a in range(12) for b in range(a + 1, 12) if sets[a] & sets[b]}
    assert expected
    assert {
        tuple(pair): count for pair, count in zip(found.pairs.tolist(), found.counts.tolist(), strict=True)
    } == expected


def test_words_in_a_shared_run_of_four_are_shared():
    first, second = [1, 2, 3, 4, 5, 9, 6, 7, 8], [0, 1, 2, 3, 4, 5, 6, 7, 8]
    found = SharedText.find(table_of(first, second), [0, 1])
    one, other = found.table.whole(0), found.table.whole(1)
    assert found.shared_words(one, other).tolist() == [True] * 5 + [False] * 4
    assert found.shared_words(other, one).tolist() == [False] + [True] * 5 + [False] * 3
    assert (found.share(one, other), found.share_of_note(1, 0)) == (5 / 9, 5 / 9)
    assert found.shared_words(Span(0, 0, 3), Span(1, 2, 8)).tolist() == [False] * 4
    assert found.shared_words(Span(0, 1, 6), Span(1, 2, 8)).tolist() == [True] * 4 + [False] * 2


def test_a_shingle_does_not_go_over_the_end_of_a_note():
    found = SharedText.find(table_of([1, 2], [3, 4], [1, 2, 3, 4]), [0, 1, 2])
    assert len(found.pairs) == 0


def test_what_too_many_notes_share_is_a_template():
    template = [1, 2, 3, 4, 5]
    notes = [[*template, 100 + number, 200 + number] for number in range(MOST_SHARING + 1)]
    found = SharedText.find(table_of(*notes), range(len(notes)))
    assert len(found.pairs) == 0
    assert found.distinctive_of(3).tolist() == [False] * 5 + [True] * 2


def test_what_fewer_notes_share_is_none():
    notes = [[1, 2, 3, 4, 5, 100 + number] for number in range(MOST_SHARING)]
    found = SharedText.find(table_of(*notes), range(len(notes)))
    assert len(found.pairs) == MOST_SHARING * (MOST_SHARING - 1) // 2
    assert found.distinctive_of(3).all()


def test_notes_that_are_not_compared_share_nothing():
    found = SharedText.find(table_of([1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]), [0, 2])
    assert found.pairs.tolist() == [[0, 2]]


def test_no_notes_share_nothing():
    assert len(SharedText.find(table_of(), []).pairs) == 0
    assert len(SharedText.find(table_of([1], []), [0, 1]).pairs) == 0


def test_cover_of_few_words():
    assert cover(np.array([True, False]), 2).tolist() == [True, True]
    assert cover(np.zeros(0, dtype=np.bool_), 3).tolist() == [False] * 3


def test_the_same_word_has_the_same_number_in_any_case_and_spelling(make_reader):
    reader = make_reader({"a.md": "Tea and TEA, caf\u00e9", "b.md": "cafe\u0301 tea"})
    table = WordTable.read(reader)
    first, second = (table.of(row).tolist() for row in (0, 1))
    assert first[0] == first[2] == second[1]
    assert first[3] == second[0] != first[1]


def test_each_character_of_a_script_without_spaces_is_a_word(make_reader):
    reader = make_reader({"a.md": "東京 tea", "b.md": "京"})
    table = WordTable.read(reader)
    assert len(table.of(0)) == 3
    assert table.of(0)[1] == table.of(1)[0]


def test_a_text_knows_the_lines_and_the_characters_of_its_words(make_reader):
    reader = make_reader({"a.md": "---\ntags: x\n---\n# One two\n\nThree *four*,\nfive.\n"})
    (note_id,) = reader.note_ids()
    text = NoteText.read(reader, note_id)
    assert len(text.spans) == len(WordTable.read(reader).of(0)) == 5
    assert text.lines(0, 4) == (4, 7)
    assert text.lines(2, 3) == (6, 6)
    assert text.excerpt(1, 4) == "two Three *four*, five"


def test_an_excerpt_goes_over_chunks_and_says_where_it_is_cut(make_reader):
    words = [f"word{number}" for number in range(1500)]
    reader = make_reader({"a.md": "\n\n".join(" ".join(words[i : i + 100]) for i in range(0, 1500, 100))})
    (note_id,) = reader.note_ids()
    text = NoteText.read(reader, note_id)
    assert len(text.chunks) > 1
    border = next(number for number, span in enumerate(text.spans) if span[0] == 1)
    assert text.excerpt(border - 1, border + 1) == " ".join(words[border - 1 : border + 2])
    long = text.excerpt(0, len(text.spans) - 1)
    assert long.endswith("…") and len(long) <= 201


def test_what_chunks_repeat_is_counted_once(fake_encoder, tmp_path):
    words = [letter * 3 for letter in "abcdefgh" for _ in range(4)]
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text(" ".join(f"{' '.join(words[i : i + 4])}." for i in range(0, 32, 4)))
    sync_index(Settings(tmp_path / "index"), [tmp_path / "notes"], chunking=Chunking(20, 1))
    with IndexReader(tmp_path / "index") as reader:
        (note_id,) = reader.note_ids()
        chunks = reader.chunks_of_notes([note_id])
        assert any(chunk.start < before.end for before, chunk in pairwise(chunks)), "they should overlap"
        assert len(WordTable.read(reader).of(0)) == 32
        text = NoteText.read(reader, note_id)
        assert [text.excerpt(i, i) for i in range(32)] == words


def test_an_empty_note_has_no_words(make_reader):
    reader = make_reader({"a.md": "", "b.md": "tea"})
    table = WordTable.read(reader)
    assert [len(table.of(row)) for row in (0, 1)] == [0, 1]
    assert np.array_equal(table.starts, [0, 0, 1])
