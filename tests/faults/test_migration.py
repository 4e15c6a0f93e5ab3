"""Indexes that older releases have made: brought up to date whole or not at all, and never mixed with other vectors.

How the fixtures were made is said in `fixtures/make_index.py`.
"""

import gzip
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from indexing.vault import contents, run_index

from notesearch.errors import IndexMismatch, IndexTooNew, NotesearchError, StoreError
from notesearch.storage import Fingerprint, IndexReader, schema
from notesearch.storage.schema import SCHEMA_VERSION
from notesearch.storage.vectors import unpack
from notesearch.storage.words import searchable_words
from notesearch.storage.writer import IndexWriter

FIXTURES = Path(__file__).parent / "fixtures"
RELEASED = range(1, SCHEMA_VERSION + 1)
DIM = 16

# Brings an index up to date, and is killed after all statements of all steps, but before they are committed.
MIGRATE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from notesearch.storage import schema
from notesearch.storage.writer import IndexWriter
last = schema._STEPS[-1]
schema._STEPS = (*schema._STEPS[:-1], lambda connection: (last(connection), os.kill(os.getpid(), signal.SIGKILL)))
IndexWriter(Path(sys.argv[1]))
"""


def make_notes(vault: Path) -> None:
    shutil.copytree(FIXTURES / "notes", vault)


def make_index(version: int, vault: Path, index_dir: Path) -> Path:
    """Puts the index of a release beside notes, as if it had been made of them."""
    index_dir.mkdir(mode=0o700)
    database = index_dir / "notes.db"
    database.write_bytes(gzip.decompress((FIXTURES / f"schema-{version}.db.gz").read_bytes()))
    with closing(sqlite3.connect(database)) as connection, connection:
        for table in ("folders", "notes", "skipped"):
            connection.execute(f"UPDATE {table} SET path = replace(path, '/vault', ?)", [str(vault)])
        times = connection.execute("SELECT path, mtime_ns FROM notes").fetchall()
    for path, mtime_ns in times:
        os.utime(path, ns=(mtime_ns, mtime_ns))
    return database


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    make_notes(tmp_path / "notes")
    return tmp_path / "notes"


@pytest.fixture
def index_dir(tmp_path: Path) -> Path:
    return tmp_path / "index"


def version_of(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def whole(database: Path) -> list[str]:
    """All of a database, as SQL."""
    with closing(sqlite3.connect(database)) as connection:
        connection.create_function("words", 1, searchable_words)
        return list(connection.iterdump())


def comparable(held: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    """What an index holds without its vectors, and these; schema 1 had them in half precision."""
    rows = held.pop("chunks")
    del held["vectors"]
    ((fingerprint,),) = held.pop("fingerprint")
    held["fingerprint"] = asdict(Fingerprint(**json.loads(fingerprint)))
    held["chunks"] = [row[:-1] for row in rows]
    return held, unpack([row[-1] for row in rows], DIM)


def test_there_is_a_fixture_of_each_released_schema() -> None:
    assert {path.name for path in FIXTURES.glob("*.gz")} == {f"schema-{version}.db.gz" for version in RELEASED}


@pytest.mark.parametrize("version", RELEASED)
def test_the_next_index_makes_an_old_index_equal_to_a_new_one(
    version: int, vault: Path, index_dir: Path, tmp_path: Path, fake_model, fake_encoder
) -> None:
    database = make_index(version, vault, index_dir)
    assert version_of(database) == version
    report = run_index(index_dir, fake_model, vault)
    assert version_of(database) == SCHEMA_VERSION
    # Before schema 3, an index did not know which reader had read its notes: the one in Org is read again.
    updated = 1 if version < 3 else 0
    assert (report.added, report.updated, report.removed, report.unchanged) == (0, updated, 0, 5 - updated)
    # The Org note has two chunks, one of which reads differently now; those of schema 1 have no codes.
    assert (report.encoded, report.coded) == {1: (9, 7), 2: (1, 0), 3: (0, 0)}[version]

    run_index(tmp_path / "new", fake_model, vault)
    old, old_vectors = comparable(contents(index_dir))
    new, new_vectors = comparable(contents(tmp_path / "new"))
    assert old == new
    np.testing.assert_allclose(old_vectors, new_vectors, atol=0 if version > 1 else 0.01)
    assert [codes for _, codes in codes_of(index_dir)] == [codes for _, codes in codes_of(tmp_path / "new")]


def codes_of(index_dir: Path) -> list[tuple[str, bytes]]:
    with closing(sqlite3.connect(index_dir / "notes.db")) as connection:
        return connection.execute(
            """SELECT path || position, codes FROM chunks JOIN notes ON notes.id = note_id
               JOIN token_codes ON chunk_id = chunks.id ORDER BY path, position"""
        ).fetchall()


@pytest.mark.parametrize("version", RELEASED)
def test_an_old_index_is_a_new_one_to_what_is_changed_in_it(
    version: int, vault: Path, index_dir: Path, tmp_path: Path, fake_model, fake_encoder
) -> None:
    make_index(version, vault, index_dir)
    (vault / "cap.md").write_text("---\ndate: 2024-02-10\n---\n# CAP\n\nAnother text, with other words.\n")
    (vault / "quorum.md").unlink()
    (vault / "plain.txt").rename(vault / "moved.txt")
    report = run_index(index_dir, fake_model, vault)
    assert (report.added, report.updated, report.removed, report.renamed) == (0, 2 if version < 3 else 1, 1, 1)
    run_index(tmp_path / "new", fake_model, vault)
    assert comparable(contents(index_dir))[0] == comparable(contents(tmp_path / "new"))[0]


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
class TestOlder:
    def test_searching_it_says_what_to_do(self, version: int, vault: Path, index_dir: Path) -> None:
        database = make_index(version, vault, index_dir)
        before = database.read_bytes()
        with pytest.raises(StoreError) as caught:
            IndexReader(index_dir)
        assert str(index_dir) in caught.value.message and "older" in caught.value.message
        assert "notesearch index" in caught.value.hint
        assert database.read_bytes() == before

    def test_a_step_that_fails_leaves_it_as_it_was(
        self, version: int, vault: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch, fake_model, fake_encoder
    ) -> None:
        database = make_index(version, vault, index_dir)
        before = whole(database)
        last = schema._STEPS[-1]

        def fail(connection: sqlite3.Connection) -> None:
            last(connection)
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(schema, "_STEPS", (*schema._STEPS[:-1], fail))
        with pytest.raises((NotesearchError, sqlite3.OperationalError)):
            IndexWriter(index_dir)
        assert (version_of(database), whole(database)) == (version, before)
        monkeypatch.undo()

    def test_a_run_that_is_killed_in_it_leaves_it_as_it_was(
        self, version: int, vault: Path, index_dir: Path, fake_model, fake_encoder
    ) -> None:
        database = make_index(version, vault, index_dir)
        before = whole(database)
        done = subprocess.run([sys.executable, "-c", MIGRATE_AND_DIE, index_dir], timeout=60)
        assert done.returncode == -signal.SIGKILL
        assert (version_of(database), whole(database)) == (version, before)
        run_index(index_dir, fake_model, vault)
        assert version_of(database) == SCHEMA_VERSION


def test_more_vectors_than_are_packed_at_once(vault: Path, index_dir: Path) -> None:
    database = make_index(1, vault, index_dir)
    vectors = np.random.default_rng(0).normal(size=(2500, DIM)).astype("<f2")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).astype("<f2")
    with closing(sqlite3.connect(database)) as connection, connection:
        # As if as many chunks had come and gone, but for every tenth.
        connection.executemany(
            "INSERT INTO embeddings VALUES (?, ?)",
            [(1000 + 10 * number, vector.tobytes()) for number, vector in enumerate(vectors)],
        )
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        schema.migrate(connection)
        rows = connection.execute("SELECT vector FROM embeddings WHERE chunk_id >= 1000 ORDER BY chunk_id")
        np.testing.assert_allclose(unpack([row[0] for row in rows], DIM), vectors, atol=0.005)


def test_an_older_index_in_a_read_only_directory_is_told_too(
    vault: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_index(1, vault, index_dir)
    database.chmod(0o400)
    index_dir.chmod(0o500)
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)  # the superuser may write everything
    with pytest.raises(StoreError, match="older format"):
        IndexReader(index_dir)
    assert stat.S_IMODE(index_dir.stat().st_mode) == 0o500
    index_dir.chmod(0o700)


def test_a_newer_index_is_refused_for_reading_and_for_writing(vault: Path, index_dir: Path) -> None:
    database = make_index(SCHEMA_VERSION, vault, index_dir)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = whole(database)
    for opened in (IndexReader, IndexWriter):
        with pytest.raises(IndexTooNew) as caught:
            opened(index_dir)
        assert "Update notesearch" in caught.value.hint
    assert (version_of(database), whole(database)) == (SCHEMA_VERSION + 1, before)


@pytest.mark.parametrize("version", RELEASED)
def test_vectors_of_another_model_never_get_into_it(
    version: int, vault: Path, index_dir: Path, other_model, fake_encoder
) -> None:
    database = make_index(version, vault, index_dir)
    (vault / "new.md").write_text("# New\n\nThis would need a vector.\n")
    with pytest.raises(IndexMismatch) as caught:
        run_index(index_dir, other_model, vault)
    assert "fake-model" in caught.value.message
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (5,)
    assert fake_encoder.encoded == []
    run_index(index_dir, other_model, vault, rebuild=True)
    with closing(IndexReader(index_dir)) as reader:
        assert (reader.fingerprint.model, reader.count_notes()) == ("other-model", 6)


def test_every_command_refuses_a_newer_index(
    vault: Path, index_dir: Path, own_folders: None, monkeypatch: pytest.MonkeyPatch, fake_encoder, capsys
) -> None:
    from notesearch.cli import app, main

    database = make_index(SCHEMA_VERSION, vault, index_dir)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    monkeypatch.setenv("NOTESEARCH_INDEX_DIR", str(index_dir))
    note = str(vault / "cap.md")
    commands = {
        "index": [[], ["--rebuild"], ["--forget", str(vault)]],
        "search": [["quorum"], ["quorum", "--mode", "lexical"]],
        "rerank": [["quorum", note]],
        "tag": [[], [note]],
        "train-classifier": [["--quick"]],
        "eval": [[]],
        "tune": [[]],
        "accept": [],  # adds to a file of its own
        "concepts": [["suggest"]],
        "status": [[]],
        "doctor": [[], ["--repair"]],
        "similar": [[note]],
        "duplicates": [[]],
        "watch": [[]],
        "config": [],  # these two
        "open": [],  # open no index
        "mcp": [],  # answers each question with an error
    }
    known = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    assert known <= commands.keys(), "a command that this test does not know"
    for name in known:
        for arguments in commands[name]:
            monkeypatch.setattr(sys, "argv", ["notesearch", str(name), *arguments])
            with pytest.raises(SystemExit) as caught:
                main()
            said = "".join(capsys.readouterr())
            assert caught.value.code in ((1, 2) if name == "doctor" else (2,)), (name, arguments, said)
            assert f"schema {SCHEMA_VERSION + 1}" in said and "Traceback" not in said, (name, arguments, said)
