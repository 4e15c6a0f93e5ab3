"""`notesearch duplicates`: notes, and passages, that say the same in the same words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from notesearch.cli.options import IndexOptions, MessageOptions, flag, option, share_of
from notesearch.cli.tables import table
from notesearch.cli.terminal import counted, paint, show, shown_path, warn, width, wrapped, write_json
from notesearch.errors import NOTHING_FOUND

if TYPE_CHECKING:
    from notesearch.retrieval.duplicates import Copy, DuplicateGroup, Duplicates

_INDENT = "  "
_MOST_WIDTH = 100
_DEFAULT_THRESHOLD = 0.8  # the library's, whose import would cost the help numpy


def duplicates(
    passages: Annotated[bool, flag("Passages of 25 words or more that stand in several notes.", "--passages")] = False,
    threshold: Annotated[
        float, option("P", "How much of one must stand in the other, from 0.1 (10%) to 1.", parser=share_of(0.1))
    ] = _DEFAULT_THRESHOLD,
    limit: Annotated[int, option("N", "The most groups; 0: all.", "--limit", "-n", min=0)] = 0,
    as_json: Annotated[bool, flag("Print the groups as JSON.", "--json")] = False,
    *,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Find notes that are copies of others or parts of them.

    It says what differs; nothing is merged or changed. Copies are recognised by their words, whatever their case,
    punctuation and markup; text that more than 20 notes share is a template, and does not count. Exits with 1 when
    there are none.

    Example: notesearch duplicates --threshold 0.9
    """
    from notesearch.library.similar import find_duplicates

    found = find_duplicates(
        passages=passages, threshold=threshold, index_dir=index.index_dir, collection=index.collection
    )
    groups = found.groups[:limit] if limit else found.groups
    if as_json:
        write_json([asdict(group) for group in groups], indent=2)
    else:
        show(line for group in groups for line in _lines(group, passages))
    if not messages.quiet:
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


def _lines(group: DuplicateGroup, passages: bool) -> Iterator[str]:
    place = _place(group.path, group.start_line, group.end_line, passages)
    yield paint(place, "path") + f"  {counted(group.words, 'word')}"
    if passages:
        yield from wrapped(group.text, min(width(), _MOST_WIDTH), _INDENT)
    for copy in group.copies:
        # A path is never broken over lines, so that it can be copied.
        yield _INDENT + paint(_place(copy.path, copy.start_line, copy.end_line, passages), "path")
        rows = [_relation(copy)]
        for where, stretches in (("only here", copy.only_here), ("only above", copy.only_there)):
            for stretch in stretches:
                several = "s" if stretch.end_line > stretch.start_line else ""
                lines = _span(stretch.start_line, stretch.end_line)
                rows.append((f"{where}, line{several} {lines}:", stretch.text))
        yield from (paint(line, "dim") for line in table(rows, wrap=(1,), indent=2 * _INDENT))
    yield ""


def _relation(copy: Copy) -> tuple[str, str]:
    """What a copy is to the first of its group, in words."""
    share, share_of_first = f"{copy.share:.0%}", f"{copy.share_of_first:.0%}"
    if copy.relation == "same":
        return ("the same words", "")
    if copy.relation == "whole":
        return ("holds it:", f"{share_of_first} of that above stands here, which is {share} of this")
    what = "a part:" if copy.relation == "part" else "a copy:"
    return (what, f"{share} of it stands above, {share_of_first} of that here")


def _place(path: str, start_line: int, end_line: int, with_lines: bool) -> str:
    return shown_path(path) + (f":{_span(start_line, end_line)}" if with_lines else "")


def _span(start_line: int, end_line: int) -> str:
    return f"{start_line}-{end_line}" if end_line > start_line else str(start_line)
