import sqlite3
from pathlib import Path

import pytest

from notesearch.errors import IndexTooNew
from notesearch.storage import schema
from notesearch.storage.database import database_file, open_for_writing
from notesearch.storage.schema import SCHEMA_VERSION, migrate, schema_version


@pytest.fixture
def database(tmp_path: Path) -> sqlite3.Connection:
    return sqlite3.connect(tmp_path / "notes.db", isolation_level=None)


def tables(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}


def test_an_empty_database_becomes_one_of_the_current_schema(database: sqlite3.Connection) -> None:
    assert schema_version(database) == 0
    migrate(database)
    assert schema_version(database) == SCHEMA_VERSION
    expected = "meta folders notes tags links chunks embeddings dead_vectors skipped note_words note_words_source"
    assert tables(database) >= set(expected.split())


def test_the_schema_is_the_third() -> None:
    assert SCHEMA_VERSION == 3


def test_a_current_database_is_not_touched(database: sqlite3.Connection) -> None:
    migrate(database)
    statements: list[str] = []
    database.set_trace_callback(statements.append)
    migrate(database)
    assert statements == ["PRAGMA user_version"]


def test_opening_a_current_index_runs_no_ddl(tmp_path: Path) -> None:
    open_for_writing(database_file(tmp_path)).close()
    with sqlite3.connect(tmp_path / "notes.db") as connection:
        before = connection.execute("PRAGMA schema_version").fetchone()
        open_for_writing(database_file(tmp_path)).close()
        assert connection.execute("PRAGMA schema_version").fetchone() == before


def test_a_step_that_fails_leaves_the_database_as_it_was(
    database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(database)
    before = tables(database)

    def half_a_step(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE later (x)")
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(schema, "_STEPS", (*schema._STEPS, half_a_step))
    monkeypatch.setattr(schema, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    with pytest.raises(sqlite3.OperationalError):
        migrate(database)
    assert tables(database) == before
    assert schema_version(database) == SCHEMA_VERSION
    assert not database.in_transaction


def test_an_older_database_gets_only_the_steps_it_lacks(
    database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(database)
    database.execute("INSERT INTO folders (path) VALUES ('/kept')")
    monkeypatch.setattr(
        schema, "_STEPS", (*schema._STEPS, lambda connection: connection.execute("CREATE TABLE new (x)"))
    )
    monkeypatch.setattr(schema, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    migrate(database)
    assert schema_version(database) == SCHEMA_VERSION + 1
    assert "new" in tables(database)
    assert database.execute("SELECT path FROM folders").fetchall() == [("/kept",)]


def test_a_newer_database_is_refused(database: sqlite3.Connection) -> None:
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(IndexTooNew) as caught:
        migrate(database)
    assert str(SCHEMA_VERSION + 1) in caught.value.message
    assert "Update notesearch" in caught.value.hint
    assert tables(database) == set()
