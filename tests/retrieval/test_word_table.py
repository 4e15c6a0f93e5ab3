from itertools import pairwise

import numpy as np

from notesearch.library.index import sync_index
from notesearch.records import Chunking
from notesearch.retrieval.shared_text import read_text, read_word_table
from notesearch.settings import Settings
from notesearch.storage import IndexReader


def test_the_same_word_has_the_same_number_in_any_case_and_spelling(make_reader):
    reader = make_reader({"a.md": "Tea and TEA, caf\u00e9", "b.md": "cafe\u0301 tea"})
    table = read_word_table(reader, reader.note_ids())
    first, second = (table.of(row).tolist() for row in (0, 1))
    assert first[0] == first[2] == second[1]
    assert first[3] == second[0] != first[1]


def test_each_character_of_a_script_without_spaces_is_a_word(make_reader):
    reader = make_reader({"a.md": "東京 tea", "b.md": "京"})
    table = read_word_table(reader, reader.note_ids())
    assert len(table.of(0)) == 3
    assert table.of(0)[1] == table.of(1)[0]


def test_a_text_knows_the_lines_and_the_characters_of_its_words(make_reader):
    reader = make_reader({"a.md": "---\ntags: x\n---\n# One two\n\nThree *four*,\nfive.\n"})
    (note_id,) = reader.note_ids()
    text = read_text(reader, note_id)
    assert len(text.spans) == len(read_word_table(reader, [note_id]).of(0)) == 5
    assert text.lines(0, 4) == (4, 7)
    assert text.lines(2, 3) == (6, 6)
    assert text.excerpt(1, 4) == "two Three *four*, five"


def test_an_excerpt_goes_over_chunks_and_says_where_it_is_cut(make_reader):
    words = [f"word{number}" for number in range(1500)]
    reader = make_reader({"a.md": "\n\n".join(" ".join(words[i : i + 100]) for i in range(0, 1500, 100))})
    (note_id,) = reader.note_ids()
    text = read_text(reader, note_id)
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
        assert len(read_word_table(reader, [note_id]).of(0)) == 32
        text = read_text(reader, note_id)
        assert [text.excerpt(i, i) for i in range(32)] == words


def test_an_empty_note_has_no_words(make_reader):
    reader = make_reader({"a.md": "", "b.md": "tea"})
    table = read_word_table(reader, reader.note_ids())
    assert [len(table.of(row)) for row in (0, 1)] == [0, 1]
    assert np.array_equal(table.starts, [0, 0, 1])
