"""What the shells complete, asked as they ask."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_encoder import FakeEncoder

from notesearch.library.index import sync_index
from notesearch.settings import Settings

Complete = Callable[[str], list[str]]

BASH = """
COMP_WORDS=({line})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_notesearch_completion notesearch
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# compdef and _arguments belong to the completion system of a shell that someone sits at; _arguments evaluates.
ZSH = """
words=({line})
CURRENT=$#words
_files() {{ }}
_arguments() {{ eval "offered=( ${{${{1#*: :}}[3,-3]}} )"; print -l -- ${{offered%%:*}} }}
_notesearch_completion
"""
FISH = "complete -C '{line}' | cut -f 1"
# How to hand each an empty last word.
NOTHING = {"bash": '""', "zsh": '""', "fish": ""}


@pytest.fixture
def home(tmp_path: Path, fake_encoder: FakeEncoder) -> Path:
    """A home with two collections and an index of two notes."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("---\ntags: [zen/koan, work, $(touch x), a`b]\n---\nText.\n")
    (tmp_path / "notes" / "b.md").write_text("---\ntags: [work]\n---\nText.\n")
    sync_index(Settings(index_dir=tmp_path / ".local" / "share" / "notesearch"), [tmp_path / "notes"])
    config = tmp_path / ".config" / "notesearch" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[collections.work]\n[collections.wiki]\n[collections.home]\n")
    return tmp_path


def run(home: Path, *command: str, **variables: str) -> str:
    """What a command prints; whatever it says on stderr would stand within the line that is being typed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NOTESEARCH", "XDG"))}
    environment |= {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **variables}
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(params=["bash", "zsh", "fish"])
def complete(request: pytest.FixtureRequest, home: Path) -> Complete:
    """Completes the last word of a line, which may be empty, in one of the shells."""
    shell = request.param
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    script = home / "script"
    script.write_text(run(home, "notesearch", _NOTESEARCH_COMPLETE=f"source_{shell}"))
    options, before, ask = {
        "bash": ("--norc", "", BASH),
        "zsh": ("-f", "compdef() { }\n", ZSH),
        "fish": ("--no-config", "", FISH),
    }[shell]

    def completed(line: str) -> list[str]:
        asked = line + NOTHING[shell] if line.endswith(" ") else line
        return run(home, shell, options, "-c", f"{before}source {script}\n{ask.format(line=asked)}").split()

    return completed


def test_commands_options_and_values_are_completed(complete: Complete) -> None:
    assert complete("notesearch sea") == ["search"]
    assert complete("notesearch concepts s") == ["suggest"]
    assert complete("notesearch search --mo") == ["--mode"]
    assert set(complete("notesearch search --mode ")) == {"hybrid", "dense", "lexical"}


def test_collections_and_tags_are_completed(complete: Complete) -> None:
    assert sorted(complete("notesearch search -c w")) == ["wiki", "work"]
    assert complete("notesearch index --collection h") == ["home"]
    assert complete("notesearch similar --not-tag z") == ["zen/koan"]


def test_a_tag_that_a_shell_would_evaluate_is_not_offered(complete: Complete) -> None:
    assert sorted(complete("notesearch search --tag ")) == ["work", "zen/koan"]


ASKED = {"COMP_WORDS": "notesearch\nsearch\n--tag\n", "COMP_CWORD": "3", "_NOTESEARCH_COMPLETE": "complete_bash"}


def test_tags_come_from_the_index_that_the_line_names(home: Path, fake_encoder: FakeEncoder) -> None:
    (home / "other").mkdir()
    (home / "other" / "a.md").write_text("---\ntags: [elsewhere]\n---\nText.\n")
    sync_index(Settings(index_dir=home / ".local/share/notesearch/collections/wiki"), [home / "other"])
    index_dir = f"--index-dir\n{home}/.local/share/notesearch/collections/wiki"
    for command, option in (("search", "-c\nwiki"), ("search", index_dir), ("similar", "-c\nwiki")):
        words = f"notesearch\n{command}\n{option}\n--tag\n"
        assert run(home, "notesearch", **ASKED | {"COMP_WORDS": words, "COMP_CWORD": "5"}).split() == ["elsewhere"]


@pytest.mark.parametrize("broken", ["settings", "index", "no index"])
def test_nothing_is_said_where_nothing_can_be_completed(home: Path, broken: str) -> None:
    if broken == "settings":
        (home / ".config" / "notesearch" / "config.toml").write_text("[")
    elif broken == "index":
        (home / ".local" / "share" / "notesearch" / "notes.db").write_bytes(b"no database" * 1000)
    else:
        shutil.rmtree(home / ".local")
    assert run(home, "notesearch", **ASKED) == "\n"


@pytest.mark.parametrize(
    "words", ['search\n"unfinished', "search\n--limit\nmany\n--ta", "no-such\n--ta", "search\n--no-such\n"]
)
def test_a_line_that_makes_no_sense_is_no_error(home: Path, words: str) -> None:
    run(home, "notesearch", **ASKED | {"COMP_WORDS": f"notesearch\n{words}", "COMP_CWORD": str(words.count("\n") + 1)})


def test_completion_imports_nothing_heavy(home: Path) -> None:
    program = (
        "import sys, atexit\natexit.register(lambda: print(*sys.modules))\nfrom notesearch.cli import main\nmain()"
    )
    printed = run(home, sys.executable, "-c", program, **ASKED)
    assert "zen/koan" in printed and "notesearch.storage" in printed
    for module in ("torch", "transformers", "onnxruntime", "tokenizers", "hnswlib", "huggingface_hub", "socket"):
        assert f" {module} " not in printed
