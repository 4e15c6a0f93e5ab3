"""Writes the manual page: what `--help` says of every command, and the tables of docs/settings.md."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from notesearch import __version__
from notesearch.cli import app

_SETTINGS = Path(__file__).parent / "settings.md"


def man_page() -> str:
    """The manual page, in roff."""
    program = typer.main.get_command(app)
    context = program.make_context("notesearch", [], resilient_parsing=True)
    name, _, rest = _roff(program.help.splitlines()[0]).partition(" ")
    lines = [
        f'.TH NOTESEARCH 1 "" "notesearch {__version__}" "User Commands"',
        ".nh",  # an option that is broken at a hyphen cannot be copied
        ".SH NAME",
        f"notesearch \\- {name.lower()} {rest.removesuffix('.')}",
        ".SH SYNOPSIS",
        ".B notesearch",
        r"\fICOMMAND\fR [\fIOPTION\fR]... [\fIARGUMENT\fR]...",
        ".SH DESCRIPTION",
        "Begin with",
        r".BR \*(lqnotesearch\ index\ FOLDER\*(rq ,",
        r"then ask: \fBnotesearch search \*(lqa question\*(rq\fR.",
        *_options(program, context),
        ".SH COMMANDS",
    ]
    lines += _commands(program, context)
    for heading, title in (("Exit statuses", "EXIT STATUS"), ("Environment", "ENVIRONMENT"), ("Files", "FILES")):
        lines += [f".SH {title}", *_table(heading)]
    return "\n".join(lines) + "\n"


def _commands(group: Any, context: Any) -> Iterator[str]:
    """A part for each command of a group, and for each of the groups below it."""
    for name, command in group.commands.items():
        own = type(context)(command, info_name=name, parent=context)
        if hasattr(command, "commands"):
            yield from _commands(command, own)
            continue
        yield f".SS {_roff(' '.join([own.command_path, *command.collect_usage_pieces(own)]))}"
        for paragraph in command.help.split("\n\n"):
            yield from (".PP", _roff(" ".join(paragraph.split())))
        yield from _options(command, own)


def _options(command: Any, context: Any) -> Iterator[str]:
    """A paragraph for each argument and option, as `--help` has it."""
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record and "--help" not in parameter.opts:
            names, said = record
            yield from (".TP", rf"\fB{_roff(names)}\fR", _roff(" ".join(said.split())))


def _table(heading: str) -> Iterator[str]:
    """The rows of the table below a heading of docs/settings.md, each a paragraph."""
    _, _, section = _SETTINGS.read_text(encoding="utf-8").partition(f"## {heading}\n")
    for term, meaning in re.findall(r"^\| (.+?) \| (.+) \|$", section.partition("\n## ")[0], re.MULTILINE):
        if term != "variable":
            without_links = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", meaning)
            yield from (".TP", rf"\fB{_roff(term.replace('`', ''))}\fR", _roff(without_links))


def _roff(text: str) -> str:
    """A line of text as it has to stand in roff; code is bold."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    escaped = "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in escaped)
    escaped = re.sub("`([^`]+)`", r"\\fB\1\\fR", escaped)
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    sys.stdout.write(man_page())
