"""What the README and the pages on tasks tell people to type does what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main
from cli.sample_index import sample_index
from doc_examples import NOT_TO_BE_RUN, PAGES, README, ROOT, Home, blocks_of, notesearch_commands, spans_of

from notesearch.cli import app

COMMANDS = typer.main.get_command(app)
# By the tests below, and by test_docs_editors.py; nothing here can read the Lisp of Emacs.
CHECKED_OTHERWISE = {"sh", "cron", "json", "vim", "elisp"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


# How the README begins, and what takes longest: so all pages share it.
INDEXING = "notesearch index ~/notes"


@dataclass
class IndexedHome:
    """A home whose notes are in the index, and what was said when they were put there."""

    home: Home
    said: str


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> IndexedHome:
    home = Home(tmp_path_factory.mktemp("home"))
    # The model, which another index was made with already.
    prepared = sample_index(tmp_path_factory.getbasetemp()).prepared_models
    (home.path / ".cache" / "notesearch").mkdir(parents=True)
    (home.path / ".cache" / "notesearch" / "encoders").symlink_to(prepared)
    said = home.run(INDEXING)
    home.keep()
    return IndexedHome(home, said)


@every_page
def test_the_page_can_be_followed(page: Path, indexed: IndexedHome) -> None:
    if "| jq " in page.read_text(encoding="utf-8") and not shutil.which("jq"):
        pytest.skip("jq is not installed")
    home = indexed.home
    home.restore()
    said_before = {INDEXING: indexed.said} if page == README else {}
    for block in blocks_of(page):
        if block.file:
            home.write(block.file, block.text)
        elif block.language == "console":
            for command, shown in block.commands():
                printed = said_before.pop(command, None) or home.run(command)
                assert not shown.strip() or home.shows(printed, shown), f"$ {command}\n{printed}"
        elif block.language == "python":
            home.write("example.py", block.text)
            assert home.run("python example.py")
        elif block.language == "sh" and not NOT_TO_BE_RUN.search(block.text):
            home.run(block.text)
        else:
            assert block.language in CHECKED_OTHERWISE, block
    assert not said_before


def command_of(arguments: list[str]) -> tuple[Any, list[str]]:
    """The command that some arguments of notesearch call, and what is left for it."""
    command, rest = COMMANDS, arguments
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    assert command is not COMMANDS or (rest and rest[0].startswith("-")), arguments
    return command, rest


def options_of(command: Any) -> set[str]:
    """Its options, and those of all commands below it."""
    own = {option for parameter in command.params for option in (*parameter.opts, "--help")}
    return own.union(*(options_of(below) for below in getattr(command, "commands", {}).values()))


@every_page
def test_what_is_not_run_is_understood(page: Path) -> None:
    for block in blocks_of(page):
        if block.language in ("sh", "cron", "ini"):
            for command, rest in map(command_of, notesearch_commands(block.text)):
                if command is COMMANDS:  # its options do what they are for as soon as they are read
                    assert set(rest) <= options_of(command), rest
                else:
                    command.make_context("notesearch", rest)  # raises what a user would be told


@every_page
def test_options_in_running_text_exist(page: Path) -> None:
    for span in spans_of(page):
        words = span.replace(",", " ").split()
        if words[0] == "notesearch" and len(words) > 1:
            command, _ = command_of(words[1:])
        else:
            command = COMMANDS.commands.get(words[0], COMMANDS)
            if not (words[0].startswith("-") or words[0] in COMMANDS.commands):
                continue
        options = set(re.findall(r"(?<!\S)--?[a-zA-Z0-9][a-z-]*", span))
        assert options <= options_of(command), span


def test_each_page_is_linked_from_the_readme() -> None:
    linked = {target.partition("#")[0] for target in links_of(README)}
    assert {str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")} <= linked


def links_of(page: Path) -> list[str]:
    """Where the links of a page lead within the project."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not target.startswith("http")]


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in links_of(page):
        name, _, heading = target.partition("#")
        other = (page.parent / name) if name else page
        assert other.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in headings}, target


@every_page
def test_extras_that_are_to_be_installed_exist(page: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extras in re.findall(r"(?:notesearch|\.)\[([a-z,]+)\]'", page.read_text(encoding="utf-8")):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_the_snippet_for_assistants_starts_the_server() -> None:
    (snippet,) = blocks_of(ROOT / "docs" / "assistants.md", "json")
    server = json.loads(snippet.text)["mcpServers"]["notes"]
    assert server["command"].endswith("/notesearch") and server["args"] == ["mcp"]


def test_lines_for_cron_have_five_fields_before_a_full_path() -> None:
    lines = [line for page in PAGES for block in blocks_of(page, "cron") for line in block.text.splitlines()]
    assert lines
    for line in lines:
        assert re.match(r"(?:[*/\d]+ +){5} *\S*notesearch ", line)


def test_units_begin_as_systemd_wants_them() -> None:
    units = blocks_of(ROOT / "docs" / "cron.md", "ini")
    assert len(units) == 3
    for unit in units:
        assert unit.file.startswith(".config/systemd/user/notesearch-")
        assert "\n[Unit]\nDescription=" in unit.text
        assert all(re.match(r"\[\w+\]$|\w+=\S|#|$", line) for line in unit.text.splitlines())


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    units = []
    for block in blocks_of(ROOT / "docs" / "cron.md", "ini"):
        units.append(tmp_path / Path(block.file).name)
        units[-1].write_text(block.text.replace("%h/.local/bin/notesearch", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", *units],
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
