import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from math import log, sqrt
from pathlib import Path

import numpy as np
import pytest
from fake_encoder import LONG_AGO_S, make_fake_model
from hypothesis import given
from hypothesis import strategies as st

from notesearch.errors import NoteUnreadable
from notesearch.files import hash_of
from notesearch.library.index import sync_index
from notesearch.settings import Settings
from notesearch.storage import IndexReader
from notesearch.tagging.features import Content, ContentReader, EncoderSpec, Vocabulary, count_terms, term_matrix

NOTES = {
    "a.md": "---\ntags: [drinks]\ndate: 2024-02-10\n---\n# Tea\n\nGreen and black.",
    "b.md": "# Coffee\n\nBlack, with #milk.",
    "c.md": "# Long\n\n" + "\n\n".join(f"## Part {part}\n\n" + f"word{part} " * 400 for part in range(5)),
    "d.md": "",
}
SECTION = "Intro\n\n## Part #work\n\n" + "word " * 60


class Opened:
    """An index of `NOTES`, with what reads it, and the encoder that this opens."""

    def __init__(self, folder: Path, reader: IndexReader, encoder) -> None:
        self.folder = folder
        self.reader = reader
        self.encoder = encoder
        self.note_ids = [*reader.note_ids(tagged=True), *reader.note_ids(tagged=False)]

    def contents(self, *, indexed: bool = True, reuse_vectors: bool = True, max_bytes: int = 100_000) -> ContentReader:
        self.encoder.encoded.clear()
        spec = EncoderSpec.of_index(self.reader)
        if not reuse_vectors:
            spec = replace(spec, model="other-model", fingerprint=make_fake_model("other-model").config.fingerprint)
        return ContentReader(self.reader if indexed else None, spec, max_bytes=max_bytes)

    def named(self, contents: ContentReader, *names: str) -> list[Content]:
        wanted = [str(self.folder / name) for name in names]
        return [content for content in contents.indexed(self.note_ids) if content.path in wanted]


@pytest.fixture
def opened(tmp_path: Path, fake_encoder) -> Iterator[Opened]:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in NOTES.items():
        (folder / name).write_text(text)
        os.utime(folder / name, (LONG_AGO_S, LONG_AGO_S))
    sync_index(Settings(tmp_path / "index"), [folder])
    with closing(IndexReader(tmp_path / "index")) as reader:
        yield Opened(folder, reader, fake_encoder)


@pytest.fixture
def cut(opened: Opened, tmp_path: Path) -> Callable[[str, str], Content]:
    """Reads a text as the file of some name that is in no index."""

    def read(name: str, text: str) -> Content:
        path = tmp_path / name
        path.write_text(text)
        return opened.contents(indexed=False).file(path)

    return read


def test_indexed_notes_come_in_the_order_of_their_paths(opened: Opened) -> None:
    contents = opened.contents()
    found = contents.indexed(opened.note_ids[::-1])
    assert [Path(content.path).name for content in found] == sorted(NOTES)
    tea = found[0]
    assert (tea.title, tea.date, tea.tags) == ("Tea", "2024-02-10T00:00:00", ("drinks",))
    assert tea.text == "# Tea\n\nGreen and black." and tea.passages == (tea.text,)
    assert contents.indexed([]) == opened.contents(indexed=False).indexed(opened.note_ids) == []


def test_notes_without_hashtags_take_the_vectors_of_the_index(opened: Opened) -> None:
    contents = opened.contents()
    notes = opened.named(contents, "a.md", "c.md")
    vectors = contents.embed(notes)
    assert opened.encoder.encoded == []
    anew = opened.contents(reuse_vectors=False)
    np.testing.assert_allclose(vectors, anew.embed(opened.named(anew, "a.md", "c.md")), atol=0.005)
    assert len(opened.encoder.encoded) == 3


def test_notes_with_hashtags_are_encoded_again_without_these(opened: Opened) -> None:
    contents = opened.contents()
    (coffee,) = opened.named(contents, "b.md")
    assert coffee.tags == ("milk",) and coffee.vectors is None
    contents.embed([coffee])
    assert opened.encoder.encoded == ["# Coffee\n\nBlack, with      ."] == [coffee.text]


def test_the_first_passage_and_the_middle_one_stand_for_a_long_note(opened: Opened) -> None:
    (long,) = opened.named(opened.contents(), "c.md")
    (note_id,) = [id for id in opened.note_ids if opened.reader.notes([id])[id].path == long.path]
    chunks = opened.reader.chunks_of_notes([note_id])
    assert len(chunks) > 4
    first, middle = long.passages
    assert first == chunks[0].text
    assert middle.endswith(chunks[len(chunks) // 2].text)
    assert long.vectors is not None and len(long.vectors) == 2
    assert all(f"word{part}" in long.text for part in range(5))


def test_a_note_without_text_has_one_passage(opened: Opened) -> None:
    contents = opened.contents()
    (empty,) = opened.named(contents, "d.md")
    assert empty.passages == ("d\n",)
    assert contents.file(opened.folder / "d.md").passages == empty.passages
    assert np.linalg.norm(contents.embed([empty])) == pytest.approx(1)


def test_embeddings_are_means_of_length_1_and_each_passage_is_encoded_once(opened: Opened) -> None:
    contents = opened.contents(indexed=False)
    one, two = (Content("", "", "", (), "", passages) for passages in (("tea",), ("tea", "milk")))
    told: list[tuple[int, int]] = []
    vectors = contents.embed([one, two], lambda done, total: told.append((done, total)))
    assert opened.encoder.encoded == ["milk", "tea"] and told == [(2, 2)]
    tea, milk = opened.encoder.encode_passages(["tea", "milk"]).vectors
    np.testing.assert_allclose(vectors, [tea, (tea + milk) / np.linalg.norm(tea + milk)], rtol=1e-5)
    assert vectors.dtype == np.float32


def test_an_unchanged_file_is_read_from_the_index(opened: Opened) -> None:
    path = opened.folder / "a.md"
    content = opened.contents(max_bytes=1).file(path)
    assert content.vectors is not None
    assert content.content_hash == hash_of(path.read_bytes())


def test_a_changed_file_is_read_anew(opened: Opened) -> None:
    path = opened.folder / "a.md"
    path.write_text("# Cocoa\n\nWith #milk.")
    content = opened.contents().file(path)
    assert (content.title, content.tags, content.vectors) == ("Cocoa", ("milk",), None)
    assert content.passages == ("# Cocoa\n\nWith      .",)
    assert content.content_hash == hash_of(path.read_bytes())


def test_a_file_is_the_same_from_the_index_and_without_it(opened: Opened) -> None:
    for name in NOTES:
        path = opened.folder / name
        known, new = opened.contents().file(path), opened.contents(indexed=False).file(path)
        assert (known.title, known.date, known.tags, known.text, known.passages, known.content_hash) == (
            *(new.title, new.date, new.tags, new.text, new.passages, new.content_hash),
        )


def test_files_that_cannot_be_read(opened: Opened) -> None:
    contents = opened.contents(max_bytes=10)
    for name, data, reason in (
        ("gone.md", None, "no such file or directory"),
        ("large.md", b"x" * 11, "larger than 10 bytes"),
        ("binary.md", b"\0\1\2", "binary file"),
    ):
        path = opened.folder / name
        if data:
            path.write_bytes(data)
        with pytest.raises(NoteUnreadable) as caught:
            contents.file(path)
        assert caught.value.message == reason
    fifo = opened.folder / "fifo.md"
    os.mkfifo(fifo)
    with pytest.raises(NoteUnreadable, match="special file"):
        contents.file(fifo)


@pytest.mark.parametrize("name", ["a\\u0000b.md", "\\ud800.md"])
def test_a_path_that_no_file_can_have(opened: Opened, name: str) -> None:
    with pytest.raises(NoteUnreadable):
        opened.contents().file(Path(json.loads(f'"{name}"')))


def test_a_text_that_is_in_no_file(opened: Opened) -> None:
    content = opened.contents().text("---\ntags: [a]\n---\nFlour, #salt.\n\nWater.")
    assert (content.path, content.date, content.tags, content.content_hash) == ("", "", ("a", "salt"), b"")
    assert content.text.endswith("Flour,      .\n\nWater.")


def test_a_text_is_markdown_and_has_no_title_but_its_own(opened: Opened) -> None:
    assert opened.contents().text("Flour, salt.").text == "Flour, salt."
    assert opened.contents().text("# Bread\n\nFlour.").title == "Bread"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "---\ntags: [work]\n---\nText #work"),
        ("a.org", "#+filetags: :work:\n* H :work:\nText"),
        ("a.md", "# My note #work\n\nText"),
        ("a.md", SECTION),
        ("a.md", "---\ntags: [work]\nsummary: Text\n---\n"),
    ],
)
def test_no_tag_is_left_to_learn_from(cut: Callable[[str, str], Content], name: str, text: str) -> None:
    content = cut(name, text)
    assert content.tags == ("work",)
    assert not any("work" in seen for seen in (content.text, *content.passages))


TEXTS = ("Tea, tea, milk!", "Milk tea", "tea cake")


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary.of([count_terms(text) for text in TEXTS])


def weights_of(vocabulary: Vocabulary, text: str) -> dict[str, float]:
    weighed = vocabulary.weigh(count_terms(text))
    assert weighed.weights.dtype == np.float32 and weighed.places.dtype == np.int64
    return {vocabulary.terms[place]: float(w) for place, w in zip(weighed.places, weighed.weights, strict=True)}


def test_words_and_pairs_of_adjoining_words_are_counted_in_lower_case() -> None:
    assert count_terms("Green tea, GREEN tea.") == {"green": 2, "tea": 2, "green tea": 2, "tea green": 1}
    assert count_terms(" … ") == {}


def test_terms_of_one_note_alone_are_left_out(vocabulary: Vocabulary) -> None:
    assert vocabulary.terms == ("milk", "tea")
    np.testing.assert_allclose(vocabulary.idf, [1 + log(4 / 3), 1])


def test_the_most_frequent_terms_are_kept_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notesearch.tagging.features._MOST_TERMS", 2)
    texts = [Counter(words) for words in ("abc", "abc", "bc", "bcd", "d")]
    assert Vocabulary.of(texts).terms == ("b", "c")


def test_weights_by_hand(vocabulary: Vocabulary) -> None:
    tea, milk = 1 + log(2), 1 + log(4 / 3)
    length = sqrt(tea**2 + milk**2)
    assert weights_of(vocabulary, TEXTS[0]) == pytest.approx({"tea": tea / length, "milk": milk / length})
    assert weights_of(vocabulary, "more tea and cake") == {"tea": 1}
    assert weights_of(vocabulary, "coffee") == weights_of(vocabulary, "") == {}


def test_a_matrix_holds_each_text_in_its_row(vocabulary: Vocabulary) -> None:
    texts = ["coffee", *TEXTS, ""]
    matrix = term_matrix((vocabulary.weigh(count_terms(text)) for text in texts), 2)
    assert matrix.dtype == np.float32
    rows = [[weights_of(vocabulary, text).get(term, 0) for term in vocabulary.terms] for text in texts]
    np.testing.assert_array_equal(matrix.toarray(), rows)
    assert term_matrix([], 2).shape == (0, 2)


@given(st.lists(st.text(alphabet="ab cd", max_size=20), min_size=2, max_size=6))
def test_weights_are_of_length_one_and_there_is_no_weight_without_a_known_term(texts: list[str]) -> None:
    counts = [count_terms(text) for text in texts]
    vocabulary = Vocabulary.of(counts)
    for own in counts:
        weighed = vocabulary.weigh(own)
        assert {vocabulary.terms[place] for place in weighed.places} == set(own) & set(vocabulary.terms)
        assert np.linalg.norm(weighed.weights) == pytest.approx(1 if len(weighed.places) else 0)
        assert (weighed.weights > 0).all()
