import os
import resource
import signal
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from notesearch.errors import IndexBusy, IndexDamaged, IndexMissing, StoreError
from notesearch.records import Filters
from notesearch.storage import IndexReader, WordQuery, database
from notesearch.storage.database import database_file, open_for_reading, open_for_writing
from notesearch.storage.writer import IndexWriter

from .building import FINGERPRINT, as_nobody, encoded_note, found, rows, write


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def fill(index_dir: Path, *texts: str) -> None:
    with IndexWriter(index_dir) as writer:
        with writer.transaction():
            writer.set_fingerprint(FINGERPRINT)
        write(writer, *(encoded_note(f"{number}.md", text) for number, text in enumerate(texts)))


class TestPrivacy:
    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777])
    def test_an_index_is_private_whatever_the_umask(self, index_dir: Path, umask: int) -> None:
        before = os.umask(umask)
        try:
            with IndexWriter(index_dir / "deep") as writer:
                with writer.transaction():
                    writer.set_fingerprint(FINGERPRINT)
                files = {path.name: mode(path) for path in (index_dir / "deep").iterdir()}
        finally:
            os.umask(before)
        assert mode(index_dir / "deep") == 0o700
        assert {"notes.db", "notes.db-wal", "notes.db-shm", "writer.lock"} <= set(files)
        assert set(files.values()) == {0o600}

    def test_a_database_that_others_could_read_is_closed_to_them(self, index_dir: Path) -> None:
        fill(index_dir, "text")
        (index_dir / "notes.db").chmod(0o644)
        open_for_writing(database_file(index_dir)).close()
        assert mode(index_dir / "notes.db") == 0o600


class TestMissing:
    def test_a_directory_that_does_not_exist(self, index_dir: Path) -> None:
        with pytest.raises(IndexMissing) as caught:
            IndexReader(index_dir)
        assert str(index_dir) in caught.value.message
        assert "notesearch index FOLDER" in caught.value.hint
        assert not index_dir.exists()

    def test_an_empty_directory(self, index_dir: Path) -> None:
        index_dir.mkdir()
        with pytest.raises(IndexMissing):
            IndexReader(index_dir)
        assert list(index_dir.iterdir()) == []

    def test_an_empty_database(self, index_dir: Path) -> None:
        index_dir.mkdir()
        (index_dir / "notes.db").touch()
        with pytest.raises(IndexMissing, match="empty"):
            IndexReader(index_dir)

    def test_an_index_that_was_never_given_a_folder(self, index_dir: Path) -> None:
        IndexWriter(index_dir).close()
        with pytest.raises(IndexMissing, match="empty"):
            IndexReader(index_dir)


class TestUnusable:
    def test_an_index_directory_that_is_a_file(self, index_dir: Path) -> None:
        index_dir.write_text("not a directory")
        with pytest.raises(StoreError, match="not a directory"):
            open_for_reading(index_dir)
        with pytest.raises(StoreError, match="cannot write"):
            IndexWriter(index_dir)
        assert index_dir.read_text() == "not a directory"

    def test_an_index_directory_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="cannot write"):
            IndexWriter(tmp_path / "file" / "index")

    def test_a_database_of_garbage(self, index_dir: Path) -> None:
        index_dir.mkdir()
        garbage = b"this is not a database, by any means" * 500
        (index_dir / "notes.db").write_bytes(garbage)
        for opening in (open_for_reading, IndexWriter, IndexReader):
            with pytest.raises(IndexDamaged) as caught:
                opening(index_dir)
            assert "notes.db" in caught.value.message
            assert "notesearch doctor --repair" in caught.value.hint
        assert (index_dir / "notes.db").read_bytes() == garbage

    def test_damage_inside_the_database_is_an_index_damaged_wherever_it_is_met(self, index_dir: Path) -> None:
        fill(index_dir, *(f"some words number {number}" * 20 for number in range(100)))
        path = index_dir / "notes.db"
        data = path.read_bytes()
        page = 4096
        raised = 0
        for start in range(page, len(data), 4 * page):
            path.write_bytes(data[:start] + b"\xa5" * 4 * page + data[start + 4 * page :])
            try:
                with closing(IndexReader(index_dir)) as reader:
                    reader.vectors()
                    reader.dead_chunks()
                    reader.match(WordQuery(("words",)), 10, Filters(tags=("none",)))
                    reader.notes(range(100))
                    reader.chunks_of_notes(range(100))
            except IndexDamaged:
                raised += 1
        assert raised > 0


class TestPermissions:
    @pytest.fixture
    def index(self, public_dir: Path) -> Path:
        fill(public_dir / "index", "findable")
        for path in (public_dir / "index").iterdir():
            path.chmod(0o444)
        (public_dir / "index").chmod(0o555)
        return public_dir / "index"

    def test_a_read_only_index_can_be_searched(self, index: Path) -> None:
        assert as_nobody(lambda: found(index, "findable")) == ["0.md"]
        assert sorted(path.name for path in index.iterdir()) == ["folders.json", "notes.db", "writer.lock"]

    def test_a_read_only_index_whose_writer_was_killed_is_not_read_without_its_log(self, index: Path) -> None:
        (index / "notes.db-wal").write_bytes(b"changes that belong to the database")
        for path in (index / "notes.db-wal", index):
            path.chmod(0o555)
        name, _ = as_nobody(lambda: IndexReader(index))
        assert name == "StoreError"

    def test_a_directory_that_may_not_be_written(self, index: Path) -> None:
        name, message = as_nobody(lambda: IndexWriter(index))
        assert name == "StoreError"
        assert message == f"cannot write to the index directory {index}: Permission denied"

    def test_a_directory_that_may_not_be_made(self, public_dir: Path) -> None:
        name, message = as_nobody(lambda: IndexWriter(public_dir / "new"))
        assert (name, "Permission denied" in message) == ("StoreError", True)

    def test_a_directory_that_may_not_be_read(self, index: Path) -> None:
        index.chmod(0o000)
        name, message = as_nobody(lambda: IndexReader(index))
        assert (name, "Permission denied" in message) == ("StoreError", True)

    def test_a_database_that_may_not_be_read(self, index: Path) -> None:
        (index / "notes.db").chmod(0o000)
        name, message = as_nobody(lambda: IndexReader(index))
        assert (name, str(index) in message) == ("StoreError", True)


class TestBlame:
    """A program that meets what cannot be says so as a defect, unless the database is damaged."""

    def test_a_sound_database_leaves_a_defect_a_defect(self, index_dir: Path) -> None:
        fill(index_dir, "text")
        for opening in (IndexReader, IndexWriter):
            with pytest.raises(KeyError), opening(index_dir):
                raise KeyError

    def test_a_damaged_database_is_to_blame(self, index_dir: Path) -> None:
        fill(index_dir, "text", "more")
        ((page,),) = rows(index_dir, "SELECT rootpage FROM sqlite_master WHERE name = 'chunks_by_note'")
        ((page_bytes,),) = rows(index_dir, "PRAGMA page_size")
        with (
            pytest.raises(IndexDamaged, match="damaged") as caught,
            IndexReader(index_dir),
            (index_dir / "notes.db").open("rb+") as file,
        ):
            file.seek((page - 1) * page_bytes)
            file.write(bytes(page_bytes))
            file.flush()
            raise KeyError("a chunk that belongs to no note")
        assert isinstance(caught.value.__cause__, KeyError)
        assert "doctor --repair" in caught.value.hint

    def test_an_error_of_another_kind_is_not_looked_into(self, index_dir: Path) -> None:
        fill(index_dir, "text")
        with pytest.raises(KeyboardInterrupt), IndexReader(index_dir):
            (index_dir / "notes.db").write_bytes(b"garbage")
            raise KeyboardInterrupt


class TestLocks:
    def test_a_second_writer_is_turned_away_and_the_first_goes_on(self, writer: IndexWriter, index_dir: Path) -> None:
        with pytest.raises(IndexBusy) as caught:
            IndexWriter(index_dir)
        assert str(index_dir) in caught.value.message
        write(writer, encoded_note("a.md", "still writing"))
        assert found(index_dir, "still") == ["a.md"]

    def test_the_next_writer_gets_in_when_the_first_has_closed(self, index_dir: Path) -> None:
        IndexWriter(index_dir).close()
        IndexWriter(index_dir).close()

    def test_a_writer_that_could_not_open_leaves_no_lock(self, index_dir: Path) -> None:
        index_dir.mkdir()
        (index_dir / "notes.db").write_bytes(b"garbage" * 1000)
        with pytest.raises(IndexDamaged):
            IndexWriter(index_dir)
        (index_dir / "notes.db").unlink()
        IndexWriter(index_dir).close()

    def test_a_writer_that_was_killed_leaves_no_lock_and_nothing_half_written(self, index_dir: Path) -> None:
        fill(index_dir, "before")
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            killed = IndexWriter(index_dir)
            with killed.transaction():
                killed.remove_notes([1])
                os.write(writing, b"in the middle")
                signal.pause()
        assert os.read(reading, 100) == b"in the middle"
        with pytest.raises(IndexBusy):
            IndexWriter(index_dir)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with IndexWriter(index_dir) as writer:
            write(writer, encoded_note("b.md", "after"))
        assert (found(index_dir, "before"), found(index_dir, "after")) == (["0.md"], ["b.md"])

    def test_a_database_locked_by_some_other_program(self, index_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(index_dir, "before")
        monkeypatch.setattr(database, "_BUSY_TIMEOUT_MS", 20)
        with (
            closing(sqlite3.connect(index_dir / "notes.db", isolation_level=None)) as other,
            IndexWriter(index_dir) as writer,
        ):
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(IndexBusy, match="another process"):
                write(writer, encoded_note("b.md", "too early"))
            other.execute("ROLLBACK")
            write(writer, encoded_note("b.md", "in time"))
        assert found(index_dir, "early time") == ["b.md"]


class TestFullDisk:
    """A limit on the size of files makes writes fail as a full disk does."""

    def test_a_transaction_that_does_not_fit_leaves_the_old_state(self, index_dir: Path) -> None:
        fill(index_dir, "before")
        before = rows(index_dir, "SELECT text FROM chunks")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        with IndexWriter(index_dir) as writer:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
            try:
                with pytest.raises(StoreError) as caught:
                    write(writer, *(encoded_note(f"{n}.md", f"long {n} " * 5_000) for n in range(200)))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert not isinstance(caught.value, IndexDamaged)
            assert rows(index_dir, "SELECT text FROM chunks") == before
            write(writer, encoded_note("b.md", "after"))
        assert (found(index_dir, "before"), found(index_dir, "after")) == (["0.md"], ["b.md"])
