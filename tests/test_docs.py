"""The examples of the pages on tasks are run as they stand, on a copy of the sample notes in a new home."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import quote

import pytest
from test_readme import comparable, run

ROOT = Path(__file__).parents[1]
PAGES = ("collections", "editors")


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def transcripts(page: str) -> list[tuple[str, str]]:
    """The commands of the console blocks, in order, each with the output that the page shows for it."""
    found = []
    for block in blocks(page, "console"):
        for example in block.removeprefix("$ ").split("\n$ "):
            command, _, output = example.partition("\n")
            found.append((command, output))
    return found


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared model, for all homes."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def home(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the sample notes, editors that do nothing, and what opens URIs."""
    home = tmp_path / "nora"
    shutil.copytree(ROOT / "sample_notes", home / "notes")
    (home / ".cache").symlink_to(cache)
    (tmp_path / "programs").mkdir()
    for program in ("nvim", "xdg-open", "open"):
        add_program(tmp_path / "programs", program, "")
    monkeypatch.setenv("PATH", f"{tmp_path}/programs{os.pathsep}{os.environ['PATH']}")
    return home


@pytest.mark.parametrize("page", PAGES)
def test_the_transcripts_are_what_the_program_prints(page: str, home: Path) -> None:
    (settings,) = blocks(page, "toml")
    (home / ".config" / "notesearch").mkdir(parents=True)
    (home / ".config" / "notesearch" / "config.toml").write_text(settings, encoding="utf-8")
    examples = transcripts(page)
    assert len(examples) >= 5
    for command, shown in examples:
        output = run(command, home).replace(quote(str(home), safe=""), quote("/home/nora", safe=""))
        printed = comparable(output, home).rstrip("\n")
        assert printed == comparable(shown, home).rstrip("\n"), command


def test_the_settings_in_the_pages_are_valid() -> None:
    for page in PAGES:
        assert all(tomllib.loads(block)["editor"] == "nvim" for block in blocks(page, "toml"))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that come before all others; in it is a notesearch that finds one passage."""
    folder = tmp_path / "stand-ins"
    folder.mkdir()
    add_program(folder, "notesearch", 'printf "<%s>" "$@" >> "$LOG"; echo "/notes/a b.md:12:1:Title: text"')
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return folder


def add_program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o700)


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
    (plugin,) = blocks("editors", "vim")
    (tmp_path / "notesearch.vim").write_text(plugin)
    check = f"call writefile([json_encode(getqflist()), bufname(getqflist()[0].bufnr)], '{tmp_path}/list')"
    command = ["vim", "-u", "NONE", "-i", "NONE", "-N", "-es", "-S", str(tmp_path / "notesearch.vim")]
    command += ["-c", 'Notesearch it\'s "two" words', "-c", check, "-c", "qall!"]
    subprocess.run(command, timeout=60, stdin=subprocess.DEVNULL)
    listed, name = (tmp_path / "list").read_text().splitlines()
    (entry,) = json.loads(listed)
    assert (name, entry["lnum"], entry["col"], entry["text"]) == ("/notes/a b.md", 12, 1, "Title: text")
    assert (tmp_path / "log").read_text() == '<search><--vimgrep><--><it\'s "two" words>'


def test_the_task_of_vs_code_knows_the_lines_that_are_printed() -> None:
    (text,) = blocks("editors", "json")
    (task,) = json.loads(text)["tasks"]
    pattern = task["problemMatcher"]["pattern"]
    found = re.match(pattern["regexp"], "/notes/a b.md:12:1:Title: it is 5:30")
    assert found
    assert [found[pattern[name]] for name in ("file", "line", "column", "message")] == [
        "/notes/a b.md",
        "12",
        "1",
        "Title: it is 5:30",
    ]
