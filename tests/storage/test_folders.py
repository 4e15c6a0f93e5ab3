"""The list of folders beside the database: never shorter than what the database knows."""

import stat
from pathlib import Path

import pytest

from notesearch.errors import IndexDamaged
from notesearch.storage.folders import Coverage, folders_file, read_coverage, write_coverage
from notesearch.storage.rebuild import rebuilding
from notesearch.storage.writer import IndexWriter

from .building import FINGERPRINT, FOLDER, check_words, encoded_note, found, write

OTHER = Path("/other vault")


def add(writer: IndexWriter, folder: Path) -> None:
    with writer.transaction():
        writer.add_folder(folder)


def test_a_folder_is_listed_before_the_database_learns_of_it(writer: IndexWriter, index_dir: Path) -> None:
    add(writer, FOLDER)
    with pytest.raises(KeyboardInterrupt), writer.transaction():
        writer.add_folder(OTHER)
        raise KeyboardInterrupt
    assert writer.coverage() == Coverage((FOLDER,), FINGERPRINT)
    assert read_coverage(index_dir) == Coverage((OTHER, FOLDER), FINGERPRINT)
    writer.keep_coverage(without=OTHER)
    assert read_coverage(index_dir) == writer.coverage()


def test_a_folder_stays_listed_until_the_database_has_forgotten_it(writer: IndexWriter, index_dir: Path) -> None:
    add(writer, FOLDER)
    with writer.transaction():
        writer.remove_folder(1)
        assert read_coverage(index_dir).folders == (FOLDER,)
    writer.keep_coverage(without=FOLDER)
    assert read_coverage(index_dir) == Coverage((), FINGERPRINT)


def test_a_database_that_knows_too_little_does_not_shorten_the_list(writer: IndexWriter, index_dir: Path) -> None:
    add(writer, FOLDER)
    with writer.transaction():
        writer.remove_folder(1)
        writer.add_folder(OTHER)
    writer.keep_coverage()
    writer.close()
    assert read_coverage(index_dir).folders == (OTHER, FOLDER)
    with IndexWriter(index_dir, anew=True) as again:
        assert again.coverage().folders == (OTHER, FOLDER)


def test_a_folder_inside_another_is_listed_with_it(writer: IndexWriter, index_dir: Path) -> None:
    for folder in (FOLDER / "inner", FOLDER):
        add(writer, folder)
    assert read_coverage(index_dir).folders == (FOLDER,)


def test_the_list_is_private_and_a_half_written_one_is_none(index_dir: Path) -> None:
    index_dir.mkdir()
    half = index_dir / "folders.json.new"
    half.write_text('{"folders": ["/va')
    write_coverage(index_dir, Coverage((FOLDER,)))
    assert stat.S_IMODE(folders_file(index_dir).stat().st_mode) == 0o600
    assert read_coverage(index_dir) == Coverage((FOLDER,))
    half.write_text("left by another run")
    write_coverage(index_dir, Coverage((FOLDER,)))
    assert not half.exists()


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b"{}", b'{"folders": [1], "made_with": null}', b"[" * 100_000]
)
def test_a_damaged_list_is_empty(index_dir: Path, content: bytes) -> None:
    index_dir.mkdir()
    folders_file(index_dir).write_bytes(content)
    assert read_coverage(index_dir) == Coverage()


def damage(index_dir: Path) -> None:
    path = index_dir / "notes.db"
    path.write_bytes(path.read_bytes()[:16384] + b"\xff" * 50_000)


def test_a_damaged_index_is_made_anew_from_the_list(writer: IndexWriter, index_dir: Path) -> None:
    write(writer, encoded_note("a.md", "old"))
    writer.keep_coverage()
    writer.close()
    damage(index_dir)
    with pytest.raises(IndexDamaged):
        IndexWriter(index_dir)
    with IndexWriter(index_dir, anew=True) as again:
        assert again.coverage() == Coverage((FOLDER,), FINGERPRINT)
        with rebuilding(again, FINGERPRINT) as rebuilt:
            assert [path for _, path in rebuilt.folders()] == [FOLDER]
            write(rebuilt, encoded_note("b.md", "new"))
        write(again, encoded_note("c.md", "newer"))
    assert found(index_dir, "old new newer") == ["b.md", "c.md"]
    check_words(index_dir)
    assert sorted(path.name for path in index_dir.iterdir()) == ["folders.json", "notes.db", "writer.lock"]


def test_a_sound_index_is_not_taken_for_a_damaged_one(writer: IndexWriter, index_dir: Path) -> None:
    write(writer, encoded_note("a.md", "old"))
    writer.close()
    with IndexWriter(index_dir, anew=True) as again:
        assert again.counts() == (1, 1)
