import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from notesearch.storage import IndexReader
from notesearch.storage.check import DatabaseCheck, Expected, words_are_sound
from notesearch.storage.repair import forget_vector_file, rebuild_words, remove_rows, salvage
from notesearch.storage.words import searchable_words
from notesearch.storage.writer import IndexWriter

from .building import DIM, FINGERPRINT, FOLDER, encoded_note, found, rows, write

PAGE = 16384


@pytest.fixture
def written(index_dir: Path, writer: IndexWriter) -> Path:
    """An index of three notes with ids from 1, closed; gives its directory."""
    write(
        writer,
        encoded_note("a.md", "Lentils and salt", "Cumin in ghee", tags=["cooking"]),
        encoded_note("b.md", "Consistency"),
        encoded_note("c.md", "Salt"),
    )
    writer.close()
    return index_dir


def change(index_dir: Path, *statements: str) -> None:
    with closing(sqlite3.connect(index_dir / "notes.db", isolation_level=None)) as connection:
        connection.create_function("words", 1, searchable_words)
        for statement in statements:
            connection.execute(statement)


def overwrite_page(index_dir: Path, table: str) -> None:
    root = (
        1
        if table == "sqlite_schema"
        else rows(index_dir, f"SELECT rootpage FROM sqlite_schema WHERE name = '{table}'")[0][0]
    )
    data = bytearray((index_dir / "notes.db").read_bytes())
    data[(root - 1) * PAGE : root * PAGE] = bytes(PAGE)
    (index_dir / "notes.db").write_bytes(data)


def assert_sound(index_dir: Path) -> None:
    with closing(DatabaseCheck(index_dir)) as check:
        assert check.broken_pages() == []
        assert check.orphans() == check.flawed_notes(Expected(DIM, 1, None)) == {}
        assert check.vector_file_flaw(DIM) == ""
    assert words_are_sound(index_dir)


def test_notes_are_removed_with_all_that_is_theirs(written):
    remove_rows(written, [1])
    assert_sound(written)
    assert found(written, "salt") == ["c.md"]
    assert rows(written, "SELECT count(*) FROM embeddings") == [(2,)]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM notes WHERE id = 1",
        "DELETE FROM chunks WHERE id = 4",
        "DELETE FROM folders",
        "INSERT INTO skipped (folder_id, path, reason) VALUES (7, 'x', 'y')",
        "INSERT INTO embeddings VALUES (70, x'00')",
        "INSERT INTO tags VALUES (70, 0, 'x', 'x')",
    ],
)
def test_rows_that_belong_to_nothing_are_removed(written, statement):
    change(written, statement)
    remove_rows(written, [3] if "chunks" in statement else [])
    assert_sound(written)


def test_words_are_made_anew(written):
    change(written, "INSERT INTO note_words (note_words) VALUES ('delete-all')")
    assert found(written, "salt") == []
    rebuild_words(written)
    assert sorted(found(written, "salt")) == ["a.md", "c.md"]
    assert_sound(written)


def test_a_vector_file_is_forgotten(written):
    with IndexWriter(written) as writer:
        writer.update_vector_file()
    change(written, "INSERT INTO dead_vectors VALUES (2)")
    forget_vector_file(written)
    assert not (written / "vectors.hnsw").exists()
    assert_sound(written)
    with closing(IndexReader(written)) as reader:
        assert len(reader.dead_chunks()) == 0


def test_all_of_a_sound_index_is_salvaged(written):
    saved = salvage(written)
    assert (saved.folders, saved.notes, saved.fingerprint) == ((FOLDER,), (), FINGERPRINT)


@pytest.mark.parametrize("table", ["folders", "sqlite_autoindex_folders_1", "notes", "chunks"])
def test_folders_are_read_from_the_table_or_from_its_index(written, table):
    overwrite_page(written, table)
    assert salvage(written).folders == (FOLDER,)


def test_without_meta_there_is_no_fingerprint(written):
    overwrite_page(written, "meta")
    saved = salvage(written)
    assert (saved.folders, saved.fingerprint) == ((FOLDER,), None)


def test_a_garbled_fingerprint_is_none(written):
    change(written, "UPDATE meta SET value = '{' WHERE key = 'fingerprint'")
    assert salvage(written).fingerprint is None


def test_where_the_tables_are_lost_notes_that_exist_are_found_in_the_bytes(index_dir, writer, tmp_path, monkeypatch):
    (tmp_path / "vault").mkdir()
    for name in ("a.md", "b.md"):
        (tmp_path / "vault" / name).write_text("Text")
    monkeypatch.setattr("storage.building.FOLDER", tmp_path / "vault")
    write(writer, *(encoded_note(name, "Text", title="Title") for name in ("a.md", "b.md", "gone.md")))
    writer.close()
    overwrite_page(index_dir, "sqlite_schema")
    saved = salvage(index_dir)
    assert (saved.folders, saved.fingerprint) == ((), None)
    assert sorted(saved.notes) == [tmp_path / "vault" / "a.md", tmp_path / "vault" / "b.md"]


@pytest.mark.parametrize("content", [b"", b"nothing of SQLite", b"SQLite format 3\0" + bytes(200)])
def test_nothing_is_salvaged_of_what_is_no_database(tmp_path, content):
    (tmp_path / "notes.db").write_bytes(content)
    saved = salvage(tmp_path)
    assert (saved.folders, saved.notes, saved.fingerprint) == ((), (), None)
    assert (tmp_path / "notes.db").read_bytes() == content
