"""`notesearch open`: open a note in the editor."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from notesearch.cli.editors import command_for, obsidian_uri, opener, require_file, run
from notesearch.cli.last_search import place_of_hit
from notesearch.cli.options import MessageOptions, flag
from notesearch.cli.places import read_places
from notesearch.cli.terminal import harmless, show, write
from notesearch.errors import UsageError
from notesearch.records import Place


def open_note(
    target: Annotated[
        str, typer.Argument(metavar="[N|PATH[:LINE]]", help="A hit of the last search in this terminal, or a note.")
    ] = "1",
    obsidian: Annotated[bool, flag("Open the note in Obsidian.", "--obsidian")] = False,
    only_print: Annotated[bool, flag("Print the command instead of running it.", "--print")] = False,
    *,
    messages: MessageOptions,
) -> None:
    """Open a note in your editor, at the line.

    The editor is the one of the settings (editor = "…"), else $VISUAL, else $EDITOR. A number is a hit of the last
    search, similar or rerank that printed to this terminal.

    Example: notesearch open 2

    Any note: notesearch open notes/cooking/kimchi.md:12
    """
    place = place_of_hit(int(target)) if target.isascii() and target.isdigit() else _named(target)
    if obsidian:
        require_file(place.path)
        uri, program = obsidian_uri(place.path), opener()
        if program is None:
            write([f"{uri}\n"])
            return
        command = [program, uri]
    else:
        command = command_for(place)
    if only_print:
        show([harmless(shlex.join(command))])
    else:
        run(command)


def _named(target: str) -> Place:
    place = next(read_places([target]), None)
    if not isinstance(place, Place):
        raise UsageError(f"there is no note {target!r}", "Give the number of a hit, or PATH or PATH:LINE.")
    return place
