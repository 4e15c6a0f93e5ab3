import json

import pytest
from typer.testing import CliRunner

from notesearch.cli import app
from notesearch.errors import UsageError
from notesearch.library.tune import Accepted, read_accepted


@pytest.fixture
def vault(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTESEARCH_INDEX_DIR", str(tmp_path / "index"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "a.md").write_text("# A\n\ntext\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_remembers_places_as_other_programs_print_them(vault):
    hit = json.dumps({"path": str(vault / "a.md"), "start_line": 3})
    result = CliRunner().invoke(app, ["accept", " what  lasts ", "a.md:3:text", "a.md", hit, "missing.md"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "missing.md: no such file" in result.stderr
    assert "3 accepted." in result.stderr
    path = str(vault / "a.md")
    assert read_accepted(vault / "index") == ([Accepted("what lasts", path, 3), Accepted("what lasts", path)], [])


def test_reads_places_from_stdin(vault):
    result = CliRunner().invoke(app, ["accept", "q", "-", "--quiet"], input="a.md:1:# A\n")
    assert (result.exit_code, result.output) == (0, "")
    assert read_accepted(vault / "index")[0] == [Accepted("q", str(vault / "a.md"), 1)]


def test_exits_with_1_where_nothing_was_accepted(vault):
    assert CliRunner().invoke(app, ["accept", "q", "missing.md"]).exit_code == 1
    assert read_accepted(vault / "index") == ([], [])


def test_an_empty_query_is_refused(vault):
    result = CliRunner().invoke(app, ["accept", " ", "a.md"])
    assert isinstance(result.exception, UsageError)
