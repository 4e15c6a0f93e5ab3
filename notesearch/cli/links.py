"""`notesearch links`: what a note links to, and what links to it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from notesearch.cli.last_search import place_of_hit
from notesearch.cli.options import IndexOptions, MessageOptions, flag
from notesearch.cli.output import one_line, write_columns
from notesearch.cli.terminal import (
    counted,
    is_terminal,
    paint,
    show,
    shown_path,
    width,
    wrapped,
    write_json,
)
from notesearch.errors import NOTHING_FOUND, UsageError

if TYPE_CHECKING:
    from notesearch.library.links import LinksOfNote, NoteLink, UnresolvedTarget

_MOST_WIDTH = 100


def links(
    note: Annotated[
        str | None, typer.Argument(metavar="[NOTE|N]", help="A note, or a hit of the last search in this terminal.")
    ] = None,
    unresolved: Annotated[bool, flag("All that links name and no note is.", "--unresolved")] = False,
    orphans: Annotated[bool, flag("The notes that no link joins to another.", "--orphans")] = False,
    as_json: Annotated[bool, flag("Print them as JSON.", "--json")] = False,
    *,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Show what a note links to, and what links to it.

    Links are followed as the programs do that write them: Obsidian, Logseq, Org, Hugo and others. In a pipe, columns
    are separated by tabs: `to` or `from`, path (empty where there is no such note), line, target, words. Exits with 1
    when there are none.

    Example: notesearch links ~/notes/cap-theorem.md

    Links that lead nowhere: notesearch links --unresolved
    """
    if (note is not None) + unresolved + orphans != 1:
        raise UsageError("one of a note, --unresolved and --orphans is wanted", "Name a note: notesearch links NOTE")
    from notesearch.library.links import links_of_note, unresolved_links
    from notesearch.library.links import orphans as find_orphans

    settings = index.settings()
    if note is not None:
        name = str(place_of_hit(int(note)).path) if note.isascii() and note.isdigit() else note
        of_note = links_of_note(settings, name)
        found: Sequence[Any] = (*of_note.links, *of_note.backlinks)
        as_dict: Any = asdict(of_note)
        lines, rows = _lines_of_note(of_note), _rows_of_note(of_note)
    elif unresolved:
        found = targets = unresolved_links(settings)
        as_dict = [asdict(target) for target in targets]
        lines = (line for target in targets for line in _lines_of_target(target))
        rows = ([target.target, str(target.count), path] for target in targets for path in target.paths)
    else:
        found = as_dict = paths = find_orphans(settings)
        lines, rows = (paint(shown_path(path), "path") for path in paths), ([path] for path in paths)
    if as_json:
        write_json(as_dict, indent=2)
    elif is_terminal(sys.stdout):
        show(lines)
    else:
        write_columns(rows)
    if not found:
        if not as_json:
            messages.tell("Nothing found.")
        raise typer.Exit(NOTHING_FOUND)


def _lines_of_note(found: LinksOfNote) -> Iterator[str]:
    yield paint(found.title, "bold")
    for heading, own_lines, group in (("links to", True, found.links), ("linked from", False, found.backlinks)):
        if group:
            yield f"  {heading}"
        for link in group:
            yield from _lines_of_link(link, own_lines=own_lines)


def _lines_of_link(link: NoteLink, *, own_lines: bool) -> Iterator[str]:
    """The other note, and where the link stands: in this note, or in that one."""
    place = paint(shown_path(link.path), "path") if link.path else f"no note: {one_line(link.target)}"
    if link.line and not own_lines:
        place += paint(f":{link.line}", "path")
    yield f"    {place}"
    line = f"line {link.line}: " if link.line and own_lines else ""
    yield from wrapped(line + link.anchor, min(width(), _MOST_WIDTH), " " * 8, style="dim")


def _rows_of_note(found: LinksOfNote) -> Iterator[list[str]]:
    for direction, group in (("to", found.links), ("from", found.backlinks)):
        for link in group:
            yield [direction, link.path or "", str(link.line or ""), link.target, link.anchor]


def _lines_of_target(target: UnresolvedTarget) -> Iterator[str]:
    yield from wrapped(f"{target.target} ({counted(target.count, 'link')})", min(width(), _MOST_WIDTH), "")
    yield from (f"  {paint(shown_path(path), 'path')}" for path in target.paths)
