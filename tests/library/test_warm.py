"""An index that stays open answers as one that was opened just now, whatever happens to it meanwhile."""

import gc
import os
import shutil
import sqlite3
import threading
import weakref
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest

from notesearch import open_index
from notesearch.encoders import models
from notesearch.errors import IndexDamaged, IndexMissing, ModelError, NoteUnreadable, SettingsError, UsageError
from notesearch.library.index import sync_index
from notesearch.library.warm import WarmIndex
from notesearch.settings import Settings

NOTES = {f"{number}.md": f"# Note {number}\n\nraft and {word}\n" for number, word in enumerate(["kale", "leek", "yam"])}
QUERIES = ["raft", "kale", "leek raft", '"raft and yam"', "nothing"]


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in NOTES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def settings(tmp_path, folder, fake_encoder) -> Settings:
    settings = Settings(tmp_path / "index")
    sync_index(settings, [folder])
    return settings


@pytest.fixture
def warm(settings):
    warm = WarmIndex(settings)
    yield warm
    warm.close()


def search(warm, query, **options):
    with warm.reading() as (index, _):
        return index.search(query, **options)


def paths(hits):
    return [Path(hit.path).name for hit in hits]


def assert_as_opened_just_now(warm, settings):
    with open_index(settings.index_dir, concepts=False) as index:
        for query in QUERIES:
            for mode in ("hybrid", "dense", "lexical"):
                found, expected = search(warm, query, mode=mode), index.search(query, mode=mode)
                assert [exact(hit) for hit in found] == [exact(hit) for hit in expected], (query, mode)


def exact(hit):
    values = asdict(hit)
    return {
        name: pytest.approx(value, abs=1e-5) if isinstance(value, float) else value
        for name, value in values.items()
        if name not in ("scores", "contributions", "evidence")
    }


@pytest.mark.parametrize("with_graph", [False, True])
def test_hits_are_those_of_a_search_that_opens_the_index(warm, settings, folder, with_graph):
    if with_graph:
        warm = WarmIndex(settings, graph_from=1)
        sync_index(settings, [])
        with warm.reading() as (_, reader):
            assert reader.graph() is not None
    for _ in range(2):
        assert_as_opened_just_now(warm, settings)


def test_changes_are_seen_by_the_next_search(warm, settings, folder):
    assert paths(search(warm, "kale", mode="lexical")) == ["0.md"]
    (folder / "new.md").write_text("kale once more, kale")
    (folder / "0.md").unlink()
    assert paths(search(warm, "kale", mode="lexical")) == ["0.md"], "as long as nobody has indexed it"
    sync_index(settings, [folder])
    assert paths(search(warm, "kale", mode="lexical")) == ["new.md"]
    assert_as_opened_just_now(warm, settings)
    sync_index(settings, [folder], rebuild=True)
    assert_as_opened_just_now(warm, settings)


def test_a_search_under_way_sees_one_state(warm, settings, folder):
    with warm.reading() as (index, reader):
        (folder / "new.md").write_text("kale once more")
        sync_index(settings, [folder])
        assert paths(index.search("kale", mode="lexical")) == ["0.md"]
        assert reader.count_notes() == 3
    assert len(search(warm, "kale", mode="lexical")) == 2


def test_nothing_is_loaded_twice_as_long_as_nothing_changes(warm, settings, folder, monkeypatch):
    opened = []
    encoder_of = models.encoder_of
    monkeypatch.setattr(models, "encoder_of", lambda *wanted: opened.append(wanted) or encoder_of(*wanted))
    with warm.reading() as (first, _):
        first.search("kale")
    with warm.reading() as (second, _):
        second.search("leek")
    assert first is second
    os.utime(folder / "0.md", (1, 1))
    (folder / "1.md").write_text("changed")
    sync_index(settings, [folder])
    search(warm, "kale")
    assert len(opened) == 1, "the model is the same still"


def test_a_state_that_is_over_is_not_kept_in_memory(warm, settings):
    others = set(threading.enumerate())
    gc.disable()  # it would come at last; but another graph may have been loaded by then, and another
    try:
        with warm.reading() as (index, reader):
            index.search("kale", mode="hybrid")
            old = weakref.ref(reader)
        threads = set(threading.enumerate()) - others
        assert threads
        del index, reader
        sync_index(settings, [], rebuild=True)
        search(warm, "kale", mode="hybrid")
        assert old() is None
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive()
    finally:
        gc.enable()


def test_an_index_that_comes_later(tmp_path, folder, fake_encoder):
    settings = Settings(tmp_path / "later")
    warm = WarmIndex(settings)
    for _ in range(2):
        with pytest.raises(IndexMissing):
            search(warm, "kale")
    sync_index(settings, [folder])
    assert paths(search(warm, "kale", mode="lexical")) == ["0.md"]
    shutil.rmtree(settings.index_dir)
    with pytest.raises(IndexMissing):
        search(warm, "kale")
    sync_index(settings, [folder])
    assert paths(search(warm, "kale", mode="lexical")) == ["0.md"]
    warm.close()


def test_a_bad_request_leaves_it_open(warm):
    with warm.reading() as (first, _):
        pass
    with pytest.raises(UsageError):
        search(warm, " ")
    with warm.reading() as (second, _):
        assert first is second


def test_a_note_that_cannot_be_read_leaves_it_open(warm):
    with pytest.raises(NoteUnreadable), warm.reading() as (first, _):
        raise NoteUnreadable("gone")
    with warm.reading() as (second, _):
        assert first is second


def test_a_model_that_could_not_be_loaded_is_tried_again(warm, fake_models):
    model = fake_models.files["all-MiniLM-L6-v2"]
    fake_models.files["all-MiniLM-L6-v2"] = ModelError("not fetched yet")
    with pytest.raises(ModelError):
        search(warm, "kale")
    fake_models.files["all-MiniLM-L6-v2"] = model
    assert search(warm, "kale")


def test_after_a_failure_it_is_opened_anew(warm):
    with pytest.raises(LookupError), warm.reading() as (first, _):
        raise LookupError("a defect")
    with warm.reading() as (second, _):
        assert first is not second


def test_damage_is_named_as_such_and_does_not_last(warm, settings, folder):
    search(warm, "kale")
    database = settings.index_dir / "notes.db"
    sound = database.read_bytes()
    for log in settings.index_dir.glob("notes.db-*"):
        log.unlink()
    warm.close()
    database.write_bytes(sound[:4096] + b"\xff" * (len(sound) - 4096))
    with pytest.raises(IndexDamaged):
        search(warm, "kale")
    database.write_bytes(sound)
    assert paths(search(warm, "kale", mode="lexical")) == ["0.md"]


def test_damage_that_shows_while_it_is_opened_is_named_as_such(warm, settings):
    change_column = "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = 'chunks'"
    columns = ["note_id INTEGER NOT NULL", "note_id INTEGER"]
    for statement, parameters in (
        (change_column, columns),
        ("UPDATE chunks SET note_id = NULL", []),
        (change_column, columns[::-1]),
    ):
        with closing(sqlite3.connect(settings.index_dir / "notes.db")) as database:
            database.execute("PRAGMA writable_schema = ON")
            database.execute(statement, parameters)
            database.commit()
    with pytest.raises(IndexDamaged, match="NULL value in chunks"):
        search(warm, "kale")


def test_links_between_ideas_are_read_anew_when_they_change(tmp_path, settings):
    concepts = tmp_path / "concepts.toml"
    concepts.write_text('[concepts]\n"kale" = ["leek"]\n')
    warm = WarmIndex(Settings(settings.index_dir, concepts=concepts))
    assert paths(search(warm, "kale", mode="lexical")) == ["0.md", "1.md"]
    concepts.write_text('[concepts]\n"kale" = ["yam"]\n\n')
    assert paths(search(warm, "kale", mode="lexical")) == ["0.md", "2.md"]
    concepts.write_text("[concepts\n")
    with pytest.raises(SettingsError):
        search(warm, "kale")
    concepts.unlink()
    with pytest.raises(SettingsError):
        search(warm, "kale")
    warm.close()
