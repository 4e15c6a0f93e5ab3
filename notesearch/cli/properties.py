"""`notesearch tags` and `notesearch properties`: what notes say of themselves, and how many of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from notesearch.cli.options import IndexOptions, MessageOptions, complete_property, flag
from notesearch.cli.output import one_line, write_columns
from notesearch.cli.terminal import is_terminal, show, write_json
from notesearch.errors import NOTHING_FOUND

_AsJson = Annotated[bool, flag("Print them as JSON.", "--json")]


def tags(as_json: _AsJson = False, *, index: IndexOptions, messages: MessageOptions) -> None:
    """List the tags of the notes, and how many notes have each.

    The most frequent come first. In a pipe, columns are separated by tabs, without headings. Exits with 1 when there
    are none.

    Example: notesearch tags | head -3
    """
    from notesearch.library.properties import list_tags

    _print(list_tags(index.settings()), ("tag", "notes"), messages, as_json=as_json)


def properties(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="List the values of this one.", autocompletion=complete_property),
    ] = None,
    as_json: _AsJson = False,
    *,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """List the properties of the notes, or the values of one.

    Front matter and the like: with each property, how many notes have it and how many values; with each value, its type
    (number, date or text) and how many notes have it. The most frequent come first. In a pipe, columns are separated by
    tabs, without headings. Exits with 1 when there are none.

    Example: notesearch properties status
    """
    from notesearch.library.properties import list_properties, list_values

    settings = index.settings()
    if name is None:
        _print(list_properties(settings), ("name", "notes", "values"), messages, as_json=as_json)
    else:
        _print(list_values(settings, name), ("value", "type", "notes"), messages, as_json=as_json)


def _print(
    rows: Sequence[tuple[Any, ...]], columns: tuple[str, ...], messages: MessageOptions, *, as_json: bool
) -> None:
    if as_json:
        write_json([dict(zip(columns, row, strict=True)) for row in rows], indent=2)
    elif rows and is_terminal(sys.stdout):
        from notesearch.cli.tables import table

        cells = [[f"{cell:,}" if isinstance(cell, int) else one_line(cell) for cell in row] for row in rows]
        show(table(cells, columns, text=[place for place, cell in enumerate(rows[0]) if isinstance(cell, str)]))
    else:
        write_columns(rows)
    if not rows:
        if not as_json:
            messages.tell("Nothing found.")
        raise typer.Exit(NOTHING_FOUND)
