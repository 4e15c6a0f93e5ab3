"""`notesearch index`: bring the index in step with folders of notes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import typer

from notesearch.cli.durations import parse_duration
from notesearch.cli.options import CollectionName, IndexDir, Quiet, Verbose
from notesearch.cli.progress import progress_bar
from notesearch.cli.terminal import counted, is_terminal, json_text, warn, warn_of_skipped, write
from notesearch.documents import HOW_TO_READ
from notesearch.errors import NOTES_UNREAD, UsageError
from notesearch.records import IndexReport

_NICENESS = 10


def index(
    folders: Annotated[
        Optional[list[Path]],  # noqa: UP045 - typer reads it
        typer.Argument(
            metavar="[FOLDER]…", help="Folders of notes; with none, those of the index.", show_default=False
        ),
    ] = None,
    collection: CollectionName = None,
    index_dir: IndexDir = None,
    model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="MODEL",
            help="Bi-encoder: a local directory or a hub id. Default: all-MiniLM-L6-v2.",
            show_default=False,
        ),
    ] = None,
    token_model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="MODEL",
            help="ColBERT model for late interaction; none: the bi-encoder itself, as by default.",
            show_default=False,
        ),
    ] = None,
    max_file_bytes: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(metavar="BYTES", help="Skip larger files. Default: 2000000.", min=1, show_default=False),
    ] = None,
    follow_symlinks: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option("--follow-symlinks", help="Follow symbolic links that leave a folder.", show_default=False),
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Index everything again; searches find the old index meanwhile.")
    ] = False,
    forget: Annotated[
        bool,
        typer.Option(
            "--forget", help="Take these folders out of the index; with -c alone, those no longer in the settings."
        ),
    ] = False,
    wait: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="TIME",
            help="Wait so long (90s, 10m) while another process writes. Default: 0 at a terminal, else 10m.",
            show_default=False,
        ),
    ] = None,
    nice: Annotated[bool, typer.Option("--nice", help="Leave the processor to other programs first.")] = False,
    threads: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(metavar="N", help="Take so many cores at most. Default: all.", min=1, show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
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
    from notesearch.settings import load_settings

    settings = load_settings(
        collection=collection,
        index_dir=index_dir,
        model=model,
        token_model=token_model,
        max_file_bytes=max_file_bytes,
        follow_symlinks=follow_symlinks,
        threads=threads,
    )
    unattended = not is_terminal(sys.stderr)
    wait_s = parse_duration(wait if wait is not None else "10m" if unattended else "0").total_seconds()
    if nice:
        os.nice(_NICENESS)
    # os.path's leaves the name of an unknown user as it is; Path's raises.
    paths = [Path(os.path.expanduser(folder)).absolute() for folder in folders or []]  # noqa: PTH111

    def waiting() -> None:
        if not quiet:
            warn("Another process is writing to the index; waiting for it…")

    if forget and not paths and collection is None:
        raise UsageError("--forget was given without a folder", "Name it: notesearch index --forget FOLDER")
    if forget:
        leaving = paths or folders_no_longer_named(settings)
        if not leaving and not quiet:
            warn("Nothing to forget: the settings name all folders of the index.")
        for path in leaving:
            count = forget_folder(settings, path.resolve(), wait_s=wait_s, waiting=waiting)
            if not quiet:
                warn(f"Forgot {path}: {counted(count, 'note')}. The files themselves are untouched.")
        return
    with progress_bar("Indexing", shown=not quiet and is_terminal(sys.stderr)) as progress:
        sync = partial(sync_index, folders=paths) if paths or collection is None else sync_collection
        report = sync(settings, rebuild=rebuild, wait_s=wait_s, waiting=waiting, progress=progress)
    if as_json:
        write([json_text(_as_json(report)) + "\n"])
    unread = [entry for entry in report.skipped if not entry.by_rule]
    if quiet:
        warn_of_skipped(unread, everything=verbose)
    else:
        _tell(report, verbose=verbose, in_words=not as_json)
        if paths and report.not_read:
            _tell_of_not_read(report.not_read)
        for folder in folders_no_longer_named(settings):
            warn(f"kept     {folder}: not among the folders of {collection} in the settings (--forget takes it out)")
    if unread:
        raise typer.Exit(NOTES_UNREAD)


def _tell(report: IndexReport, *, verbose: bool, in_words: bool) -> None:
    """Says what was done, and names what was not."""
    warn_of_skipped(report.skipped, report.problems, everything=verbose)
    if in_words:
        changes = [
            counted(count, "note") + f" {verb}"
            for count, verb in (
                (report.added, "added"),
                (report.updated, "updated"),
                (report.renamed, "moved"),
                (report.removed, "removed"),
            )
            if count
        ]
        what = ", ".join(changes) or "Nothing has changed"
        warn(f"{what}. {counted(report.notes, 'note')}, {counted(report.chunks, 'chunk')}, {report.seconds:.1f} s.")


def _tell_of_not_read(counts: Mapping[str, int]) -> None:
    """Says which documents need something installed; only where folders are named, or it would be said every day."""
    *files, last = (counted(count, f"{kind} file") for kind, count in sorted(counts.items()))
    listed = f"{', '.join(files)} and {last}" if files else last
    warn(f"{listed} {'was' if sum(counts.values()) == 1 else 'were'} not read: {HOW_TO_READ}")


def _as_json(report: IndexReport) -> dict[str, object]:
    values = asdict(report)
    values["seconds"] = round(report.seconds, 3)
    for kind, keys in (("skipped", ("path", "reason", "by_rule")), ("problems", ("path", "reason"))):
        values[kind] = [{name: entry[name] for name in keys} for entry in values[kind]]
    return values
