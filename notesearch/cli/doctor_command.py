"""`notesearch doctor`: find out what is wrong, and put it right."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from notesearch.cli.options import CollectionName, IndexDir, Quiet, Verbose
from notesearch.cli.terminal import (
    harmless,
    is_terminal,
    json_text,
    paint,
    progress_bar,
    uses_colour,
    width,
    wrapped,
    write,
)
from notesearch.errors import NOTHING_FOUND

if TYPE_CHECKING:
    from notesearch.library.checks import Check
    from notesearch.library.doctor import Examination

_STYLES = {"ok": "path", "warning": "fair", "wrong": "strong"}
_STATE_COLUMNS = 9
_NAME_COLUMNS = 14


def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Put right what can be put right.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
    collection: CollectionName = None,
    index_dir: IndexDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check the index and all that it needs.

    That is files, permissions, SQLite, vectors, model, folders and versions. With --repair, an index in which something
    is wrong is made anew from the notes, beside the old one. Notes are never written to. Exits with 0 where all is well
    (or warnings are all there is), with 1 where something is wrong. With --quiet, only what is not well is printed.

    Example: notesearch doctor --repair
    """
    from notesearch.library.doctor import examine
    from notesearch.library.doctor import repair as repair_index
    from notesearch.settings import load_settings

    settings = load_settings(collection=collection, index_dir=index_dir)
    examination = examine(settings)
    done: list[str] = []
    if repair and any(check.state != "ok" for check in examination.checks):
        with progress_bar("Indexing", shown=not quiet and is_terminal(sys.stderr)) as progress:
            done = repair_index(settings, examination, progress)
        examination = examine(settings)
    if as_json:
        report = {**asdict(examination), "repaired": done} if repair else asdict(examination)
        write([json_text(report) + "\n"])
    else:
        write(_lines(examination, done, only_not_well=quiet))
    if not examination.all_well:
        raise typer.Exit(NOTHING_FOUND)


def _lines(examination: Examination, done: Sequence[str], *, only_not_well: bool) -> Iterator[str]:
    for message in done:
        yield from (f"{line}\n" for line in wrapped(harmless(message), width(), "", "  "))
    if done:
        yield "\n"
    for check in examination.checks:
        if check.state != "ok" or not only_not_well:
            yield from _lines_of_check(check)
    if not only_not_well:
        versions = ", ".join(f"{name} {version}" for name, version in examination.versions.items())
        yield from (f"{line}\n" for line in wrapped(versions, width(), "", "  "))


def _lines_of_check(check: Check) -> Iterator[str]:
    rest = " " * (_STATE_COLUMNS + _NAME_COLUMNS)
    state = f"{check.state:<{_STATE_COLUMNS}}"
    first, *more = wrapped(harmless(check.message), width(), f"{state}{check.check:<{_NAME_COLUMNS}}", rest)
    yield paint(state, _STYLES[check.state], colour=uses_colour(sys.stdout)) + first[_STATE_COLUMNS:] + "\n"
    hint = wrapped(harmless(check.hint), width(), rest, rest) if check.hint else []
    yield from (f"{line}\n" for line in [*more, *hint])
