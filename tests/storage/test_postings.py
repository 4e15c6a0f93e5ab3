"""BM25 from memory against FTS5's own."""

import random
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notesearch.records import Filters
from notesearch.storage.postings import _sum_of_varints
from notesearch.storage.reader import IndexReader
from notesearch.storage.warm_reader import WarmReader
from notesearch.storage.writer import IndexWriter

from .building import FINGERPRINT, encoded_note, remove, write

VOCABULARY = ["raft", "quorum", "lease", "clock", "gossip", "saga", "ruled", "ruling", "naïve", "naive", "x9"]
WEIGHTS = (2.0, 1.0)


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory):
    """Notes of a few words, of which some are in most notes, after others were changed and removed."""
    index_dir = tmp_path_factory.mktemp("index")
    choose = random.Random(1)
    with IndexWriter(index_dir) as writer:
        with writer.transaction():
            writer.set_fingerprint(FINGERPRINT)
        for number in range(120):
            words = choose.choices(VOCABULARY, weights=range(1, 12), k=choose.randint(1, 300))
            title = " ".join(choose.choices(VOCABULARY, k=choose.randint(0, 3)))
            tags = ["odd"] if number % 2 else []
            write(writer, encoded_note(f"{number % 100}.md", " ".join(words), title=title, tags=tags))
        write(writer, encoded_note("empty.md", "—"), encoded_note("cjk.md", "分布式系统 raft"))
        remove(writer, "3.md", "50.md")
    return index_dir


@pytest.fixture(scope="module")
def readers(index_dir):
    with IndexReader(index_dir) as cold, WarmReader(index_dir) as warm:
        yield cold, warm


words = st.lists(st.sampled_from([*VOCABULARY, "never", "RAFT", "式", "分布", "—", 'a"b']), min_size=1, max_size=6)
filters = st.sampled_from([Filters(), Filters(tags=("odd",)), Filters(path_glob="1*"), Filters(tags=("none",))])


@settings(max_examples=150, deadline=None)
@given(words, filters)
def test_the_scores_are_those_of_fts5(readers, asked, admitted) -> None:
    cold, warm = readers
    expected = dict(cold.match_any_word(asked, WEIGHTS, 1000, admitted))
    found = warm.match_any_word(asked, WEIGHTS, 1000, admitted)
    assert dict(found) == pytest.approx(expected, rel=1e-9)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_most_words_are_looked_up_in_memory(readers, monkeypatch) -> None:
    _, warm = readers
    warm.match_any_word(["raft", "saga"], WEIGHTS, 10, Filters())
    monkeypatch.setattr(WarmReader, "_query", lambda *arguments: pytest.fail("SQLite was asked"))
    assert len(warm.match_any_word(["saga", "raft", "raft"], WEIGHTS, 10, Filters())) == 10


def test_the_best_ones_are_returned(readers) -> None:
    cold, warm = readers
    expected = cold.match_any_word(["raft", "lease"], WEIGHTS, 7, Filters())
    found = warm.match_any_word(["raft", "lease"], WEIGHTS, 7, Filters())
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-9)


def test_what_is_kept_is_bounded(index_dir, monkeypatch) -> None:
    monkeypatch.setattr("notesearch.storage.postings._MOST_KEPT", 50)
    with IndexReader(index_dir) as cold, WarmReader(index_dir) as warm:
        for _ in range(2):
            for word in VOCABULARY:
                expected = dict(cold.match_any_word([word], WEIGHTS, 1000, Filters()))
                assert dict(warm.match_any_word([word], WEIGHTS, 1000, Filters())) == pytest.approx(expected)
        assert len(warm._postings._terms) <= 2


def test_words_that_no_note_holds_are_not_kept_for_ever(index_dir, monkeypatch) -> None:
    monkeypatch.setattr("notesearch.storage.postings._MOST_KEPT", 1000)
    with WarmReader(index_dir) as warm:
        for number in range(200):
            assert warm.match_any_word([f"unheard{number}of"], WEIGHTS, 10, Filters()) == []
        assert len(warm._postings._terms) < 50


def test_notes_without_any_words(tmp_path) -> None:
    with IndexWriter(tmp_path) as writer:
        with writer.transaction():
            writer.set_fingerprint(FINGERPRINT)
        write(writer, encoded_note("—.md", "—", title="—"))
    with WarmReader(tmp_path) as warm, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert warm.match_any_word(["raft"], WEIGHTS, 10, Filters()) == []


def test_varints() -> None:
    assert _sum_of_varints(b"") == 0
    assert _sum_of_varints(b"\x03\x82\x7f") == 3 + 383
    assert _sum_of_varints(b"\x81\x80\x00\x7f") == 16384 + 127
