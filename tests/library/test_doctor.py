import os
import shutil
import sqlite3
import stat
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from indexing.vault import contents
from storage.building import as_nobody

import notesearch
from notesearch.encoders.preparing import prepared_directory
from notesearch.errors import IndexBusy, IndexMissing, StoreError
from notesearch.files import working_folder
from notesearch.library.checks import Check
from notesearch.library.doctor import examine, repair
from notesearch.library.index import forget_folder, sync_index
from notesearch.library.tune import Accepted, add_accepted
from notesearch.records import Chunking
from notesearch.settings import Settings, cache_dir
from notesearch.storage.database import acquire_lock
from notesearch.storage.folders import Coverage, read_coverage, write_coverage
from notesearch.storage.full_text import searchable_words
from notesearch.writeback.journal import Entry, JournalWriter
from notesearch.writeback.plan import FileEdit

NOTES = {
    "cap.md": "---\ntags: [databases]\ndate: 2024-02-10\n---\n# CAP theorem\n\nConsistency or availability.",
    "cooking/dal.md": "---\ntags: cooking\n---\n# Dal\n\nLentils, turmeric, salt.",
    "cooking/bread.md": "# Bread\n\nFlour, water, salt.",
}


@pytest.fixture(autouse=True)
def own_cache(own_folders):
    """Leftovers of other runs in the user's cache are not seen."""


@pytest.fixture
def folder(tmp_path) -> Path:
    for name, text in NOTES.items():
        path = tmp_path / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return tmp_path / "notes"


@pytest.fixture
def settings(fake_models, folder, tmp_path) -> Settings:
    """Those of an index of the notes."""
    made = Settings(tmp_path / "index")
    sync_index(made, [folder])
    return made


def found(settings: Settings, check: str) -> list[Check]:
    """What a check says that is not ok."""
    return [entry for entry in examine(settings).checks if entry.check == check and entry.state != "ok"]


def only(settings: Settings) -> Check:
    """The one thing that is not ok."""
    (check,) = [check for check in examine(settings).checks if check.state != "ok"]
    return check


def repaired(settings: Settings) -> list[str]:
    """What a repair says that it did."""
    return repair(settings, examine(settings))


def stamps(folder: Path) -> dict[Path, tuple[bytes, int]]:
    """Content and time of all notes."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def change(settings: Settings, *statements: str) -> None:
    with closing(sqlite3.connect(settings.index_dir / "notes.db", isolation_level=None)) as connection:
        connection.create_function("words", 1, searchable_words)
        for statement in statements:
            connection.execute(statement)


def overwrite(settings: Settings, table: str) -> None:
    """Zeroes the first page of a table."""
    path = settings.index_dir / "notes.db"
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", [table]).fetchone()
        (page,) = connection.execute("PRAGMA page_size").fetchone()
    data = bytearray(path.read_bytes())
    data[(root - 1) * page : root * page] = bytes(page)
    path.write_bytes(data)


def test_a_sound_index_is_well_and_left_as_it_is(settings, folder):
    before = (settings.index_dir / "notes.db").read_bytes()
    examination = examine(settings)
    assert examination.all_well
    assert {check.check for check in examination.checks} >= {
        "directory",
        "space",
        "permissions",
        "database",
        "rows",
        "words",
        "vector file",
        "folders",
        "model",
        "writer",
        "leftovers",
        "machine",
    }
    assert all(check.state == "ok" and check.message and not check.hint for check in examination.checks)
    assert (settings.index_dir / "notes.db").read_bytes() == before
    assert repaired(settings) == []


def test_versions_are_told(settings):
    versions = examine(settings).versions
    assert versions["notesearch"] == notesearch.__version__
    assert versions["numpy"] == np.__version__
    assert versions["sqlite"] == sqlite3.sqlite_version
    assert {"python", "onnxruntime", "hnswlib", "tokenizers"} <= versions.keys()


def test_without_an_index_nothing_can_be_checked(tmp_path):
    with pytest.raises(IndexMissing):
        examine(Settings(tmp_path / "index"))


def test_a_directory_that_may_not_be_entered_cannot_be_checked(settings, tmp_path):
    with tempfile.TemporaryDirectory(dir="/tmp") as outer:
        index = Path(outer, "closed", "index")
        index.parent.mkdir(mode=0o700)
        Path(outer).chmod(0o755)
        kind, message = as_nobody(lambda: examine(Settings(index)))
    assert kind == StoreError.__name__ and str(index) in message


def test_a_read_only_index_is_a_warning(settings):
    with tempfile.TemporaryDirectory(dir="/tmp") as outer:
        Path(outer).chmod(0o755)
        index = Path(outer, "index")
        shutil.copytree(settings.index_dir, index)
        index.chmod(0o755)
        for path in index.iterdir():
            path.chmod(0o644)
        checks = as_nobody(lambda: examine(Settings(index)).checks)
    states = {check.check: check.state for check in checks}
    assert (states["directory"], states["database"], states["words"]) == ("warning", "ok", "warning")


def test_little_space_is_a_warning(settings, monkeypatch):
    usage = shutil.disk_usage(settings.index_dir)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=1_000_000))
    check = only(settings)
    assert (check.check, check.state) == ("space", "warning")
    assert "1 MB free" in check.message


def test_files_that_others_may_read_are_wrong_and_made_private(settings):
    (settings.index_dir / "notes.db").chmod(0o644)
    (settings.index_dir / "classifiers").mkdir(mode=0o755)
    check = only(settings)
    assert (check.check, check.state) == ("permissions", "wrong")
    assert "notes.db" in check.message and "--repair" in check.hint
    repaired(settings)
    assert examine(settings).all_well
    assert stat.S_IMODE((settings.index_dir / "classifiers").stat().st_mode) == 0o700


def test_a_directory_that_others_may_look_into_is_a_warning(settings):
    settings.index_dir.chmod(0o755)
    assert only(settings).state == "warning"
    repaired(settings)
    assert stat.S_IMODE(settings.index_dir.stat().st_mode) == 0o700


def test_what_is_not_notesearchs_keeps_its_permissions(settings):
    (settings.index_dir / "diary.txt").write_text("mine")
    (settings.index_dir / "diary.txt").chmod(0o644)
    settings.index_dir.chmod(0o755)
    (settings.index_dir / "notes.db").chmod(0o666)
    repaired(settings)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in settings.index_dir.iterdir()}
    assert (modes["diary.txt"], modes["notes.db"]) == (0o644, 0o600)
    assert stat.S_IMODE(settings.index_dir.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("check", "statement"),
    [
        ("rows", "DELETE FROM chunks WHERE id = 2"),
        ("rows", "DELETE FROM notes WHERE id = 1"),
        ("rows", "DELETE FROM embeddings WHERE chunk_id = 1"),
        ("rows", "DELETE FROM token_codes WHERE chunk_id = 1"),
        ("rows", "UPDATE embeddings SET vector = CAST(x'0000c07f' || substr(vector, 5) AS BLOB) WHERE chunk_id = 2"),
        ("rows", "UPDATE embeddings SET vector = CAST(x'00000000' || substr(vector, 5) AS BLOB) WHERE chunk_id = 2"),
        ("rows", "UPDATE token_codes SET codes = zeroblob(0)"),
        ("rows", "UPDATE token_codes SET codes = 7 WHERE chunk_id = 3"),
        ("rows", "UPDATE notes SET size = 'much' WHERE id = 2"),
        ("rows", "UPDATE folders SET path = CAST(path AS BLOB)"),
        ("rows", "UPDATE chunks SET start_line = 0 WHERE id = 2"),
        ("rows", "INSERT INTO dead_vectors VALUES (1)"),
        ("rows", "INSERT INTO skipped VALUES (50, 'x', 'y', 0, -1, 0, 0, 0, 0)"),
        ("database", "UPDATE embeddings SET vector = zeroblob(19) WHERE chunk_id = 1"),
        ("database", "UPDATE notes SET title = CAST(x'ff41' AS TEXT) WHERE id = 3"),
        ("database", "UPDATE meta SET value = '[]' WHERE key = 'fingerprint'"),
        ("database", "DELETE FROM meta WHERE key = 'fingerprint'"),
        ("database", "UPDATE meta SET value = '[]' WHERE key = 'synced'"),
        ("database", "PRAGMA user_version = 0"),
        ("database", "PRAGMA user_version = 99"),
        ("database", "DROP TABLE chunks"),
        ("database", "DROP INDEX tags_by_key"),
        ("database", "ALTER TABLE links RENAME COLUMN anchor TO anchnr"),
        ("words", "INSERT INTO note_words (note_words) VALUES ('delete-all')"),
        ("words", "UPDATE chunks SET text = 'other' WHERE id = 1"),
        ("words", "DELETE FROM note_words_config"),
    ],
)
def test_a_database_in_which_something_is_wrong_is_made_anew(settings, check, statement):
    before = contents(settings.index_dir)
    change(settings, statement)
    assert check in {entry.check for entry in examine(settings).checks if entry.state == "wrong"}
    assert "made anew from the notes: 3 notes" in repaired(settings)[-1]
    assert {entry.state for entry in examine(settings).checks} == {"ok"}
    assert contents(settings.index_dir) == before


@pytest.mark.parametrize("table", ["notes", "chunks", "sqlite_autoindex_folders_1", "folders", "meta"])
def test_a_damaged_database_is_made_anew_and_the_notes_are_only_read(settings, folder, table):
    before, notes = contents(settings.index_dir), stamps(folder)
    overwrite(settings, table)
    assert found(settings, "database")[0].state == "wrong"
    assert "3 notes" in repaired(settings)[-1]
    assert {entry.state for entry in examine(settings).checks} == {"ok"}
    assert contents(settings.index_dir) == before
    assert stamps(folder) == notes
    left = {path.name for path in settings.index_dir.iterdir()} - {"notes.db-wal", "notes.db-shm"}
    assert left == {"notes.db", "folders.json", "vectors.hnsw", "writer.lock"}


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"no database at all", b"SQLite format 3\0" + b"\xff" * 5000])
def test_whatever_stands_in_notes_db_the_index_comes_back(settings, content):
    before = contents(settings.index_dir)
    (settings.index_dir / "notes.db").write_bytes(content)
    assert found(settings, "database")[0].state == "wrong"
    repaired(settings)
    assert contents(settings.index_dir) == before


def test_an_index_whose_database_is_gone_comes_back(settings):
    before = contents(settings.index_dir)
    (settings.index_dir / "notes.db").unlink()
    assert found(settings, "database")[0].hint == "Repair it: notesearch doctor --repair"
    repaired(settings)
    assert contents(settings.index_dir) == before


@pytest.mark.parametrize("place", [18, 47])  # the formats that a writer must know, and of the schema
def test_a_database_that_sqlite_will_not_write_or_makes_no_sense_of_is_damaged(settings, place):
    before = contents(settings.index_dir)
    data = bytearray((settings.index_dir / "notes.db").read_bytes())
    data[place] = 9
    (settings.index_dir / "notes.db").write_bytes(data)
    assert {"database", "words"} & {entry.check for entry in examine(settings).checks if entry.state == "wrong"}
    repaired(settings)
    assert contents(settings.index_dir) == before


def test_where_the_list_of_folders_is_lost_the_database_is_asked_for_it(settings, folder):
    before = contents(settings.index_dir)
    change(settings, "DELETE FROM chunks WHERE id = 2")
    (settings.index_dir / "folders.json").unlink()
    repaired(settings)
    assert contents(settings.index_dir) == before
    assert read_coverage(settings.index_dir).folders == (folder,)


def test_where_both_are_lost_the_settings_name_the_folders_or_the_user_does(settings, folder):
    before = contents(settings.index_dir)
    (settings.index_dir / "notes.db").write_bytes(b"nothing of SQLite")
    (settings.index_dir / "folders.json").write_text("half a li")
    assert repaired(settings)[-1].endswith("notesearch index --rebuild FOLDER")
    repaired(replace(settings, folders=(folder,)))
    assert contents(settings.index_dir) == before
    (settings.index_dir / "notes.db").write_bytes(b"nothing of SQLite")
    (settings.index_dir / "folders.json").unlink()
    sync_index(settings, [folder], rebuild=True)
    assert contents(settings.index_dir) == before


def test_a_damaged_index_of_folders_out_of_reach_is_left_until_one_is_back(settings, folder):
    before = contents(settings.index_dir)
    overwrite(settings, "chunks")
    damaged = (settings.index_dir / "notes.db").read_bytes()
    folder.rename(folder.with_name("unmounted"))
    for _ in range(2):
        assert str(folder) in repaired(settings)[-1]
        assert (settings.index_dir / "notes.db").read_bytes() == damaged
        folder.mkdir(exist_ok=True)  # an empty mount point
    folder.rmdir()
    folder.with_name("unmounted").rename(folder)
    repaired(settings)
    assert contents(settings.index_dir) == before


def test_of_two_folders_the_one_out_of_reach_is_indexed_when_it_is_back(settings, folder, tmp_path):
    other = tmp_path / "other notes"
    other.mkdir()
    (other / "tulips.md").write_text("Tulips")
    sync_index(settings, [other])
    before = contents(settings.index_dir)["words"]
    overwrite(settings, "chunks")
    other.rename(tmp_path / "unmounted")
    done = "\n".join(repaired(settings))
    assert f"Not indexed: {other}" in done and "3 notes" in done
    (tmp_path / "unmounted").rename(other)
    sync_index(settings, [])
    assert contents(settings.index_dir)["words"] == before


def test_a_damaged_index_is_made_anew_as_it_was_made(settings, folder):
    sync_index(replace(settings, model="another-model"), [], rebuild=True, chunking=Chunking(20, 1))
    before = contents(settings.index_dir)
    overwrite(settings, "chunks")
    repaired(settings)
    assert contents(settings.index_dir) == before


def test_where_making_it_anew_fails_the_old_one_stays(settings, fake_models):
    overwrite(settings, "chunks")
    damaged = (settings.index_dir / "notes.db").stat().st_ino

    fake_models.files["all-MiniLM-L6-v2"] = StoreError("no model today", "Try tomorrow.")
    assert "no model today. Try tomorrow." in repaired(settings)[-1]
    assert (settings.index_dir / "notes.db").stat().st_ino == damaged
    assert found(settings, "database")


def test_a_list_of_folders_that_lacks_one_is_a_warning_and_written_again(settings):
    path = settings.index_dir / "folders.json"
    whole = path.read_text()
    path.write_text("half a li")
    assert (only(settings).check, only(settings).state) == ("folder list", "warning")
    repaired(settings)
    assert path.read_text() == whole


def test_a_folder_that_was_listed_when_a_run_was_killed_can_be_indexed_or_forgotten(settings, folder, tmp_path):
    write_coverage(settings.index_dir, Coverage((folder, tmp_path / "new")))
    assert f"notesearch index --forget {tmp_path}/new" in only(settings).hint
    assert forget_folder(settings, tmp_path / "new") == 0
    assert examine(settings).all_well
    assert read_coverage(settings.index_dir).folders == (folder,)


def test_damage_of_a_folder_in_the_database_does_not_get_into_the_list(settings, folder):
    before = contents(settings.index_dir)
    change(settings, f"UPDATE folders SET path = '{folder}s'", "UPDATE notes SET size = 'much'")
    repaired(settings)
    assert contents(settings.index_dir) == before
    assert read_coverage(settings.index_dir).folders == (folder,)


def test_folders_that_the_settings_name_and_the_index_does_not_cover_are_told(settings, folder, tmp_path):
    assert found(replace(settings, folders=(folder,)), "folders") == []
    (new,) = found(replace(settings, folders=(folder, tmp_path / "new")), "folders")
    assert new.state == "warning" and str(tmp_path / "new") in new.message
    (old,) = found(replace(settings, folders=(folder / "cooking",)), "folders")
    assert str(folder) in old.message and "--forget" in old.hint


def test_nothing_is_repaired_while_somebody_writes(settings):
    overwrite(settings, "chunks")
    before = (settings.index_dir / "notes.db").read_bytes()
    lock = acquire_lock(settings.index_dir)
    with pytest.raises(IndexBusy):
        repaired(settings)
    assert (settings.index_dir / "notes.db").read_bytes() == before
    assert any(
        check.check == "writer" and "a process is writing" in check.message for check in examine(settings).checks
    )
    lock.release()


def test_words_are_not_checked_while_somebody_writes(settings, monkeypatch):
    monkeypatch.setattr("notesearch.storage.check._PATIENCE_MS", 1)
    with closing(sqlite3.connect(settings.index_dir / "notes.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert only(settings).state == "warning"


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: b"\xff" * len(data), lambda data: None]
)
def test_a_damaged_vector_file_is_made_anew(settings, damage):
    path = settings.index_dir / "vectors.hnsw"
    times, data = path.stat(), damage(path.read_bytes())
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    check = only(settings)
    assert (check.check, check.state) == ("vector file", "wrong")
    repaired(settings)
    assert examine(settings).all_well
    assert path.stat().st_size == times.st_size


def test_a_folder_out_of_reach_is_a_warning(settings, folder):
    folder.rename(folder.with_name("unmounted"))
    check = only(settings)
    assert (check.check, check.state) == ("folders", "warning")
    assert f"notesearch index --forget {folder}" in check.hint


def test_another_model_of_the_same_name_is_wrong(settings, fake_models, other_model):
    fake_models.files["all-MiniLM-L6-v2"] = other_model
    check = only(settings)
    assert (check.check, check.state) == ("model", "wrong")
    assert "notesearch index --rebuild" in check.hint


def test_a_model_whose_directory_is_gone_is_wrong(settings, tmp_path):
    change(settings, f"UPDATE meta SET value = replace(value, 'all-MiniLM-L6-v2', '{tmp_path}/model')")
    check = only(settings)
    assert (check.check, check.state) == ("model", "wrong")
    assert f"{tmp_path}/model" in check.message


def test_another_token_model_of_the_same_name_is_wrong(settings, tmp_path, fake_models):
    (tmp_path / "colbert").mkdir()
    fake_models.multi_vector_fingerprint = "one"
    for encoder, state in (("one", []), ("two", ["wrong"])):
        model = f"'$.token_model', '{tmp_path}/colbert', '$.token_encoder', '{encoder}'"
        change(settings, f"UPDATE meta SET value = json_set(value, {model}) WHERE key = 'fingerprint'")
        assert [check.state for check in found(settings, "model")] == state


def test_a_token_model_of_the_hub_is_not_looked_for(settings, monkeypatch):
    change(settings, "UPDATE meta SET value = json_set(value, '$.token_model', 'a/b') WHERE key = 'fingerprint'")
    assert found(settings, "model") == []


def test_a_prepared_model_that_gives_other_vectors_is_prepared_again(settings, fake_models, monkeypatch):
    monkeypatch.setattr(fake_models.encoder, "_vector", lambda text: np.eye(16, dtype=np.float32)[5])
    check = only(settings)
    assert (check.check, check.state) == ("prepared model", "wrong")
    assert "gives other vectors" in check.message
    assert repaired(settings) == ["The model all-MiniLM-L6-v2 was prepared again."]
    assert fake_models.forgotten == [fake_models.fingerprint_of("all-MiniLM-L6-v2")]


def test_a_prepared_model_that_is_not_as_it_was_written_is_wrong(settings, fake_models, monkeypatch):
    sound = fake_models.prepare("all-MiniLM-L6-v2")
    prepared_directory("bi-encoder", sound.config.fingerprint).mkdir(parents=True)
    monkeypatch.setattr("notesearch.encoders.models.find_prepared", lambda fingerprint, *, thoroughly=False: None)
    assert "damaged" in only(settings).message


def test_a_classifier_that_cannot_be_loaded_is_wrong(settings):
    directory = settings.index_dir / "classifiers" / "work"
    directory.mkdir(parents=True, mode=0o700)
    directory.parent.chmod(0o700)
    for content in (b"", b"\xff\xfe", b"[" * 100_000, b'{"format": 1}', b"[]"):
        (directory / "classifier.json").write_bytes(content)
        (directory / "classifier.json").chmod(0o600)
        check = only(settings)
        assert (check.check, check.state) == ("classifiers", "wrong")
        assert check.message and "Traceback" not in check.message


def test_a_tuned_model_that_is_not_whole_is_wrong(settings):
    directory = settings.index_dir / "models" / "tuned-1"
    directory.mkdir(parents=True)
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").write_bytes(b"\x08")
    for path in (directory.parent, directory, *directory.iterdir()):
        path.chmod(0o700 if path.is_dir() else 0o600)
    check = only(settings)
    assert (check.check, check.state) == ("tuned models", "wrong")
    assert str(directory) in check.message


def journal(settings: Settings) -> Path:
    """The journal of a run that wrote tags into one note."""
    directory = settings.index_dir / "tag-journals"
    with JournalWriter(directory) as writer:
        writer.write(Entry("/notes/a.md", FileEdit(0, b"", b"tags"), "0" * 64, "1" * 64, ".notesearch-1"))
    return next(directory.iterdir())


def test_a_journal_that_was_cut_off_is_a_warning(settings):
    path = journal(settings)
    assert any(check.check == "tag journals" and "1 run" in check.message for check in examine(settings).checks)
    line = path.read_bytes()
    path.write_bytes(line + line[:20])
    check = only(settings)
    assert (check.check, check.state) == ("tag journals", "warning")
    assert "after 1 notes" in check.message


def test_a_damaged_journal_is_wrong(settings):
    path = journal(settings)
    line = path.read_bytes()
    for damaged in (b"\xff\xff\n", b"{}\n", b"[" * 100_000 + b"\n"):
        path.write_bytes(damaged + line)
        check = only(settings)
        assert (check.check, check.state) == ("tag journals", "wrong")


def test_a_journal_that_is_being_written_is_no_fault(settings):
    directory = settings.index_dir / "tag-journals"
    with JournalWriter(directory) as writer:
        writer.write(Entry("/notes/a.md", FileEdit(0, b"", b"tags"), "0" * 64, "1" * 64, ".notesearch-1"))
        assert examine(settings).all_well
        assert any("being written" in check.message for check in examine(settings).checks)


def test_accepted_results_that_cannot_be_read_are_a_warning(settings):
    add_accepted(settings.index_dir, [Accepted("salt", "/notes/dal.md", 3)])
    assert examine(settings).all_well
    with (settings.index_dir / "accepted.jsonl").open("a") as file:
        file.write("half a li")
    assert (only(settings).check, only(settings).state) == ("accepted", "warning")


def test_what_dead_runs_left_is_removed_and_what_lives_is_not(settings):
    index_dir = settings.index_dir
    dead = [
        index_dir / "vectors.hnsw.new",
        index_dir / "rebuilt.db",
        index_dir / "models" / ".tuned-x" / "weights",
        index_dir / "classifiers" / ".writing-x" / "half",
        cache_dir() / "encoders" / ".preparing-x" / "model",
        cache_dir() / ".eval-x" / "notes.md",
    ]
    for path in dead:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    with working_folder(cache_dir() / "encoders", ".preparing-y") as alive:
        dead[4].parent.mkdir(exist_ok=True)
        for path in (index_dir, *index_dir.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
        check = only(settings)
        assert (check.check, check.state) == ("leftovers", "warning")
        assert len(repaired(settings)) == len(dead)
        assert {entry.state for entry in examine(settings).checks} == {"ok"}
        assert not any(path.exists() for path in dead)
        assert alive.exists()
