"""Looking notes up by words: the same scores from an index read once, read again and again, or split into several."""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notesearch.records import Filters
from notesearch.storage import IndexReader, WordQuery
from notesearch.storage.full_text import idf
from notesearch.storage.rows import EncodedNote
from notesearch.storage.union_reader import UnionReader
from notesearch.storage.warm_reader import WarmReader
from notesearch.storage.writer import IndexWriter

from .building import FINGERPRINT, encoded_note, remove, write

VOCABULARY = ["raft", "quorum", "lease", "clock", "gossip", "saga", "ruled", "ruling", "naïve", "naive", "x9"]


def some_notes(count: int, *, words: int = 300) -> list[EncodedNote]:
    choose = random.Random(1)
    return [
        encoded_note(
            f"{number % 100}.md",
            " ".join(choose.choices(VOCABULARY, weights=range(1, 12), k=choose.randint(1, words))),
            title=" ".join(choose.choices(VOCABULARY, k=choose.randint(0, 3))),
            tags=["odd"] if number % 2 else [],
        )
        for number in range(count)
    ]


def make(index_dir: Path, *notes: EncodedNote) -> Path:
    with IndexWriter(index_dir) as writer:
        with writer.transaction():
            writer.set_fingerprint(FINGERPRINT)
        for note in notes:
            write(writer, note)
    return index_dir


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory) -> Path:
    """Notes of a few words, of which some are in most notes, after others were changed and removed."""
    others = encoded_note("empty.md", "—"), encoded_note("cjk.md", "分布式系统 raft")
    index_dir = make(tmp_path_factory.mktemp("index"), *some_notes(120), *others)
    with IndexWriter(index_dir) as writer:
        remove(writer, "3.md", "50.md")
    return index_dir


@pytest.fixture(scope="module")
def readers(index_dir: Path) -> Iterator[tuple[IndexReader, WarmReader]]:
    with IndexReader(index_dir) as cold, WarmReader(index_dir) as warm:
        yield cold, warm


words = st.lists(st.sampled_from([*VOCABULARY, "never", "RAFT", "式", "分布", "—", 'a"b']), min_size=1, max_size=6)
filters = st.sampled_from([Filters(), Filters(tags=("odd",)), Filters(paths=(("1*",),)), Filters(tags=("none",))])


def test_the_score_of_a_word_is_bm25(tmp_path: Path) -> None:
    notes = encoded_note("a.md", "tea tea milk", title="Cup"), encoded_note("b.md", "tea", title="Tea")
    make(tmp_path, *notes, *(encoded_note(f"{number}.md", "other", title="x") for number in range(6)))
    with closing(IndexReader(tmp_path)) as reader:
        paths = {note.id: Path(note.path).name for note in reader.notes(reader.note_ids()).values()}
        found = {paths[note]: score for note, score in reader.match(WordQuery(("tea",)), 10, Filters())}
    mean_words = (4 + 2 + 6 * 2) / 8
    for name, frequency, note_words in (("a.md", 2, 4), ("b.md", 1 + 2, 2)):  # a word of the title counts twice
        norm = 1.2 * (1 - 0.75 + 0.75 * note_words / mean_words)
        assert found[name] == pytest.approx(np.log(6.5 / 2.5) * frequency * 2.2 / (frequency + norm))
    assert idf(8, 2) == pytest.approx(np.log(6.5 / 2.5))
    assert idf(8, 7) > 0


def test_pairs_and_required_words(tmp_path: Path) -> None:
    texts = {"near.md": "green cold tea", "far.md": "green one two three four five tea", "milk.md": "tea milk"}
    make(tmp_path, *(encoded_note(name, text) for name, text in texts.items()))

    def found(query: WordQuery) -> set[str]:
        with closing(IndexReader(tmp_path)) as reader:
            notes = reader.notes([note_id for note_id, _ in reader.match(query, 10, Filters())])
        return {Path(note.path).name for note in notes.values()}

    assert found(WordQuery(pairs=(("green", "tea"),))) == {"near.md"}
    assert found(WordQuery(("green", "milk"))) == set(texts)
    assert found(WordQuery(("cold tea",))) == {"near.md"}
    assert found(WordQuery(('green" OR "milk',))) == set(), "what looks like syntax is none"


@settings(max_examples=150, deadline=None)
@given(words, filters)
def test_a_warm_reader_gives_the_same_scores(readers, asked, admitted) -> None:
    cold, warm = readers
    query = WordQuery(tuple(asked))
    expected, found = cold.match(query, 1000, admitted), warm.match(query, 1000, admitted)
    assert dict(found) == pytest.approx(dict(expected), rel=1e-9)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    best = [score for _, score in warm.match(query, 3, admitted)]
    assert best == pytest.approx([score for _, score in expected[:3]], rel=1e-9)


def test_a_warm_reader_does_not_ask_sqlite_twice(readers, monkeypatch) -> None:
    _, warm = readers
    warm.match(WordQuery(("raft", "saga")), 10, Filters())
    monkeypatch.setattr(WarmReader, "_query", lambda *arguments: pytest.fail("SQLite was asked"))
    assert len(warm.match(WordQuery(("saga", "raft", "raft")), 10, Filters())) == 10


@pytest.mark.parametrize(("kept", "unheard"), [(50, ""), (1000, "unheard")])
def test_what_a_warm_reader_keeps_is_bounded(index_dir, monkeypatch, kept, unheard) -> None:
    monkeypatch.setattr("notesearch.storage.warm_reader._MOST_SCORES_KEPT", kept)
    with IndexReader(index_dir) as cold, WarmReader(index_dir) as warm:
        for word in [unheard + word + str(number) * bool(unheard) for number in range(20) for word in VOCABULARY]:
            query = WordQuery((word,))
            assert dict(warm.match(query, 1000, Filters())) == pytest.approx(
                dict(cold.match(query, 1000, Filters())) if not unheard else {}
            )
        assert len(warm._scores) < 40


def test_notes_without_any_words(tmp_path: Path) -> None:
    make(tmp_path, encoded_note("—.md", "—", title="—"))
    with WarmReader(tmp_path) as warm:
        assert warm.match(WordQuery(("raft",)), 10, Filters()) == []


QUERIES = [
    WordQuery(("raft",)),
    WordQuery(("saga", "clock", "clock")),
    WordQuery(("raft lease",)),
    WordQuery(pairs=(("raft", "lease"), ("gossip", "x9"))),
]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_several_indexes_give_the_scores_of_one(tmp_path: Path, query: WordQuery) -> None:
    """Of notes of one length, so that the mean lengths are the same too."""
    choose = random.Random(2)
    notes = [encoded_note(f"{number}.md", " ".join(choose.choices(VOCABULARY, k=20))) for number in range(60)]
    make(tmp_path / "whole", *notes)
    parts = [make(tmp_path / "first", *notes[:45]), make(tmp_path / "second", *notes[45:])]

    def scores(reader: IndexReader | UnionReader) -> dict[str, float]:
        with reader:
            found = dict(reader.match(query, 100, Filters()))
            return {note.path: found[note.id] for note in reader.notes(list(found)).values()}

    union = UnionReader({str(part): IndexReader(part) for part in parts}, [Filters()] * 2)
    whole = scores(IndexReader(tmp_path / "whole"))
    assert scores(union) == pytest.approx(whole, rel=0.15 if query.pairs else 1e-9)
    assert len(whole) > 3
