"""A new index is filled beside the old one, and takes its place in one step."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from notesearch.records import Filters, Skipped
from notesearch.storage import IndexReader, WordQuery
from notesearch.storage.rebuild import forget_rebuilt, rebuilding
from notesearch.storage.rows import SkippedFile
from notesearch.storage.writer import IndexWriter

from .building import FINGERPRINT, FOLDER, check_words, encoded_note, found, live_vectors, rows, write

OTHER = replace(FINGERPRINT, encoder="1" * 32)


def names(index_dir: Path) -> list[str]:
    return sorted(path.name for path in index_dir.iterdir() if path.name.startswith("rebuilt"))


def test_searches_find_the_old_index_until_the_new_one_is_whole(writer: IndexWriter, index_dir: Path) -> None:
    write(writer, encoded_note("a.md", "old", tags=["t"]))
    with writer.transaction():
        writer.add_skipped(1, [SkippedFile(Skipped("/vault/x", "binary file"))])
    with closing(IndexReader(index_dir)) as early:
        with rebuilding(writer, OTHER) as rebuilt:
            assert rebuilt.folders() == [(1, FOLDER)]
            assert rebuilt.counts() == (0, 0)
            write(rebuilt, encoded_note("b.md", "new"))
            assert found(index_dir, "old new") == ["a.md"]
        assert found(index_dir, "old new") == ["b.md"]
        assert early.fingerprint == FINGERPRINT
        assert early.count_notes() == 1
        assert len(early.match(WordQuery(("old",)), 10, Filters())) == 1
    assert writer.fingerprint() == OTHER
    assert writer.counts() == (1, 1)
    assert rows(index_dir, "SELECT count(*) FROM skipped") == [(0,)]
    check_words(index_dir)
    assert names(index_dir) == []
    assert (index_dir / "notes.db").stat().st_mode & 0o777 == 0o600


def test_the_index_can_be_written_after_it(writer: IndexWriter, index_dir: Path) -> None:
    with rebuilding(writer, OTHER) as rebuilt:
        write(rebuilt, encoded_note("a.md", "rebuilt"))
    write(writer, encoded_note("b.md", "later"))
    assert found(index_dir, "rebuilt later") == ["a.md", "b.md"]


def test_a_rebuild_that_fails_leaves_the_old_index_and_is_gone_on_with(writer: IndexWriter, index_dir: Path) -> None:
    write(writer, encoded_note("a.md", "old"))
    with pytest.raises(ZeroDivisionError), rebuilding(writer, OTHER) as rebuilt:
        write(rebuilt, encoded_note("b.md", "new"))
        raise ZeroDivisionError
    assert found(index_dir, "old new") == ["a.md"]
    assert (index_dir / "rebuilt.db").stat().st_mode & 0o777 == 0o600
    with rebuilding(writer, OTHER) as rebuilt:
        assert rebuilt.counts() == (1, 1)
    assert found(index_dir, "old new") == ["b.md"]


def test_what_was_begun_for_another_model_is_thrown_away(writer: IndexWriter, index_dir: Path) -> None:
    with pytest.raises(ZeroDivisionError), rebuilding(writer, OTHER) as rebuilt:
        write(rebuilt, encoded_note("b.md", "of another model"))
        raise ZeroDivisionError
    with rebuilding(writer, FINGERPRINT) as rebuilt:
        assert rebuilt.counts() == (0, 0)
        assert rebuilt.fingerprint() == FINGERPRINT


def test_what_was_begun_and_is_damaged_is_thrown_away(writer: IndexWriter, index_dir: Path) -> None:
    (index_dir / "rebuilt.db").write_bytes(b"garbage" * 5000)
    with rebuilding(writer, OTHER) as rebuilt:
        write(rebuilt, encoded_note("b.md", "new"))
    assert found(index_dir, "new") == ["b.md"]


def test_folders_forgotten_since_are_not_in_the_new_index(writer: IndexWriter, index_dir: Path) -> None:
    with writer.transaction():
        writer.add_folder(FOLDER)
        gone = writer.add_folder(Path("/gone"))
    with pytest.raises(ZeroDivisionError), rebuilding(writer, OTHER):
        raise ZeroDivisionError
    with writer.transaction():
        writer.remove_folder(gone)
        writer.add_folder(Path("/came"))
    with rebuilding(writer, OTHER):
        pass
    assert [path for _, path in writer.folders()] == [Path("/came"), FOLDER]


def test_the_old_vector_file_is_not_taken_for_one_of_the_new_index(writer: IndexWriter, index_dir: Path) -> None:
    write(writer, encoded_note("a.md", *(f"old {number}" for number in range(20))))
    writer.update_vector_file()
    with rebuilding(writer, OTHER) as rebuilt:
        write(rebuilt, encoded_note("a.md", *(f"new {number}" for number in range(20))))
    with closing(IndexReader(index_dir)) as reader:
        scanned = live_vectors(reader)
        assert len(reader.vectors()) == 1
    writer.update_vector_file()
    with closing(IndexReader(index_dir)) as reader:
        assert live_vectors(reader) == scanned
        assert len(scanned) == 20


def test_what_is_left_can_be_forgotten(writer: IndexWriter, index_dir: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        (index_dir / f"rebuilt.db{suffix}").write_bytes(b"left")
    forget_rebuilt(writer)
    assert names(index_dir) == []
    forget_rebuilt(writer)
