"""`notesearch index`: bring the index in step with folders of notes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from notesearch.cli.options import IndexOptions, MessageOptions, Turn, flag, option, parse_size
from notesearch.cli.terminal import counted, warn, write_json
from notesearch.errors import NOTES_UNREAD, UsageError
from notesearch.file_kinds import HOW_TO_READ
from notesearch.records import IndexReport

_NICENESS = 10


def index(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[FOLDER]…", help="Folders of notes; with none, those of the index.")
    ] = None,
    model: Annotated[
        str | None, option("MODEL", "Bi-encoder: a local directory or a hub id. Default: all-MiniLM-L6-v2.")
    ] = None,
    token_model: Annotated[
        str | None, option("MODEL", "ColBERT model for late interaction; none: the bi-encoder itself, as by default.")
    ] = None,
    max_file_bytes: Annotated[
        int | None,
        option("SIZE", "Skip larger files. Default: 2MB.", "--max-file-bytes", "--max-size", parser=parse_size),
    ] = None,
    follow_symlinks: Annotated[
        bool | None, flag("Follow symbolic links that leave a folder.", "--follow-symlinks")
    ] = None,
    check: Annotated[
        bool, flag("Read every note, also where size and times say that it is as it was.", "--check")
    ] = False,
    rebuild: Annotated[
        bool, flag("Index everything again; searches find the old index meanwhile.", "--rebuild")
    ] = False,
    forget: Annotated[
        bool, flag("Take these folders out of the index; with -c alone, those no longer in the settings.", "--forget")
    ] = False,
    wait: Annotated[
        str | None,
        option("TIME", "How long to wait (90s, 10m) while another process writes. Default: 0 at a terminal, else 10m."),
    ] = None,
    yes: Annotated[bool, flag("Index a home directory or a system's files, if that is meant.", "--yes")] = False,
    nice: Annotated[bool, flag("Leave the processor to other programs first.", "--nice")] = False,
    threads: Annotated[int | None, option("N", "The most cores to use. Default: all.", min=1)] = None,
    as_json: Annotated[bool, flag("Print what was done as JSON.", "--json")] = False,
    *,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Bring the index in step with folders of notes.

    Reads .md, .markdown, .txt, .org and .rst files, and .pdf, .docx, .html, .htm and .epub where the extra `documents`
    is installed; what has not changed since the last run is not read again. With no folder, the folders that the
    index covers already are brought up to date, and with --collection those that the settings name for it as well.

    Exits with 3 where all is done but for notes that could not be read, with 4 where another process is writing.

    Example: notesearch index ~/notes
    """
    from notesearch.library.collections import folders_no_longer_named, sync_collection
    from notesearch.library.index import forget_folder, sync_index
    from notesearch.library.status import unfinished
    from notesearch.library.sweeping import refuse_sweeping

    settings = index.settings(
        model=model,
        token_model=token_model,
        max_file_bytes=max_file_bytes,
        follow_symlinks=follow_symlinks,
        threads=threads,
    )
    turn = Turn.of(wait, messages, "Another process is writing to the index; waiting for it…")
    if nice:
        os.nice(_NICENESS)
    # os.path's leaves the name of an unknown user as it is; Path's raises.
    paths = [Path(os.path.expanduser(folder)).absolute() for folder in folders or []]  # noqa: PTH111

    if forget and not paths and index.collection is None:
        raise UsageError("--forget was given without a folder", "Name it: notesearch index --forget FOLDER")
    if forget:
        leaving = paths or folders_no_longer_named(settings)
        if not leaving:
            messages.tell("Nothing to forget: the settings name all folders of the index.")
        for path in leaving:
            count = forget_folder(settings, path.resolve(), wait_s=turn.wait_s, waiting=turn.waiting)
            messages.tell(f"Forgot {path}: {counted(count, 'note')}. The files themselves are untouched.")
        return
    if not yes:
        refuse_sweeping(settings, paths)
    sync = partial(sync_index, folders=paths) if paths or index.collection is None else sync_collection
    try:
        with messages.progress("Indexing notes") as progress:
            report = sync(
                settings, check=check, rebuild=rebuild, wait_s=turn.wait_s, waiting=turn.waiting, progress=progress
            )
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
        kept = unfinished(settings)
        warn(f"notesearch: interrupted, {f'{kept} kept' if kept else 'what is done is kept'}; run it again")
        raise
    if as_json:
        write_json(_as_json(report))
    unread = [entry for entry in report.skipped if not entry.by_rule]
    if messages.quiet:
        messages.tell_of_skipped(unread)
    else:
        messages.tell_of_skipped(report.skipped, report.problems)
    if not as_json:
        messages.tell(_summary(report))
    if paths and report.not_read:
        messages.tell(_not_read(report.not_read))
    for folder in () if messages.quiet else folders_no_longer_named(settings):
        warn(f"kept     {folder}: not among the folders of {index.collection} in the settings (--forget takes it out)")
    if unread:
        raise typer.Exit(NOTES_UNREAD)


def _summary(report: IndexReport) -> str:
    """What was done, in a line."""
    counts = {"added": report.added, "updated": report.updated, "moved": report.renamed, "removed": report.removed}
    changes = [f"{counted(count, 'note')} {verb}" for verb, count in counts.items() if count]
    what = ", ".join(changes) or "Nothing has changed"
    return f"{what}. {counted(report.notes, 'note')}, {counted(report.chunks, 'chunk')}, {report.seconds:.1f} s."


def _not_read(counts: Mapping[str, int]) -> str:
    """Which documents need something installed; said only where folders are named, or it would be said every day."""
    *files, last = (counted(count, f"{kind} file") for kind, count in sorted(counts.items()))
    listed = f"{', '.join(files)} and {last}" if files else last
    return f"{listed} {'was' if sum(counts.values()) == 1 else 'were'} not read: {HOW_TO_READ}"


def _as_json(report: IndexReport) -> dict[str, object]:
    values = asdict(report)
    values["seconds"] = round(report.seconds, 3)
    for kind, keys in (("skipped", ("path", "reason", "by_rule")), ("problems", ("path", "reason"))):
        values[kind] = [{name: entry[name] for name in keys} for entry in values[kind]]
    return values
