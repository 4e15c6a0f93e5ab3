"""A warm reader answers as a cold one does, and knows when it no longer should."""

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notesearch.records import Filters
from notesearch.storage import WordQuery, database
from notesearch.storage import index_reader as reader_module
from notesearch.storage.index_reader import Fingerprint, IndexReader
from notesearch.storage.warm_reader import WarmReader
from notesearch.storage.writer import IndexWriter

from .building import FINGERPRINT, encoded_note, remove, write

CHANGES: list[Callable[[IndexWriter], None]] = [
    lambda writer: write(writer, encoded_note("new.md", "new")),
    lambda writer: write(writer, encoded_note("n1.md", "other text")),
    lambda writer: remove(writer, "n1.md"),
]


@pytest.fixture
def index_dir(tmp_path: Path) -> Path:
    make(tmp_path / "index")
    return tmp_path / "index"


def make(index_dir: Path) -> None:
    choose = random.Random(1)
    with IndexWriter(index_dir) as writer:
        with writer.transaction():
            writer.set_fingerprint(FINGERPRINT)
        for number in range(40):
            texts = [f"text {number} {part} raft" for part in range(choose.randint(1, 4))]
            write(writer, encoded_note(f"n{number}.md", *texts, tags=["odd"] if number % 2 else []))
        remove(writer, "n7.md", "n8.md")


@pytest.fixture
def warm(index_dir: Path) -> Iterator[WarmReader]:
    with WarmReader(index_dir) as reader:
        yield reader


@pytest.fixture(scope="module", params=[False, True], ids=["sqlite", "vector file"])
def pair(request, tmp_path_factory) -> Iterator[tuple[IndexReader, WarmReader]]:
    """A cold and a warm reader of one index; in one case most vectors are in a file, and some of these are gone."""
    index_dir = tmp_path_factory.mktemp("pair")
    make(index_dir)
    with IndexWriter(index_dir) as writer:
        if request.param:
            writer.update_vector_file()
        write(writer, encoded_note("late.md", "a late one"))
        remove(writer, "n2.md")
    with IndexReader(index_dir) as cold, WarmReader(index_dir, graph_from=1) as warm:
        assert len(warm.vectors()) == (2 if request.param else 1)
        assert (warm.graph() is not None) == request.param
        yield cold, warm


ids = st.lists(st.integers(-1, 130), max_size=20)


@settings(max_examples=60, deadline=None)
@given(ids)
def test_chunks_and_notes(pair, asked) -> None:
    cold, warm = pair
    assert warm.notes_of_chunks(asked) == cold.notes_of_chunks(asked)
    assert warm.chunk_ids_of_notes(asked) == cold.chunk_ids_of_notes(asked)
    live = list(cold.notes_of_chunks(asked))
    expected, found = cold.vectors_of_chunks(live), warm.vectors_of_chunks(live)
    assert expected.keys() == found.keys()
    assert all(np.array_equal(found[chunk_id], vector) for chunk_id, vector in expected.items())


@pytest.mark.parametrize(
    "filters", [Filters(), Filters(tags=("odd",)), Filters(paths=(("n1*",),)), Filters(tags=("no",))]
)
def test_filters(pair, filters) -> None:
    cold, warm = pair
    expected, found = cold.admitted_chunks(filters), warm.admitted_chunks(filters)
    assert (found is None) == (expected is None)
    assert expected is None or found.tolist() == expected.tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["raft", "texts", "text", "late", "nowhere", "—", "式样", "RAFT"]), max_size=5))
def test_words(pair, asked) -> None:
    cold, warm = pair
    for _ in range(2):
        assert warm.stems(asked) == cold.stems(asked)
        terms = [term for stems in cold.stems(asked).values() for term in stems]
        assert warm.note_frequencies(terms) == cold.note_frequencies(terms)
    assert warm.count_notes() == cold.count_notes()


@pytest.mark.parametrize("change", CHANGES, ids=["added", "changed", "removed"])
def test_it_knows_that_the_index_has_changed(index_dir, warm, change) -> None:
    warm.rest()
    assert warm.is_current()
    warm.rest()
    with IndexWriter(index_dir) as writer:
        change(writer)
        assert not warm.is_current(), "though the writer still goes on"
    warm.rest()
    assert not warm.is_current()


def test_where_it_may_not_write_it_knows_by_the_file(index_dir, monkeypatch) -> None:
    connect = database._connect

    def connect_as_to_a_read_only_directory(path: Path, mode: str) -> sqlite3.Connection:
        return connect(path, mode.replace("mode=ro", "mode=ro&immutable=1"))

    monkeypatch.setattr(database, "_connect", connect_as_to_a_read_only_directory)
    with WarmReader(index_dir) as warm:
        warm.rest()
        assert warm.is_current()
        warm.rest()
        with IndexWriter(index_dir) as writer:
            remove(writer, "n1.md")
        assert not warm.is_current()


def test_words_that_are_kept_are_bounded(warm, monkeypatch) -> None:
    monkeypatch.setattr("notesearch.storage.warm_reader._MOST_WORDS_KEPT", 10)
    for number in range(50):
        assert warm.stems([f"word{number}", "rafts"])["rafts"] == ("raft",)
        assert warm.note_frequencies([f"word{number}", "raft"]) == {"raft": 38}
        assert len(warm._stems) <= 12 and len(warm._frequencies) <= 12


def test_while_it_reads_it_sees_one_state(index_dir, warm) -> None:
    with IndexWriter(index_dir) as writer:
        remove(writer, *(f"n{number}.md" for number in range(5)))
    assert warm.count_notes() == len(warm.note_ids()) == 38
    warm.rest()
    assert not warm.is_current()


def test_an_index_in_the_place_of_another(index_dir, warm, tmp_path) -> None:
    warm.rest()
    make(tmp_path / "other")
    (tmp_path / "other" / "notes.db").replace(index_dir / "notes.db")
    assert not warm.is_current()


def test_an_index_in_the_place_of_one_that_is_just_being_opened(index_dir, tmp_path, monkeypatch) -> None:
    make(tmp_path / "other")
    read_fingerprint = reader_module.read_fingerprint

    def read_and_replace(connection: sqlite3.Connection) -> Fingerprint | None:
        found = read_fingerprint(connection)
        (tmp_path / "other" / "notes.db").replace(index_dir / "notes.db")
        return found

    monkeypatch.setattr(reader_module, "read_fingerprint", read_and_replace)
    with WarmReader(index_dir) as warm:
        warm.rest()
        assert not warm.is_current()


def test_an_index_that_is_gone(index_dir, warm) -> None:
    warm.rest()
    (index_dir / "notes.db").unlink()
    assert not warm.is_current()


def test_at_rest_it_does_not_keep_the_log_from_being_emptied(index_dir, warm) -> None:
    with closing(sqlite3.connect(index_dir / "notes.db", timeout=0)) as writer:

        def log_can_be_emptied() -> bool:
            writer.execute("INSERT INTO meta SELECT 'x' || count(*), '' FROM meta")
            writer.commit()
            return writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0

        assert not log_can_be_emptied()
        warm.rest()
        assert log_can_be_emptied()


def test_temporary_tables_outlast_a_rest(warm) -> None:
    for word in ("raft", "text"):
        assert warm.match(WordQuery((word,)), 100, Filters())
        warm.rest()
        assert warm.is_current()


def test_a_wrong_bit_anywhere_in_the_vector_file_is_noticed_before_hnswlib_sees_it(tmp_path) -> None:
    """A wrong link leads hnswlib out of its memory, which ends the process."""
    make(tmp_path)
    with IndexWriter(tmp_path) as writer:
        writer.update_vector_file()
    path = tmp_path / "vectors.hnsw"
    sound, status = path.read_bytes(), path.stat()
    with WarmReader(tmp_path, graph_from=1) as warm:
        assert warm.graph() is not None
        expected = warm.vectors_of_chunks(range(1000))
    for position in range(0, len(sound), len(sound) // 40):
        path.write_bytes(sound[:position] + bytes([sound[position] ^ 16]) + sound[position + 1 :])
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as a failing disk leaves it
        with WarmReader(tmp_path, graph_from=1) as warm:
            assert warm.graph() is None
            found = warm.vectors_of_chunks(range(1000))
        assert found.keys() == expected.keys()
        assert all(np.array_equal(vector, expected[chunk_id]) for chunk_id, vector in found.items())


def test_what_happens_to_the_vector_file_later_changes_nothing(tmp_path) -> None:
    """A mapped file that is cut off would end the process."""
    make(tmp_path)
    with IndexWriter(tmp_path) as writer:
        writer.update_vector_file()
    path = tmp_path / "vectors.hnsw"
    sound = path.read_bytes()
    with WarmReader(tmp_path, graph_from=1) as warm:
        expected = {chunk_id: vector.copy() for chunk_id, vector in warm.vectors_of_chunks(range(1000)).items()}
        for damaged in (b"", sound[:4096], bytes(len(sound))):
            path.write_bytes(damaged)
            found = warm.vectors_of_chunks(range(1000))
            assert found.keys() == expected.keys()
            assert all(np.array_equal(vector, expected[chunk_id]) for chunk_id, vector in found.items())


def test_a_small_index_is_scanned_without_a_graph(index_dir) -> None:
    with IndexWriter(index_dir) as writer:
        writer.update_vector_file()
    with WarmReader(index_dir) as warm:
        assert warm.graph() is None
        assert warm.vectors()[0][1].base is not None, "a view of the file's content"
