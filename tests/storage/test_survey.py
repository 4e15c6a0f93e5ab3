import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from notesearch.errors import IndexDamaged, IndexMissing
from notesearch.files import Stamp, hash_of
from notesearch.records import Skipped
from notesearch.storage.database import acquire_lock, writer_is_at_work
from notesearch.storage.rows import SkippedFile
from notesearch.storage.survey import IndexSurvey, StoredFile
from notesearch.storage.writer import IndexWriter

from .building import FINGERPRINT, FOLDER, as_nobody, encoded_note, write

A_MD = StoredFile("/vault/a.md", Stamp(13, 1), hash_of(b"Lentils\nCumin"))


@pytest.fixture
def written(index_dir: Path, writer: IndexWriter) -> Path:
    """An index of two notes and one skipped file, closed; gives its directory."""
    write(writer, encoded_note("a.md", "Lentils", "Cumin", title="Dal", tags=["b", "a"]), encoded_note("b.md", "Wahl"))
    with writer.transaction():
        ((folder_id, _),) = writer.folders()
        writer.add_skipped(folder_id, [SkippedFile(Skipped("/vault/x.md", "binary file"))])
        writer.set_synced([FOLDER], datetime(2024, 5, 17, tzinfo=UTC))
    writer.close()
    return index_dir


def test_what_an_index_consists_of(written):
    with IndexSurvey(written) as survey:
        assert survey.fingerprint == FINGERPRINT
        assert survey.notes_by_folder() == {str(FOLDER): 2}
        assert survey.count_chunks() == 3
        assert survey.files() == [A_MD, StoredFile("/vault/b.md", Stamp(4, 1), hash_of(b"Wahl"))]
        assert survey.skipped() == [("/vault/x.md", "binary file")]
        assert survey.synced() == {str(FOLDER): datetime(2024, 5, 17, tzinfo=UTC)}


def test_bytes_by_part_add_up_to_the_file(written):
    with IndexSurvey(written) as survey:
        parts = survey.part_bytes()
    assert parts["text"] == len("LentilsCuminWahl")
    assert parts["embeddings"] == 3 * (4 + FINGERPRINT.dim)
    assert parts["token_codes"] == 3
    assert parts["words"] > 0
    assert sum(parts.values()) == (written / "notes.db").stat().st_size


def test_a_note_by_its_path(written):
    with IndexSurvey(written) as survey:
        note = survey.note("/vault/a.md")
        assert note is not None
        assert (note.title, note.tags, note.chunks, note.problems) == ("Dal", ("b", "a"), 2, ())
        assert note.file == A_MD
        assert survey.note("/vault/other.md") is None


def test_it_sees_one_state_while_another_is_written(written):
    with IndexSurvey(written) as survey:
        assert survey.count_chunks() == 3
        with IndexWriter(written) as writer:
            write(writer, encoded_note("c.md", "New"))
        assert survey.count_chunks() == 3
    with IndexSurvey(written) as survey:
        assert survey.count_chunks() == 4


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE notes SET mtime_ns = 'late'",
        "UPDATE notes SET path = x'00' WHERE id = 1",
        "UPDATE notes SET path = CAST(x'2fff' AS TEXT) WHERE id = 1",
        "UPDATE meta SET value = '[1]' WHERE key = 'fingerprint'",
    ],
)
def test_values_of_another_kind_are_damage(written, statement):
    with closing(sqlite3.connect(written / "notes.db", isolation_level=None)) as connection:
        connection.execute(statement)
    with pytest.raises(IndexDamaged), IndexSurvey(written) as survey:
        survey.files()


def test_an_index_of_nothing_is_none(tmp_path):
    with pytest.raises(IndexMissing):
        IndexSurvey(tmp_path)


def test_a_writer_is_seen_and_not_disturbed(index_dir, tmp_path):
    assert not writer_is_at_work(tmp_path)
    index_dir.mkdir()
    lock = acquire_lock(index_dir)
    assert writer_is_at_work(index_dir)
    lock.release()
    assert not writer_is_at_work(index_dir)
    acquire_lock(index_dir).release()


def test_a_writer_is_seen_by_who_may_only_read(index_dir, public_dir):
    target = public_dir / "index"
    target.mkdir(mode=0o755)
    lock = acquire_lock(target)
    (target / "writer.lock").chmod(0o644)
    assert as_nobody(lambda: writer_is_at_work(target)) is True
    lock.release()
    assert as_nobody(lambda: writer_is_at_work(target)) is False
