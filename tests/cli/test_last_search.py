import json
import os
import stat
from pathlib import Path

import pytest

from notesearch.cli.last_search import LastSearch, recall_search, remember_search
from notesearch.records import Hit, Place
from notesearch.settings import cache_dir


def hits(*places):
    return [
        Hit(rank, 1.0, path, "T", "", line, line, "secret words", (), "") for rank, (path, line) in enumerate(places, 1)
    ]


def files():
    return [path for path in cache_dir().rglob("*") if path.is_file()]


def test_a_search_is_remembered(tmp_path):
    note = tmp_path / "a.md"
    remember_search("what is it", hits((str(note), 3), ("/gone.md", 1)))
    assert recall_search() == LastSearch("what is it", (Place(note, 3), Place(Path("/gone.md"), 1)))


def test_a_name_that_is_no_text_is_remembered(tmp_path):
    path = os.fsdecode(b"/notes/\xff\n.md")
    remember_search("x", hits((path, 1)))
    (place,) = recall_search().places
    assert str(place.path) == path


def test_nothing_is_remembered_at_first():
    assert recall_search() is None


def test_the_next_search_takes_its_place():
    remember_search("one", hits(("/a.md", 1)))
    remember_search("two", [])
    assert recall_search() == LastSearch("two", ())
    assert len(files()) == 1


def test_it_is_for_its_owner_only_and_holds_no_text_of_notes():
    before = os.umask(0)
    try:
        remember_search("query", hits(("/a.md", 1)))
    finally:
        os.umask(before)
    (file,) = files()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert json.loads(file.read_text()) == {"query": "query", "places": [["/a.md", 1]]}


def age(file, hours):
    then = file.stat().st_mtime - hours * 3600
    os.utime(file, (then, then))


def test_it_is_forgotten_after_a_day(monkeypatch):
    remember_search("query", hits(("/a.md", 1)))
    (file,) = files()
    age(file, 23)
    assert recall_search() is not None
    age(file, 2)
    assert recall_search() is None
    monkeypatch.setattr("os.getsid", lambda process: 7)
    remember_search("another", [])
    assert not file.exists() and len(files()) == 1


def test_each_session_and_each_terminal_has_its_own(monkeypatch):
    remember_search("mine", [])
    for name, value in (("getsid", lambda process: 7), ("ttyname", lambda descriptor: "/dev/pts/9")):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, value)
            assert recall_search() is None
            remember_search("theirs", [])
    assert recall_search().query == "mine"
    assert len(files()) == 3


@pytest.mark.parametrize("text", ["", "{", "[]", '{"query": "x"}', '{"query": "x", "places": [[1]]}', "null", "\ufeff"])
def test_what_cannot_be_read_is_no_search(text):
    remember_search("query", [])
    (file,) = files()
    file.write_text(text, encoding="utf-8")
    assert recall_search() is None


def test_a_folder_that_cannot_be_written_is_not_in_the_way(tmp_path):
    cache_dir().parent.mkdir(parents=True, exist_ok=True)
    cache_dir().write_text("a file in the place of the folder")
    remember_search("query", [])
    assert recall_search() is None
