"""`notesearch duplicates`: notes, and passages, that say the same in the same words."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from notesearch.cli.formats import shown_path
from notesearch.cli.options import CollectionName, IndexDir, Quiet, Verbose
from notesearch.cli.terminal import (
    columns_of,
    counted,
    harmless,
    json_text,
    paint,
    uses_colour,
    warn,
    width,
    wrapped,
    write,
)
from notesearch.errors import NOTHING_FOUND

if TYPE_CHECKING:
    from notesearch.retrieval.duplicates import Copy, DuplicateGroup, Duplicates, Stretch

_INDENT = "  "
_MOST_WIDTH = 100
_DEFAULT_THRESHOLD = 0.8  # duplicates_api's; importing that would cost every command numpy


def duplicates(
    passages: Annotated[
        bool, typer.Option("--passages", help="Passages of 25 words or more that stand in several notes.")
    ] = False,
    threshold: Annotated[
        float,
        typer.Option(metavar="P", help="How much of one must stand in the other, from 0.1 to 1.", min=0.1, max=1.0),
    ] = _DEFAULT_THRESHOLD,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", help="The most groups; 0: all.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the groups as JSON.")] = False,
    collection: CollectionName = None,
    index_dir: IndexDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Find notes that are copies of others or parts of them, and say what differs. Nothing is merged or changed.

    Copies are recognised by their words, whatever their case, punctuation and markup; text that more than 20 notes
    share is a template, and does not count. Exits with 1 when there are none.

    Example: notesearch duplicates --threshold 0.9
    """
    from notesearch.library.similar import find_duplicates

    found = find_duplicates(passages=passages, threshold=threshold, index_dir=index_dir, collection=collection)
    groups = found.groups[:limit] if limit else found.groups
    if as_json:
        write([json_text([asdict(group) for group in groups], indent=2) + "\n"])
    else:
        write(_for_people(groups, passages, uses_colour(sys.stdout), min(width(), _MOST_WIDTH)))
    if not quiet:
        _warn_of_the_rest(found, len(groups))
    if not groups:
        raise typer.Exit(NOTHING_FOUND)


def _warn_of_the_rest(found: Duplicates, shown: int) -> None:
    """Says on stderr what is not shown, and what could not be compared."""
    if not found.groups:
        warn(f"No duplicates among {counted(found.notes, 'note')}.")
    if shown < len(found.groups):
        warn(f"… and {counted(len(found.groups) - shown, 'group')} more; --limit 0 shows all")
    if found.short:
        warn(f"Too short to be compared: {counted(found.short, 'note')}.")
    if found.templates:
        warn(f"Not compared, since they hold little but what more than 20 notes hold: {found.templates:,}.")


def _for_people(groups: Sequence[DuplicateGroup], passages: bool, colour: bool, columns: int) -> Iterator[str]:
    for group in groups:
        place = _place(group.path, group.start_line, group.end_line, passages)
        lines = [paint(place, "path", colour=colour) + f"  {counted(group.words, 'word')}"]
        if passages:
            lines += wrapped(harmless(group.text), columns, _INDENT, _INDENT)
        for copy in group.copies:
            lines += _lines_of_copy(copy, passages, colour, columns)
        yield "\n".join(lines) + "\n\n"


def _lines_of_copy(copy: Copy, passages: bool, colour: bool, columns: int) -> Iterator[str]:
    place, relation = _place(copy.path, copy.start_line, copy.end_line, passages), _relation(copy)
    painted = _INDENT + paint(place, "path", colour=colour)
    if columns_of(f"{_INDENT}{place}  {relation}") <= columns:
        yield f"{painted}  {relation}"
    else:
        yield painted
        yield from wrapped(relation, columns, 2 * _INDENT, 2 * _INDENT)
    for where, stretches in (("only here", copy.only_here), ("only above", copy.only_there)):
        for stretch in stretches:
            text = f"{where}, {_lines(stretch)}: {stretch.text}"
            for line in wrapped(harmless(text), columns, 2 * _INDENT, 2 * _INDENT):
                yield paint(line, "dim", colour=colour)


def _relation(copy: Copy) -> str:
    """What a copy is to the first of its group, in words."""
    if copy.relation == "same":
        return "the same words"
    share, share_of_first = f"{copy.share:.0%}", f"{copy.share_of_first:.0%}"
    if copy.relation == "part":
        return f"a part: {share} of it stands above, {share_of_first} of that here"
    if copy.relation == "whole":
        return f"holds {share_of_first} of that above, which has {share} of it"
    return f"a copy: {share} of it stands above, {share_of_first} of that here"


def _place(path: str, start_line: int, end_line: int, with_lines: bool) -> str:
    lines = f"{start_line}-{end_line}" if end_line > start_line else str(start_line)
    return harmless(shown_path(path)) + (f":{lines}" if with_lines else "")


def _lines(stretch: Stretch) -> str:
    if stretch.end_line > stretch.start_line:
        return f"lines {stretch.start_line}-{stretch.end_line}"
    return f"line {stretch.start_line}"
