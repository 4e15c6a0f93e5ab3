import hashlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from notesearch.errors import IndexBusy, IndexMissing
from notesearch.records import Link
from notesearch.storage.check import DatabaseCheck, Expected, has_tables, words_are_sound
from notesearch.storage.words import searchable_words
from notesearch.storage.writer import IndexWriter

from .building import DIM, FINGERPRINT, as_nobody, encoded_note, note_id, remove, write


def passage_hash(title: str, heading: str, text: str) -> bytes:
    """As the notes of these tests are hashed."""
    return hashlib.blake2b(f"{title}\n{text}".encode(), digest_size=16).digest()


EXPECTED = Expected(DIM, 1, passage_hash)


@pytest.fixture
def written(index_dir: Path, writer: IndexWriter) -> Path:
    """An index of three notes, with the ids 1 to 3 and chunks 1 to 4, closed; gives its directory."""
    write(
        writer,
        encoded_note("a.md", "Lentils and salt", "Cumin in ghee", tags=["Cooking"], links=[Link("b", "b", "wiki")]),
        encoded_note("b.md", "Consistency or availability", title="CAP"),
        encoded_note("c.md", "坐禅"),
    )
    assert [note_id(writer, name) for name in ("a.md", "b.md", "c.md")] == [1, 2, 3]
    writer.close()
    return index_dir


def change(index_dir: Path, *statements: str) -> None:
    """Changes a database behind notesearch's back."""
    with closing(sqlite3.connect(index_dir / "notes.db", isolation_level=None)) as connection:
        connection.create_function("words", 1, searchable_words)
        connection.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            connection.execute(statement)


def asked(index_dir: Path, question: Callable[[DatabaseCheck], Any]) -> Any:
    with closing(DatabaseCheck(index_dir)) as check:
        return question(check)


def flawed(index_dir: Path, expected: Expected = EXPECTED) -> dict[int, str]:
    return asked(index_dir, lambda check: check.flawed_notes(expected))


def test_a_sound_index_has_no_flaws(written):
    assert flawed(written) == {}
    with closing(DatabaseCheck(written)) as check:
        assert check.broken_pages() == check.altered_tables() == check.wrong_values() == []
        assert (check.orphans(), check.chunks_without_codes(), check.vector_file_flaw(DIM)) == ({}, 0, "")
        assert check.fingerprint() == FINGERPRINT
    assert words_are_sound(written)


def test_without_an_index_there_is_nothing_to_check(tmp_path):
    with pytest.raises(IndexMissing):
        DatabaseCheck(tmp_path)


def test_pages_that_do_not_hold_together_are_told(written):
    with closing(sqlite3.connect(written / "notes.db")) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'chunks_by_note'").fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    data = bytearray((written / "notes.db").read_bytes())
    data[root * page_bytes - 100 : root * page_bytes] = bytes(100)  # cells stand at the end of a page
    (written / "notes.db").write_bytes(data)
    assert "chunks_by_note" in " ".join(asked(written, DatabaseCheck.broken_pages))


@pytest.mark.parametrize(
    ("statement", "altered"),
    [
        ("DROP INDEX tags_by_key", ["tags_by_key"]),
        ("CREATE TABLE stray (id)", ["stray"]),
        ("UPDATE sqlite_schema SET sql = replace(sql, 'size INTEGER', 'size BLOB') WHERE name = 'notes'", ["notes"]),
        ("UPDATE sqlite_schema SET sql = sql || ' WHERE 0' WHERE name = 'note_words_source'", ["note_words_source"]),
    ],
)
def test_tables_other_than_ours_are_noticed(written, statement, altered):
    change(written, statement)
    assert asked(written, DatabaseCheck.altered_tables) == altered


@pytest.mark.parametrize(
    ("statement", "orphans"),
    [
        ("DELETE FROM notes WHERE id = 2", {"chunks": 1}),
        ("DELETE FROM notes WHERE id = 1", {"chunks": 2, "tags": 1, "links": 1}),
        ("DELETE FROM chunks WHERE id = 3", {"embeddings": 1, "token_codes": 1}),
        ("INSERT INTO skipped (folder_id, path, reason) VALUES (9, 'x', 'y')", {"skipped": 1}),
    ],
)
def test_rows_that_refer_to_nothing_are_counted(written, statement, orphans):
    change(written, statement)
    assert asked(written, DatabaseCheck.orphans) == orphans


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE folders SET path = CAST(path AS BLOB)", "folders"),
        ("UPDATE folders SET path = CAST(x'2f76ff' AS TEXT)", "folders"),
        ("INSERT INTO skipped (folder_id, path, reason) VALUES (1, 'x', 5.5)", ""),  # made a text by the column
        ("INSERT INTO skipped (folder_id, path, reason) VALUES (1, 'x', x'00')", "skipped"),
        ("UPDATE meta SET value = CAST(x'7bff7d' AS TEXT)", "meta"),
    ],
)
def test_values_of_another_kind_are_noticed(written, statement, table):
    change(written, statement)
    assert asked(written, DatabaseCheck.wrong_values) == ([table] if table else [])


@pytest.mark.parametrize(
    ("statement", "notes", "why"),
    [
        ("UPDATE notes SET size = 'much' WHERE id = 2", [2], "notes"),
        ("UPDATE notes SET title = CAST(x'ff41' AS TEXT) WHERE id = 3", [3], "notes"),
        ("UPDATE links SET target = x'00'", [1], "links"),
        ("UPDATE embeddings SET vector = 'text' WHERE chunk_id = 2", [1], "embeddings"),
        ("UPDATE token_codes SET codes = 7 WHERE chunk_id = 3", [2], "token_codes"),
        ("UPDATE chunks SET position = 2 WHERE id = 2", [1], "order"),
        ("UPDATE chunks SET position = 0 WHERE id = 2", [1], "order"),
        ("UPDATE chunks SET position = 1 WHERE id = 4", [3], "order"),
        ("UPDATE chunks SET start_line = 0 WHERE id = 4", [3], "lines"),
        ("UPDATE chunks SET end_line = start_line - 1 WHERE id = 3", [2], "lines"),
        ("DELETE FROM chunks WHERE note_id = 3", [3], "no chunks"),
        ("DELETE FROM embeddings WHERE chunk_id = 1", [1], "no vector"),
        ("UPDATE notes SET path = '/vaulted/b.md' WHERE id = 2", [2], "folder"),
        ("UPDATE tags SET tag = 'Looking'", [1], "tag"),
        ("UPDATE chunks SET text = 'Lentils and silt' WHERE id = 1", [1], "encoded"),
        ("UPDATE chunks SET start = start + 1 WHERE id = 2", [1], "encoded"),
        ("UPDATE notes SET title = 'Title!' WHERE id = 3", [3], "encoded"),
        ("UPDATE chunks SET passage_hash = zeroblob(16) WHERE id = 3", [2], "encoded"),
        ("UPDATE embeddings SET vector = substr(vector, 2) WHERE chunk_id = 4", [3], "vector"),
        (
            "UPDATE embeddings SET vector = CAST(x'0000c07f' || substr(vector, 5) AS BLOB) WHERE chunk_id = 4",
            [3],
            "vector",
        ),
        (
            "UPDATE embeddings SET vector = CAST(x'00000000' || substr(vector, 5) AS BLOB) WHERE chunk_id = 3",
            [2],
            "vector",
        ),
        ("UPDATE token_codes SET codes = x'' WHERE chunk_id = 3", [2], "codes"),
    ],
)
def test_notes_that_are_not_as_written_are_found(written, statement, notes, why):
    change(written, statement)
    found = flawed(written)
    assert list(found) == notes
    assert why in found[notes[0]]


def test_codes_are_whole_numbers_of_codes(written):
    assert flawed(written, replace(EXPECTED, code_bytes=2)) == {
        1: "token codes have a wrong length",  # 3 words each
        2: "token codes have a wrong length",
        3: "token codes have a wrong length",
    }
    assert flawed(written, replace(EXPECTED, code_bytes=None)) == {}


def test_passages_that_are_made_otherwise_now_are_not_compared(written):
    change(written, "UPDATE chunks SET passage_hash = zeroblob(16)")
    assert flawed(written, replace(EXPECTED, passage_hash=None)) == {}


def test_chunks_without_codes_are_counted(written):
    change(written, "DELETE FROM token_codes WHERE chunk_id > 2")
    assert asked(written, DatabaseCheck.chunks_without_codes) == 2
    assert flawed(written) == {}


@pytest.fixture
def with_vector_file(index_dir: Path, writer: IndexWriter) -> Path:
    """An index with a vector file, from which a chunk has gone since."""
    write(writer, *(encoded_note(f"{number}.md", f"Text {number}") for number in range(9)))
    writer.update_vector_file()
    remove(writer, "4.md")
    writer.close()
    return index_dir


def test_a_vector_file_with_chunks_that_are_gone_is_sound(with_vector_file):
    assert asked(with_vector_file, lambda check: check.vector_file_flaw(DIM)) == ""


@pytest.mark.parametrize(
    ("statement", "flaw"),
    [
        ("DELETE FROM dead_vectors", "other chunks"),
        ("INSERT INTO dead_vectors VALUES (2)", "count as gone"),
        ("INSERT INTO dead_vectors VALUES (99)", "count as gone"),
        ("DELETE FROM chunks WHERE id = 7", "other chunks"),
        ("DELETE FROM meta WHERE key = 'vector_file'", "count as gone"),
    ],
)
def test_a_vector_file_of_another_state_is_noticed(with_vector_file, statement, flaw):
    change(with_vector_file, statement)
    assert flaw in asked(with_vector_file, lambda check: check.vector_file_flaw(DIM))


def test_a_flipped_bit_in_a_vector_file_is_noticed_though_its_time_is_as_before(with_vector_file):
    path = with_vector_file / "vectors.hnsw"
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert "as it was written" in asked(with_vector_file, lambda check: check.vector_file_flaw(DIM))
    path.unlink()
    assert "missing" in asked(with_vector_file, lambda check: check.vector_file_flaw(DIM))


def test_a_vector_file_that_nobody_knows_of_is_noticed(written):
    (written / "vectors.hnsw").write_bytes(b"of another index")
    assert "not this index's" in asked(written, lambda check: check.vector_file_flaw(DIM))


def test_words_that_do_not_fit_the_notes_are_noticed(written):
    change(written, "UPDATE notes SET title = 'Availability' WHERE id = 2")
    assert not words_are_sound(written)
    change(written, "INSERT INTO note_words (note_words) VALUES ('rebuild')")
    assert words_are_sound(written)


def test_a_broken_full_text_index_is_noticed(written):
    change(written, "DELETE FROM note_words_config")
    assert not words_are_sound(written)


def test_checking_words_changes_nothing(written):
    before = (written / "notes.db").read_bytes()
    assert words_are_sound(written)
    assert (written / "notes.db").read_bytes() == before


def test_words_are_not_checked_while_somebody_writes(written, monkeypatch):
    monkeypatch.setattr("notesearch.storage.check._PATIENCE_MS", 1)
    with closing(sqlite3.connect(written / "notes.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexBusy):
            words_are_sound(written)


def test_words_of_an_index_that_may_not_be_written_are_not_checked(written, public_dir):
    target = public_dir / "index"
    written.rename(target)
    target.chmod(0o755)
    (target / "notes.db").chmod(0o644)
    kind, _ = as_nobody(lambda: words_are_sound(target))
    assert kind == "StoreError"


def test_samples_come_from_all_over_the_index(written):
    sample = asked(written, lambda check: check.sample_chunks(2))
    assert [(title, chunk.id) for title, chunk, _ in sample] == [("Title", 2), ("Title", 4)]
    assert asked(written, lambda check: [chunk.id for _, chunk, _ in check.sample_chunks(9)]) == [1, 2, 3, 4]


def test_a_database_without_a_version_may_have_tables_still(written, tmp_path):
    change(written, "PRAGMA user_version = 0")
    assert has_tables(written)
    sqlite3.connect(tmp_path / "notes.db").close()
    assert not has_tables(tmp_path)
