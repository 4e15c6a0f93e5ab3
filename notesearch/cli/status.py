"""`notesearch status`: what the index holds, how old that is, and why a note is not found."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from notesearch.cli.options import IndexOptions, MessageOptions, flag, option, parse_duration
from notesearch.cli.tables import table
from notesearch.cli.terminal import counted, show, warn, write_json
from notesearch.errors import NOTHING_FOUND
from notesearch.records import Skipped

if TYPE_CHECKING:
    from notesearch.library.status import Answer, FolderStatus, LeftOut, Status
    from notesearch.settings import Settings

_MOST_NAMED = 3
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def status(
    fail_if_stale: Annotated[
        str | None,
        option(
            "AGE",
            "Exit with 1 if a folder was last brought in step longer ago (30m, 24h, 7d) or cannot be reached.",
        ),
    ] = None,
    why: Annotated[Path | None, option("PATH", "Say why this note is not found, or found as it was.")] = None,
    as_json: Annotated[bool, flag("Print it as JSON.", "--json")] = False,
    *,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Show what the index holds, and how old that is.

    Also what has changed since, and what was skipped. With --quiet, nothing is printed
    but what is stale; with --verbose, all skipped files are named.

    Example: notesearch status --quiet --fail-if-stale 24h
    """
    settings = index.settings()
    age = parse_duration(fail_if_stale) if fail_if_stale is not None else None
    if why is not None:
        from notesearch.library import status as library

        # os.path's leaves the name of an unknown user as it is; Path's raises.
        answer = library.why(settings, Path(os.path.expanduser(why)))  # noqa: PTH111
        if as_json:
            write_json(_answer_as_json(answer))
        else:
            show(_lines_of_answer(answer))
        if answer.state in ("missing", "gone"):
            raise typer.Exit(NOTHING_FOUND)
    elif not messages.quiet or as_json:
        from notesearch.library import status as library

        found = library.take_stock(settings)
        if as_json:
            write_json(_as_json(found))
        else:
            show(_lines(found, everything=messages.verbose))
    if age is not None and _is_stale(settings, age):
        raise typer.Exit(NOTHING_FOUND)


def _is_stale(settings: Settings, age: timedelta) -> bool:
    """Names the first stale folder on stderr."""
    from notesearch.library import status as library

    stale = library.find_stale(settings, age)
    if stale:
        first = stale[0]
        why = _in_step(first.synced) if first.reachable else "cannot be reached"
        others = f" (and {len(stale) - 1} more)" if len(stale) > 1 else ""
        warn(f"notesearch: stale: {first.path}: {why}{others}")
    return bool(stale)


def _lines(found: Status, *, everything: bool) -> list[str]:
    token_model = found.fingerprint.token_model
    rows = [
        ("index", f"{found.index_dir}{' (being written now)' if found.writing else ''}"),
        ("model", found.fingerprint.model + (f", and {token_model} for words" if token_model else "")),
        ("holds", f"{counted(found.notes, 'note')}, {counted(found.chunks, 'chunk')}"),
        *([("first run", f"not finished, {found.unfinished}: notesearch index goes on")] if found.unfinished else []),
        ("size", _sizes(found)),
        *(("folder", _about_folder(folder)) for folder in found.folders),
        *([] if found.folders else [("folder", "none: notesearch index FOLDER")]),
        *_rows_of_skipped(found.skipped, everything=everything),
    ]
    return table(rows, wrap=(1,))


def _sizes(found: Status) -> str:
    whole = sum(found.part_bytes.values())
    parts = [f"{name.replace('_', ' ')} {_bytes(size)}" for name, size in found.part_bytes.items() if size]
    each = f" ({_bytes(whole // found.notes)} a note)" if found.notes else ""
    return f"{_bytes(whole)}{each}: {', '.join(parts)}"


def _about_folder(folder: FolderStatus) -> str:
    about = f"{folder.path}: {counted(folder.notes, 'note')}, {_in_step(folder.synced)}"
    if not folder.reachable:
        return f"{about}; cannot be reached now"
    changes = [
        f"{count:,} {what}"
        for count, what in ((folder.changed, "changed"), (folder.new, "new"), (folder.gone, "gone"))
        if count
    ]
    return f"{about}; {', '.join(changes)} since" if changes else f"{about}; nothing has changed since"


def _rows_of_skipped(skipped: Sequence[Skipped], *, everything: bool) -> Iterator[tuple[str, str]]:
    by_reason: dict[str, list[str]] = {}
    for entry in skipped:
        # What is in brackets, or behind a colon, is of that file alone.
        by_reason.setdefault(entry.reason.split(" (")[0].split(":")[0], []).append(entry.path)
    for reason, paths in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        yield "skipped", f"{len(paths):,}: {reason}"
        shown = paths if everything else paths[:_MOST_NAMED]
        yield from (("", f"  {path}") for path in shown)
        if len(shown) < len(paths):
            yield "", f"  … and {len(paths) - len(shown):,} more; --verbose names them all"


def _lines_of_answer(answer: Answer) -> list[str]:
    lines = [f"{answer.state}: {answer.message}", answer.hint]
    if note := answer.note:
        tags = " ".join(f"#{tag}" for tag in note.tags)
        lines[1:1] = [
            f"{note.title} ({counted(note.chunks, 'chunk')}) {tags}",
            *note.problems,
            *_about_data(answer.data),
        ]
    return table([(answer.path,), *((f"  {line}",) for line in lines if line)], wrap=(0,))


def _about_data(data: Sequence[LeftOut]) -> Iterator[str]:
    """`24.0 kB of data is not indexed: an image at line 7`."""
    if data:
        named = ", ".join(f"{left_out.what} at line {left_out.line}" for left_out in data[:_MOST_NAMED])
        more = f" and {len(data) - _MOST_NAMED:,} more" if len(data) > _MOST_NAMED else ""
        yield f"{_bytes(sum(left_out.bytes for left_out in data))} of data is not indexed: {named}{more}"


def _as_json(found: Status) -> dict[str, Any]:
    return {
        "index_dir": str(found.index_dir),
        "model": found.fingerprint.model,
        "token_model": found.fingerprint.token_model,
        "notes": found.notes,
        "chunks": found.chunks,
        "bytes": found.part_bytes,
        "bytes_a_note": round(sum(found.part_bytes.values()) / found.notes) if found.notes else 0,
        "folders": [
            {**asdict(folder), "synced": folder.synced.isoformat() if folder.synced else None}
            for folder in found.folders
        ],
        "skipped": [{"path": entry.path, "reason": entry.reason} for entry in found.skipped],
        "writing": found.writing,
        "unfinished": found.unfinished._asdict() if found.unfinished else None,
    }


def _answer_as_json(answer: Answer) -> dict[str, Any]:
    note = answer.note
    return {
        "path": answer.path,
        "state": answer.state,
        "message": answer.message,
        "hint": answer.hint,
        "title": note.title if note else None,
        "tags": list(note.tags) if note else [],
        "chunks": note.chunks if note else 0,
        "data": [asdict(left_out) for left_out in answer.data],
    }


def _in_step(when: datetime | None) -> str:
    if when is None:
        return "not brought in step since that is recorded"
    seconds = (datetime.now(UTC) - when).total_seconds()
    for unit_s, name in _UNITS:
        if seconds >= unit_s:
            return f"brought in step {counted(int(seconds // unit_s), name)} ago"
    return "brought in step just now"


def _bytes(size: int) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"
