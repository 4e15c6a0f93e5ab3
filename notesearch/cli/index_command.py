"""`notesearch index`: bring the index in step with folders of notes."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Optional

import typer

from notesearch.cli.options import IndexDir, Quiet, Verbose
from notesearch.cli.progress import progress_bar
from notesearch.cli.terminal import is_terminal, warn, warn_of_skipped, write
from notesearch.errors import UsageError
from notesearch.records import IndexReport


def index(
    folders: Annotated[
        Optional[list[Path]],  # noqa: UP045 - typer reads it
        typer.Argument(
            metavar="[FOLDER]…", help="Folders of notes; with none, those of the index.", show_default=False
        ),
    ] = None,
    index_dir: IndexDir = None,
    model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Bi-encoder: a local directory or a hub id. Default: all-MiniLM-L6-v2.", show_default=False),
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
        typer.Option(help="Skip larger files. Default: 2000000.", min=1, show_default=False),
    ] = None,
    follow_symlinks: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option("--follow-symlinks", help="Follow symbolic links that leave a folder.", show_default=False),
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Forget what is indexed and index it all again.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Take these folders out of the index.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Bring the index in step with folders of notes.

    Reads .md, .markdown, .txt, .org and .rst files; what has not changed since the last run is not read again. With
    no folder, the folders that the index covers already are brought up to date.

    Example: notesearch index ~/notes
    """
    from notesearch.api import forget_folder, sync_index
    from notesearch.settings import load_settings

    settings = load_settings(
        index_dir=index_dir,
        model=model,
        token_model=token_model,
        max_file_bytes=max_file_bytes,
        follow_symlinks=follow_symlinks,
    )
    # os.path's leaves the name of an unknown user as it is; Path's raises.
    paths = [Path(os.path.expanduser(folder)).absolute() for folder in folders or []]  # noqa: PTH111
    if forget and not paths:
        raise UsageError("--forget was given without a folder", "Name it: notesearch index --forget FOLDER")
    if forget:
        for path in paths:
            count = forget_folder(settings, path.resolve())
            if not quiet:
                warn(f"Forgot {path}: {_counted(count, 'note')}. The files themselves are untouched.")
        return
    with progress_bar("Indexing", shown=not quiet and is_terminal(sys.stderr)) as progress:
        report = sync_index(settings, paths, rebuild=rebuild, progress=progress)
    if as_json:
        write([json.dumps(_as_json(report), ensure_ascii=False) + "\n"])
    if not quiet:
        _tell(report, verbose=verbose, in_words=not as_json)


def _tell(report: IndexReport, *, verbose: bool, in_words: bool) -> None:
    """Says what was done, and names what was not."""
    warn_of_skipped(report.skipped, report.problems, everything=verbose)
    if in_words:
        changes = [
            _counted(count, "note") + f" {verb}"
            for count, verb in (
                (report.added, "added"),
                (report.updated, "updated"),
                (report.renamed, "moved"),
                (report.removed, "removed"),
            )
            if count
        ]
        if report.coded:
            changes.append(_counted(report.coded, "chunk") + " given token codes")
        what = ", ".join(changes) or "Nothing has changed"
        warn(f"{what}. {_counted(report.notes, 'note')}, {_counted(report.chunks, 'chunk')}, {report.seconds:.1f} s.")


def _as_json(report: IndexReport) -> dict[str, object]:
    values = asdict(report)
    values["seconds"] = round(report.seconds, 3)
    for kind in ("skipped", "problems"):
        values[kind] = [{"path": entry["path"], "reason": entry["reason"]} for entry in values[kind]]
    return values


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
