import json
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from indexing.vault import contents
from storage.building import as_nobody

import notesearch
from notesearch.doctor_api import Check, examine, repair
from notesearch.errors import IndexBusy, IndexMissing, StoreError
from notesearch.library.index import sync_index
from notesearch.library.tune import Accepted, add_accepted
from notesearch.private import working_folder
from notesearch.settings import Settings, cache_dir
from notesearch.storage.lock import acquire_lock
from notesearch.storage.words import searchable_words
from notesearch.writeback.journal import Entry, JournalWriter
from notesearch.writeback.plan import FileEdit

NOTES = {
    "cap.md": "---\ntags: [databases]\ndate: 2024-02-10\n---\n# CAP theorem\n\nConsistency or availability.",
    "cooking/dal.md": "---\ntags: cooking\n---\n# Dal\n\nLentils, turmeric, salt.",
    "cooking/bread.md": "# Bread\n\nFlour, water, salt.",
}


@pytest.fixture(autouse=True)
def own_temporary_folder(own_folders, monkeypatch, tmp_path):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


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
    assert repair(settings) == []


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
    repair(settings)
    assert examine(settings).all_well
    assert stat.S_IMODE((settings.index_dir / "classifiers").stat().st_mode) == 0o700


def test_a_directory_that_others_may_look_into_is_a_warning(settings):
    settings.index_dir.chmod(0o755)
    assert only(settings).state == "warning"
    repair(settings)
    assert stat.S_IMODE(settings.index_dir.stat().st_mode) == 0o700


def test_what_is_not_notesearchs_keeps_its_permissions(settings):
    (settings.index_dir / "diary.txt").write_text("mine")
    (settings.index_dir / "diary.txt").chmod(0o644)
    settings.index_dir.chmod(0o755)
    (settings.index_dir / "notes.db").chmod(0o666)
    repair(settings)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in settings.index_dir.iterdir()}
    assert (modes["diary.txt"], modes["notes.db"]) == (0o644, 0o600)
    assert stat.S_IMODE(settings.index_dir.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("check", "statements"),
    [
        ("rows", ["DELETE FROM chunks WHERE id = 2"]),
        ("rows", ["UPDATE chunks SET text = 'other' WHERE id = 1"]),
        ("rows", ["UPDATE embeddings SET vector = zeroblob(20)"]),
        ("rows", ["UPDATE token_codes SET codes = zeroblob(3)"]),
        ("rows", ["INSERT INTO skipped (folder_id, path, reason) VALUES (50, 'x', 'y')"]),
        ("words", ["INSERT INTO note_words (note_words) VALUES ('delete-all')"]),
        ("database", ["DROP INDEX tags_by_key"]),
        ("database", ["UPDATE meta SET value = '[]' WHERE key = 'fingerprint'"]),
        ("database", ["DELETE FROM meta WHERE key = 'fingerprint'"]),
        ("database", ["DROP TABLE chunks"]),
        ("database", ["DELETE FROM note_words_config"]),
    ],
)
def test_a_database_that_is_wrong_is_told_of_and_repaired(settings, check, statements):
    before = contents(settings.index_dir)
    change(settings, *statements)
    if statements != ["DELETE FROM note_words_config"]:  # SQLite has words for that, which are looked at on their own
        assert check in {entry.check for entry in examine(settings).checks if entry.state == "wrong"}
    assert repair(settings)
    assert [entry for entry in examine(settings).checks if entry.state == "wrong"] == []
    assert contents(settings.index_dir) == before


@pytest.mark.parametrize("table", ["notes", "chunks", "sqlite_autoindex_folders_1", "folders", "meta"])
def test_a_damaged_database_is_put_aside_and_its_folders_are_indexed_again(settings, table):
    before = contents(settings.index_dir)
    overwrite(settings, table)
    damaged = (settings.index_dir / "notes.db").read_bytes()
    assert found(settings, "database")[0].state == "wrong"
    done = "\n".join(repair(settings))
    assert "3 notes added" in done
    assert contents(settings.index_dir) == before
    (aside,) = settings.index_dir.glob("notes.db.damaged-*")
    assert str(aside) in done
    assert aside.read_bytes() == damaged
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert only(settings) == Check(
        "leftovers", "warning", f"{aside}, a damaged index (0.4 MB)", "Delete it when all is well again."
    )


def spoil_header(settings: Settings, place: int) -> None:
    data = bytearray((settings.index_dir / "notes.db").read_bytes())
    data[place] = 9
    (settings.index_dir / "notes.db").write_bytes(data)


def test_a_database_that_sqlite_will_not_write_any_more_is_damaged(settings):
    before = contents(settings.index_dir)
    spoil_header(settings, 18)  # the format that a writer must know
    assert found(settings, "database")[0].state == "wrong"
    repair(settings)
    assert contents(settings.index_dir) == before


def test_a_database_that_sqlite_makes_no_sense_of_is_damaged(settings):
    spoil_header(settings, 47)  # the format of the schema
    assert "unsupported file format" in found(settings, "database")[0].message
    assert repair(settings)[-1].endswith("notesearch index FOLDER")


def test_two_repairs_put_two_databases_aside(settings):
    for _ in range(2):
        overwrite(settings, "chunks")
        repair(settings)
    assert len(list(settings.index_dir.glob("notes.db.damaged-*"))) == 2


def test_where_the_folders_are_lost_the_user_is_asked_for_them(settings, folder):
    before = contents(settings.index_dir)
    data = (settings.index_dir / "notes.db").read_bytes()
    (settings.index_dir / "notes.db").write_bytes(bytes(16384) + data[16384:])
    done = repair(settings)
    assert f"it held notes in {folder}" in done[-1] and done[-1].endswith("notesearch index FOLDER")
    (check,) = found(settings, "database")
    assert check.state == "wrong" and check.hint.endswith("notesearch index FOLDER")
    assert not (settings.index_dir / "notes.db").exists()
    sync_index(settings, [folder])
    assert contents(settings.index_dir) == before


def test_a_damaged_index_of_a_folder_out_of_reach_is_left_until_it_is_back(settings, folder):
    before = contents(settings.index_dir)
    overwrite(settings, "chunks")
    folder.rename(folder.with_name("unmounted"))
    assert str(folder) in repair(settings)[-1]
    assert (settings.index_dir / "notes.db").exists()
    folder.with_name("unmounted").rename(folder)
    repair(settings)
    assert contents(settings.index_dir) == before


def test_of_two_folders_the_one_within_reach_is_indexed_and_the_other_named(settings, folder, tmp_path):
    other = tmp_path / "other notes"
    other.mkdir()
    (other / "tulips.md").write_text("Tulips")
    sync_index(settings, [other])
    overwrite(settings, "chunks")
    other.rename(tmp_path / "unmounted")
    done = "\n".join(repair(settings))
    assert f"notesearch index '{other}'" in done and "3 notes added" in done


def test_the_models_of_a_damaged_index_are_taken_for_the_new_one(settings, folder):
    other = replace(settings, model="another-model")
    sync_index(other, [], rebuild=True)
    overwrite(settings, "chunks")
    repair(settings)
    assert json.loads(contents(settings.index_dir)["fingerprint"][0][0])["model"] == "another-model"


def test_where_indexing_again_fails_the_command_for_it_is_told(settings, fake_models):
    overwrite(settings, "chunks")

    fake_models.files["all-MiniLM-L6-v2"] = StoreError("no model today", "Try tomorrow.")
    done = repair(settings)
    assert "no model today. Try tomorrow." in done[-2]
    assert done[-1].endswith("notesearch index --model all-MiniLM-L6-v2")


def test_a_repair_that_was_killed_is_gone_on_with_by_index(settings, monkeypatch):
    before = contents(settings.index_dir)
    overwrite(settings, "chunks")

    def stop(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("notesearch.doctor_api.repairs.sync_index", stop)
        repair(settings)
    sync_index(settings, [])
    assert contents(settings.index_dir) == before
    assert only(settings).check == "leftovers"  # the damaged one


def test_the_notes_are_never_written(settings, folder):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.md")}
    overwrite(settings, "notes")
    repair(settings)
    assert {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()
    } == before


def test_nothing_is_repaired_while_somebody_writes(settings):
    overwrite(settings, "chunks")
    before = (settings.index_dir / "notes.db").read_bytes()
    lock = acquire_lock(settings.index_dir)
    with pytest.raises(IndexBusy):
        repair(settings)
    assert (settings.index_dir / "notes.db").read_bytes() == before
    assert any(check.check == "writer" and "is writing" in check.message for check in examine(settings).checks)
    lock.release()


def test_an_index_of_another_version_is_told_of_and_left_alone(settings):
    change(settings, "PRAGMA user_version = 99")
    before = (settings.index_dir / "notes.db").read_bytes()
    (check,) = found(settings, "database")
    assert check.state == "wrong" and "another version" in check.message
    assert "another version" in repair(settings)[-1]
    assert (settings.index_dir / "notes.db").read_bytes() == before


def test_chunks_without_codes_are_a_warning(settings):
    change(settings, "DELETE FROM token_codes WHERE chunk_id = 1")
    check = only(settings)
    assert (check.check, check.state, check.hint) == ("rows", "warning", "Add them: notesearch index")


@pytest.fixture
def with_vector_file(settings) -> Settings:
    sync_index(settings, [])
    assert (settings.index_dir / "vectors.hnsw").exists()
    return settings


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: b"\xff" * len(data), lambda data: None]
)
def test_a_damaged_vector_file_is_made_anew(with_vector_file, damage):
    path = with_vector_file.index_dir / "vectors.hnsw"
    times, data = path.stat(), damage(path.read_bytes())
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    check = only(with_vector_file)
    assert (check.check, check.state) == ("vector file", "wrong")
    repair(with_vector_file)
    assert examine(with_vector_file).all_well
    assert path.stat().st_size == times.st_size


def test_chunks_that_count_as_gone_though_they_are_there_come_back(with_vector_file):
    before = contents(with_vector_file.index_dir)
    change(with_vector_file, "INSERT INTO dead_vectors VALUES (1)")
    assert only(with_vector_file).check == "vector file"
    repair(with_vector_file)
    assert contents(with_vector_file.index_dir) == before


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


def test_another_token_model_of_the_same_name_is_wrong(settings, tmp_path, monkeypatch):
    (tmp_path / "colbert").mkdir()
    monkeypatch.setattr("notesearch.encoders.models.token_model_fingerprint", lambda name: "one")
    for encoder, state in (("one", []), ("two", ["wrong"])):
        model = f"'$.token_model', '{tmp_path}/colbert', '$.token_encoder', '{encoder}'"
        change(settings, f"UPDATE meta SET value = json_set(value, {model}) WHERE key = 'fingerprint'")
        assert [check.state for check in found(settings, "model")] == state


def test_a_token_model_of_the_hub_is_not_looked_for(settings, monkeypatch):
    change(settings, "UPDATE meta SET value = json_set(value, '$.token_model', 'a/b') WHERE key = 'fingerprint'")
    assert found(settings, "model") == []


def test_a_prepared_model_that_gives_other_vectors_is_wrong_and_forgotten(settings, fake_models, monkeypatch):
    monkeypatch.setattr(fake_models.encoder, "_vector", lambda text: np.eye(16, dtype=np.float32)[5])
    check = only(settings)
    assert (check.check, check.state) == ("model", "wrong")
    assert "gives other vectors" in check.message
    repair(settings)
    assert fake_models.forgotten == [fake_models.config_of("all-MiniLM-L6-v2").fingerprint]


def test_a_prepared_model_that_is_not_as_it_was_written_is_wrong(settings, fake_models, monkeypatch):
    sound = fake_models.prepare("all-MiniLM-L6-v2")
    monkeypatch.setattr(
        "notesearch.encoders.models.find_prepared",
        lambda fingerprint, *, thoroughly=False: None if thoroughly else sound,
    )
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


def test_what_dead_runs_left_is_removed_and_what_lives_is_not(settings, tmp_path):
    old = time.time() - 2 * 86_400
    index_dir = settings.index_dir
    dead = [
        index_dir / "vectors.hnsw.new",
        index_dir / "rebuilt.db",
        index_dir / "models" / ".training.safetensors.new",
        index_dir / "models" / ".tuned-x" / "weights",
        index_dir / "classifiers" / ".writing-x" / "half",
        cache_dir() / "encoders" / ".preparing-x" / "model",
        tmp_path / "tmp" / "notesearch-eval-x" / "notes.md",
    ]
    live = [index_dir / "models" / ".tuned-y" / "weights", tmp_path / "tmp" / "notesearch-tune-y" / "notes.md"]
    other = [tmp_path / "tmp" / "of-another-program" / "x"]
    for path in (*dead, *live, *other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    for path in (*dead, *other):
        os.utime(path, (old, old))
        if path.parent != index_dir:
            os.utime(path.parent, (old, old))
    for path in (index_dir, *index_dir.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    for folder in {path.parent for path in dead[3:]}:
        os.utime(folder, (old, old))
    check = only(settings)
    assert (check.check, check.state) == ("leftovers", "warning")
    assert len(repair(settings)) == len(dead)
    assert examine(settings).all_well
    assert not any(path.exists() for path in dead)
    assert all(path.exists() for path in (*live, *other))


def test_a_locked_folder_is_alive_however_old_and_an_unlocked_one_is_dead(settings):
    with working_folder(cache_dir(), ".eval-") as folder:
        os.utime(folder, (0, 0))
        assert not found(settings, "leftovers")
    (cache_dir() / ".eval-killed").mkdir()
    assert found(settings, "leftovers")


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"no database at all", b"SQLite format 3\0" + b"\xff" * 5000])
def test_whatever_stands_in_notes_db_there_is_an_answer(settings, folder, content):
    (settings.index_dir / "notes.db").write_bytes(content)
    assert found(settings, "database")[0].state == "wrong"
    assert repair(settings)[-1].endswith("notesearch index FOLDER")
