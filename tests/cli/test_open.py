import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def editor(monkeypatch):
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "vim")


def test_a_hit_of_the_last_search(run, indexed, terminals):
    terminals.add("stdout")
    run("search", "flour lentils salt", "--limit", "3")
    paths = run("search", "flour lentils salt", "--limit", "3", "--files").out.splitlines()
    for number, path in enumerate(paths, start=1):
        done = run("open", str(number), "--print")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("vim +") and done.out.rstrip("'\n").endswith(path)
    assert run("open", "--print").out == run("open", "1", "--print").out


@pytest.mark.parametrize("arguments", [["similar", "cooking/dal.md"], ["rerank", "flour", "cooking/white bread.md"]])
def test_a_hit_of_whatever_has_printed_hits_last(run, indexed, terminals, monkeypatch, arguments):
    terminals.add("stdout")
    monkeypatch.chdir(indexed)
    run("search", "consistency")
    assert run("open", "--print").out.endswith("/cap.md\n")
    assert run(*arguments).code == 0
    assert run("open", "--print").out.endswith("/cooking/white bread.md'\n")


def test_a_number_that_was_not_among_them(run, indexed, terminals):
    terminals.add("stdout")
    run("search", "salt", "--limit", "2")
    for number in ("0", "3"):
        done = run("open", number, "--print")
        assert (done.code, done.out) == (2, "")
        assert f"has no hit {number}" in done.err and "from 1 to 2" in done.err


def test_a_search_that_found_nothing_is_the_last_search_too(run, indexed, terminals):
    terminals.add("stdout")
    run("search", "salt")
    run("search", "--mode", "lexical", "blockchain")
    done = run("open", "1")
    assert done.code == 2 and "found nothing" in done.err


def test_searches_of_scripts_are_not_remembered(run, indexed, monkeypatch):
    run("search", "salt", "--json")
    run("search", "salt")
    done = run("open", "1")
    assert done.code == 2 and "no search in this terminal is remembered" in done.err


def test_batches_are_not_remembered(run, indexed, terminals, tmp_path):
    terminals.add("stdout")
    (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "salt"}\n')
    assert run("search", "--queries", tmp_path / "queries.jsonl").code == 0
    assert run("open", "1").code == 2


@pytest.mark.parametrize("target", ["{}", "{}:3", "{}:3:1:Bread: flour"])
def test_a_note_by_its_path(run, indexed, target, monkeypatch):
    monkeypatch.chdir(indexed)
    done = run("open", target.format("cooking/white bread.md"), "--print")
    line = "+3 " if ":" in target else ""
    assert (done.code, done.out) == (0, f"vim {line}'{indexed}/cooking/white bread.md'\n")


def test_a_note_that_is_not_there(run, indexed):
    done = run("open", "nothing.md:3")
    assert (done.code, done.out) == (2, "")
    assert "there is no note 'nothing.md:3'" in done.err


def test_a_folder_is_no_note(run, indexed):
    done = run("open", indexed, "--print")
    assert (done.code, done.out) == (2, "")
    assert f"{indexed} is a folder" in done.err


def test_a_hit_that_is_gone_since(run, indexed, terminals):
    terminals.add("stdout")
    run("search", "lentils turmeric", "--limit", "1")
    (indexed / "cooking" / "dal.md").unlink()
    done = run("open", "1")
    assert (done.code, done.out) == (2, "")
    assert "dal.md is not there any more" in done.err and "notesearch index" in done.err


def test_the_editor_of_the_settings(run, indexed, tmp_path):
    file = Path(run("config", "--path").out.strip())
    file.parent.mkdir(parents=True)
    file.write_text('editor = "code --wait"\n')
    assert run("open", f"{indexed}/cap.md:4", "--print").out == f"code --wait --goto {indexed}/cap.md:4\n"


def test_no_editor(run, indexed, monkeypatch):
    monkeypatch.delenv("EDITOR")
    done = run("open", indexed / "cap.md")
    assert done.code == 2 and "no editor was chosen" in done.err


class TestSearchAndOpen:
    @pytest.fixture
    def opened(self, tmp_path, monkeypatch):
        """An editor that writes down what it is given; a function that reads it."""
        script = tmp_path / "vim"
        script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/opened\n')
        script.chmod(0o700)
        monkeypatch.setenv("EDITOR", str(script))
        return lambda: (tmp_path / "opened").read_text().splitlines() if (tmp_path / "opened").exists() else None

    def test_the_best_hit_is_opened_and_nothing_printed(self, run, indexed, opened):
        done = run("search", "lentils turmeric", "--open")
        assert (done.code, done.out, done.err) == (0, "", "")
        line, path = opened()
        assert path == str(indexed / "cooking" / "dal.md") and line.startswith("+")

    def test_the_others_can_be_opened_then(self, run, indexed, opened):
        run("search", "lentils turmeric", "--open")
        assert run("open", "3").code == 0
        assert opened()[1] != str(indexed / "cooking" / "dal.md")

    def test_where_nothing_is_found_nothing_is_opened(self, run, indexed, opened):
        done = run("search", "--mode", "lexical", "blockchain", "--open")
        assert (done.code, done.err) == (1, "Nothing found.\n")
        assert opened() is None

    @pytest.mark.parametrize("other", [["--json"], ["--files"], ["--queries", "x"]])
    def test_what_prints_does_not_go_with_it(self, run, indexed, opened, other):
        done = run("search", *(["salt"] if other[0] != "--queries" else []), "--open", *other)
        assert done.code == 2 and "--open" in done.err
        assert opened() is None


class TestObsidian:
    @pytest.fixture
    def programs(self, tmp_path, monkeypatch):
        """A folder that is all of PATH."""
        folder = tmp_path / "programs"
        folder.mkdir()
        monkeypatch.setenv("PATH", str(folder))
        return folder

    def test_where_nothing_opens_uris_the_uri_is_printed(self, run, indexed, programs):
        done = run("open", indexed / "cap.md", "--obsidian")
        assert (done.code, done.out) == (0, f"obsidian://open?path={str(indexed / 'cap.md').replace('/', '%2F')}\n")

    def test_else_it_is_opened(self, run, indexed, programs, tmp_path, monkeypatch):
        monkeypatch.delenv("EDITOR")  # none is needed
        opener = programs / ("open" if sys.platform == "darwin" else "xdg-open")
        opener.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
        opener.chmod(0o700)
        assert run("open", indexed / "cap.md", "--obsidian").out == ""
        uri = (tmp_path / "opened").read_text()
        assert uri.startswith("obsidian://open?path=") and uri.endswith("cap.md\n")
        done = run("open", indexed / "cap.md", "--obsidian", "--print")
        assert done.out == f"{opener} '{uri.strip()}'\n"

    def test_a_note_that_is_gone(self, run, indexed, programs, terminals):
        terminals.add("stdout")
        run("search", "lentils turmeric", "--limit", "1")
        (indexed / "cooking" / "dal.md").unlink()
        assert run("open", "1", "--obsidian").code == 2


def in_a_terminal(command: str, environment: dict[str, str]) -> str:
    """What a terminal shows of a shell command that is run in a session of its own."""
    master, slave = pty.openpty()
    done = subprocess.Popen(
        ["sh", "-c", command], env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:  # Linux says EIO where nobody has the terminal open any more
            break
        if not part:
            break
        shown += part
    os.close(master)
    done.wait()
    return shown.decode()


def test_a_real_terminal_knows_its_own_last_search(sample, tmp_path):
    environment = sample.environment | {"EDITOR": "vim", "NO_COLOR": "1"}
    environment.pop("VISUAL", None)
    ns = f"{sys.executable} -m notesearch"
    shown = in_a_terminal(f"{ns} search kimchi --mode lexical --limit 2 && {ns} open 1 --print", environment)
    assert "kimchi.md" in shown.splitlines()[-1] and shown.splitlines()[-1].startswith("vim +")
    assert "no search in this terminal is remembered" in in_a_terminal(f"{ns} open 1 --print", environment)
