"""What docs/cron.md and docs/assistants.md tell people to run is there to be run."""

import json
import re
from pathlib import Path

import pytest
import typer.main

from notesearch.cli import app

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / name).read_text(encoding="utf-8") for name in ("cron.md", "assistants.md")}


def commands(page: str) -> list[str]:
    """What stands after `notesearch` in the blocks and spans of code of a page."""
    code = re.findall(r"```\w*\n(.*?)```|`([^`\n]+)`", PAGES[page], re.DOTALL)
    return re.findall(r"(?:^|[\s/])notesearch ([a-z][^\n`]*)", "\n".join(block or span for block, span in code))


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_options_exist(page: str) -> None:
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    found = [command.split("#")[0].split() for command in commands(page)]
    assert len(found) >= 4
    for name, *arguments in found:
        options = {option for parameter in known[name].params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("-")} <= options, (name, arguments)


def test_the_snippet_for_assistants_starts_the_server() -> None:
    (snippet,) = re.findall(r"```json\n(.*?)```", PAGES["assistants.md"], re.DOTALL)
    server = json.loads(snippet)["mcpServers"]["notes"]
    assert server["command"].endswith("/notesearch") and server["args"] == ["mcp"]


def test_units_begin_as_systemd_wants_them() -> None:
    units = re.findall(r"```ini\n(.*?)```", PAGES["cron.md"], re.DOTALL)
    assert len(units) == 3
    for unit in units:
        assert unit.startswith("[Unit]\nDescription=")
        assert all(re.match(r"\[\w+\]$|\w+=\S|#|$", line) for line in unit.splitlines())
