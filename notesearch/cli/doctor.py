"""`notesearch doctor`: find out what is wrong, and repair it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from notesearch.cli.options import IndexOptions, MessageOptions, flag
from notesearch.cli.tables import table
from notesearch.cli.terminal import paint, show, write_json
from notesearch.errors import NOTHING_FOUND

if TYPE_CHECKING:
    from notesearch.library.doctor import Examination

_STYLES = {"ok": "path", "warning": "fair", "wrong": "strong"}


def doctor(
    repair: Annotated[bool, flag("Put right what can be put right.", "--repair")] = False,
    as_json: Annotated[bool, flag("Print what was found as JSON.", "--json")] = False,
    *,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Check the index and all that it needs.

    That is files, permissions, SQLite, vectors, model, folders and versions. With --repair, an index in which something
    is wrong is made anew from the notes, beside the old one. Notes are never written to. Exits with 0 where all is well
    (or warnings are all there is), with 1 where something is wrong. With --quiet, only what is not well is printed.

    Example: notesearch doctor --repair
    """
    from notesearch.library import doctor as library

    settings = index.settings()
    examination = library.examine(settings)
    done: list[str] = []
    if repair and any(check.state != "ok" for check in examination.checks):
        with messages.progress("Indexing notes") as progress:
            done = library.repair(settings, examination, progress)
        examination = library.examine(settings)
    if as_json:
        write_json({**asdict(examination), "repaired": done} if repair else asdict(examination))
    else:
        show(_lines(examination, done, only_not_well=messages.quiet))
    if not examination.all_well:
        raise typer.Exit(NOTHING_FOUND)


def _lines(examination: Examination, done: Sequence[str], *, only_not_well: bool) -> Iterator[str]:
    rows: list[tuple[str, str, str]] = []
    for check in examination.checks:
        if check.state != "ok" or not only_not_well:
            rows.append((check.state, check.check, check.message))
            rows += [("", "", check.hint)] if check.hint else []
    if not only_not_well:
        rows.append(("", "versions", ", ".join(f"{name} {version}" for name, version in examination.versions.items())))
    told = [*table([[message] for message in done], wrap=(0,)), ""] if done else []
    for line in [*told, *(table(rows, text=(0, 1), wrap=(2,)) if rows else [])]:
        state = line.partition(" ")[0]
        style = _STYLES.get(state)
        yield paint(state, style) + line[len(state) :] if style else line
