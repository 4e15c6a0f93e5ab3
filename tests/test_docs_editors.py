"""What docs/editors.md gives to editors and shells works there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from doc_examples import ROOT, add_program, blocks_of

EDITORS = ROOT / "docs" / "editors.md"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that come before all others; in it is a notesearch that finds one passage."""
    folder = tmp_path / "stand-ins"
    folder.mkdir()
    add_program(folder, "notesearch", 'printf "<%s>" "$@" >> "$LOG"; echo "/notes/a b.md:12:1:Title: text"')
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return folder


# Runs what the real one does at its start, with a query, and chooses the first line.
FZF = """for argument in "$@"; do
  case $argument in
    start:reload:*) search=${argument#start:reload:} ;;
  esac
done
eval "$(printf '%s' "$search" | sed "s/{q}/'two words'/")" | head -n 1"""


def shell(name: str) -> list[str]:
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    return {"bash": ["bash", "--norc"], "zsh": ["zsh", "-f"], "fish": ["fish", "--no-config"]}[name]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_shell_function_searches_and_opens(name: str, programs: Path, tmp_path: Path) -> None:
    add_program(programs, "fzf", FZF)
    for arguments, options in (("", ""), ("-c 'my work' --tag idea", "<-c><my work><--tag><idea>")):
        (tmp_path / "log").unlink(missing_ok=True)
        script = f"source {ROOT}/docs/shell/notesearch.{name}; nsf {arguments}"
        subprocess.run([*shell(name), "-c", script], check=True, timeout=60)
        searched = f"<search><--vimgrep><--limit><50>{options}<--><two words>"
        assert (tmp_path / "log").read_text() == f"{searched}<open></notes/a b.md:12:1:Title: text>"


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_shell_function_opens_nothing_where_nothing_is_chosen(name: str, programs: Path, tmp_path: Path) -> None:
    add_program(programs, "fzf", "exit 130")
    command = [*shell(name), "-c", f"source {ROOT}/docs/shell/notesearch.{name}; nsf"]
    assert subprocess.run(command, timeout=60).returncode != 0
    assert not (tmp_path / "log").exists()


def test_the_command_of_vim_fills_the_quickfix_list(programs: Path, tmp_path: Path) -> None:
    if not shutil.which("vim"):
        pytest.skip("vim is not installed")
    (plugin,) = blocks_of(EDITORS, "vim")
    (tmp_path / "notesearch.vim").write_text(plugin.text)
    check = f"call writefile([json_encode(getqflist()), bufname(getqflist()[0].bufnr)], '{tmp_path}/list')"
    command = ["vim", "-u", "NONE", "-i", "NONE", "-N", "-es", "-S", str(tmp_path / "notesearch.vim")]
    command += ["-c", 'Notesearch it\'s "two" words', "-c", check, "-c", "qall!"]
    subprocess.run(command, timeout=60, stdin=subprocess.DEVNULL)
    listed, name = (tmp_path / "list").read_text().splitlines()
    (entry,) = json.loads(listed)
    assert (name, entry["lnum"], entry["col"], entry["text"]) == ("/notes/a b.md", 12, 1, "Title: text")
    assert (tmp_path / "log").read_text() == '<search><--vimgrep><--><it\'s "two" words>'


def test_the_task_of_vs_code_knows_the_lines_that_are_printed() -> None:
    (settings,) = blocks_of(EDITORS, "json")
    (task,) = json.loads(settings.text)["tasks"]
    pattern = task["problemMatcher"]["pattern"]
    found = re.match(pattern["regexp"], "/notes/a b.md:12:1:Title: it is 5:30")
    assert found
    assert [found[pattern[name]] for name in ("file", "line", "column", "message")] == [
        "/notes/a b.md",
        "12",
        "1",
        "Title: it is 5:30",
    ]
