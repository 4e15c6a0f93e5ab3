"""What `doctor` asks of SQLite; tests/library/test_doctor.py has a damage of each kind."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from notesearch.errors import IndexMissing
from notesearch.storage.check import IndexCheck, full_text_fits
from notesearch.storage.writer import IndexWriter

from .building import as_nobody, encoded_note, remove, vector_of, write


@pytest.fixture
def written(index_dir: Path, writer: IndexWriter) -> Path:
    """An index of nine notes with a vector file, from which a note has gone since, closed; gives its directory."""
    write(writer, *(encoded_note(f"{number}.md", f"Text {number}", tags=["t"]) for number in range(9)))
    writer.update_vector_file()
    remove(writer, "4.md")
    writer.close()
    return index_dir


def test_a_sound_index_has_no_faults_and_is_left_as_it_is(written: Path) -> None:
    before = (written / "notes.db").read_bytes()
    with IndexCheck(written) as check:
        assert (check.damage(), check.faults(), check.vector_file_fault()) == ("", [], "")
    assert full_text_fits(written)
    assert (written / "notes.db").read_bytes() == before


def test_without_an_index_there_is_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing):
        IndexCheck(tmp_path)


def test_pages_that_do_not_hold_together_are_told(written: Path) -> None:
    with closing(sqlite3.connect(written / "notes.db")) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'chunks_by_note'").fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    data = bytearray((written / "notes.db").read_bytes())
    data[root * page_bytes - 100 : root * page_bytes] = bytes(100)  # cells stand at the end of a page
    (written / "notes.db").write_bytes(data)
    with IndexCheck(written) as check:
        assert check.damage()


def test_a_flipped_bit_in_a_vector_file_is_noticed_though_its_time_is_as_before(written: Path) -> None:
    path = written / "vectors.hnsw"
    times, data = path.stat(), bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with IndexCheck(written) as check:
        assert check.vector_file_fault() == "vectors.hnsw is not as it was written; searches do without it"
        path.unlink()
        assert check.vector_file_fault() == "vectors.hnsw is missing; searches do without it"


def test_the_full_text_of_an_index_that_may_not_be_written_is_not_checked(written: Path, public_dir: Path) -> None:
    target = public_dir / "index"
    written.rename(target)
    target.chmod(0o755)
    (target / "notes.db").chmod(0o644)
    kind, _ = as_nobody(lambda: full_text_fits(target))
    assert kind == "StoreError"


def test_samples_come_from_all_over_the_index(written: Path) -> None:
    with IndexCheck(written) as check:
        passages, vectors = check.sample_passages(2)
        assert [passage.splitlines()[-1] for passage in passages] == ["Text 3", "Text 7"]
        np.testing.assert_allclose(vectors, [vector_of("Text 3"), vector_of("Text 7")], atol=0.01)
        assert len(check.sample_passages(9)[0]) == 8
