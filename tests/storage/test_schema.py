import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from notesearch.errors import IndexMissing, OtherIndexVersion, UsageError
from notesearch.records import Link
from notesearch.storage import IndexReader
from notesearch.storage.database import database_file, open_for_writing
from notesearch.storage.schema import SCHEMA_VERSION, create_schema, schema_version
from notesearch.storage.writer import IndexWriter

from .building import encoded_note, rows, write


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "notes.db", isolation_level=None)) as connection:
        yield connection


def test_an_empty_database_gets_the_schema_through_a_migration(database: sqlite3.Connection) -> None:
    assert schema_version(database) == 0
    create_schema(database)
    assert schema_version(database) == SCHEMA_VERSION
    tables = "meta folders notes names tags links chunks embeddings token_codes dead_vectors skipped note_words"
    assert set(Database(database).table_names()) >= set(tables.split())
    (migration,) = database.execute("SELECT migration_set, name FROM _sqlite_migrations").fetchall()
    assert migration == ("notesearch", f"schema {SCHEMA_VERSION}")


def test_a_schema_that_cannot_be_created_in_full_is_not_there_at_all(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA max_page_count = 20")  # a full disk
    with pytest.raises(sqlite3.OperationalError, match="full"):
        create_schema(database)
    assert database.execute("SELECT * FROM sqlite_schema").fetchall() == []
    assert not database.in_transaction


def test_opening_a_current_index_runs_no_ddl(tmp_path: Path) -> None:
    open_for_writing(database_file(tmp_path)).close()
    with closing(sqlite3.connect(tmp_path / "notes.db")) as connection:
        before = connection.execute("PRAGMA schema_version").fetchone()
        open_for_writing(database_file(tmp_path)).close()
        assert connection.execute("PRAGMA schema_version").fetchone() == before


@pytest.mark.parametrize("version", [1, SCHEMA_VERSION - 1, SCHEMA_VERSION + 1])
def test_an_index_of_another_version_is_neither_read_nor_changed(
    writer: IndexWriter, index_dir: Path, version: int
) -> None:
    write(writer, encoded_note("a.md", "text"))
    writer.close()
    with closing(sqlite3.connect(index_dir / "notes.db")) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(OtherIndexVersion) as caught:
        IndexReader(index_dir)
    assert str(index_dir) in caught.value.message and "notesearch index" in caught.value.hint
    with IndexWriter(index_dir) as opened:
        assert opened.is_outdated()
        with pytest.raises(OtherIndexVersion), opened.transaction():
            pytest.fail("it must not be written")
    assert rows(index_dir, "PRAGMA user_version") == [(version,)]


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "notes.db")) as connection:
        connection.execute("CREATE TABLE notes (x)")
    before = (tmp_path / "notes.db").read_bytes()
    for open_it in (IndexReader, IndexWriter, lambda index_dir: IndexWriter(index_dir, anew=True)):
        with pytest.raises(UsageError, match="another program"):
            open_it(tmp_path)
    assert (tmp_path / "notes.db").read_bytes() == before


def test_a_file_without_any_tables_is_an_index_that_was_never_made(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "notes.db").close()
    with pytest.raises(IndexMissing):
        IndexReader(tmp_path)
    IndexWriter(tmp_path).close()
    assert rows(tmp_path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


def test_views_show_the_owner_what_is_in_the_index(writer: IndexWriter, index_dir: Path) -> None:
    links = [Link("coffee", "not tea", "wiki", line=3)]
    write(writer, encoded_note("a.md", "green", "black", title="Tea", tags=["Hot", "drinks"], links=links))
    path = "/vault/a.md"
    assert rows(index_dir, "SELECT * FROM my_notes") == [
        (path, "Tea", "2024-05-17T12:00:00", 11, "/vault", "Hot, drinks")
    ]
    assert sorted(rows(index_dir, "SELECT * FROM my_tags")) == [(path, "Tea", "Hot"), (path, "Tea", "drinks")]
    assert rows(index_dir, "SELECT * FROM my_links") == [(path, "Tea", "coffee", "not tea", "wiki", 3)]
    assert rows(index_dir, "SELECT * FROM my_passages") == [
        (path, "Tea", "", 1, 1, "green"),
        (path, "Tea", "", 2, 2, "black"),
    ]
