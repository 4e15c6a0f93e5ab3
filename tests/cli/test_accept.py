import json

import pytest

from notesearch.library.tune import Accepted, read_accepted


@pytest.fixture
def vault(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTESEARCH_INDEX_DIR", str(tmp_path / "index"))
    (tmp_path / "a.md").write_text("# A\n\ntext\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_places_are_remembered_as_other_programs_print_them(run, vault):
    hit = json.dumps({"path": str(vault / "a.md"), "start_line": 3})
    done = run("accept", " what  lasts ", "a.md:3:text", "a.md", hit, "missing.md")
    assert (done.code, done.out) == (0, "")
    assert done.err == "skipped  missing.md: no such file\n3 accepted.\n"
    path = str(vault / "a.md")
    assert read_accepted(vault / "index") == ([Accepted("what lasts", path, 3), Accepted("what lasts", path)], [])


def test_places_come_from_stdin(run, vault, stdin):
    stdin("a.md:1:# A\n")
    done = run("accept", "q", "-", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert read_accepted(vault / "index")[0] == [Accepted("q", str(vault / "a.md"), 1)]


def test_it_exits_with_1_where_nothing_was_accepted(run, vault):
    assert run("accept", "q", "missing.md").code == 1
    assert read_accepted(vault / "index") == ([], [])


def test_an_empty_query_is_refused(run, vault):
    done = run("accept", " ", "a.md")
    assert done.code == 2 and "the query is empty" in done.err
