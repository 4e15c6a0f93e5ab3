"""`notesearch watch`: keep the index in step with its folders while they change."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from notesearch.cli.options import IndexOptions, MessageOptions, flag
from notesearch.cli.terminal import warn
from notesearch.errors import IndexMissing, OtherIndexVersion, UsageError
from notesearch.records import IndexReport, Skipped
from notesearch.settings import Settings

_NICENESS = 10
_WAIT_FOR_OTHERS_S = 600.0


def watch(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FOLDER]…", help="Folders of notes; with none, those of the index or the collection."),
    ] = None,
    nice: Annotated[bool, flag("Leave the processor to other programs first.", "--nice")] = False,
    *,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Keep the index in step while notes change.

    Begins as `notesearch index` does, then waits; a note is found a second or two after it was saved. Ends with Ctrl-C.

    Example: notesearch watch ~/notes
    """
    try:
        import watchfiles  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "notesearch watch needs the package watchfiles", "Install it: pip install 'notesearch[watch]'"
        ) from error
    from notesearch.library.index import sync_index
    from notesearch.library.watch import Watch, file_changes

    settings = index.settings()
    if nice:
        os.nice(_NICENESS)
    watched = _folders_to_watch(settings, folders or [Path(folder) for folder in settings.folders or ()])
    told: set[Skipped] = set()

    def sync(changed: Sequence[Path]) -> None:
        report = sync_index(settings, changed, wait_s=_WAIT_FOR_OTHERS_S)
        # What cannot be read is said once, not after each change of another note.
        left_out = [entry for entry in report.skipped if not (messages.quiet and entry.by_rule)]
        messages.tell_of_skipped([entry for entry in left_out if entry not in told])
        told.update(left_out)
        if not messages.quiet and (done := _summary(report)):
            _tell(done)

    if not messages.quiet:
        _tell(f"watching {', '.join(map(str, watched))}")
    Watch(watched, settings.index_dir, sync, _tell, file_changes).run()


def _folders_to_watch(settings: Settings, named: Sequence[Path]) -> list[Path]:
    """The folders named, or those of the index, as the system resolves them, each at most once.

    Raises:
        FolderUnreadable: One is a file; or it cannot be read, and the index does not have it either.
        UsageError: None was named, and the index covers none.
    """
    from notesearch.library.index import sync_index
    from notesearch.notes import find_notes

    try:
        covered = _covered_folders(settings)
    except OtherIndexVersion:
        sync_index(settings, [], wait_s=_WAIT_FOR_OTHERS_S)
        covered = _covered_folders(settings)
    # os.path's expanduser leaves the name of an unknown user as it is; Path's raises.
    folders = [Path(os.path.realpath(os.path.expanduser(folder))) for folder in named]  # noqa: PTH111
    for folder in folders:
        # One of the index that is not there now may be on a disk that is not mounted.
        if folder not in covered or folder.is_file():
            find_notes(folder, max_bytes=settings.max_file_bytes)
    if not folders and not covered:
        raise UsageError("no folder to watch", "Name one: notesearch watch ~/notes")
    chosen = folders or covered
    # What is in another one of them is watched with it.
    return [folder for folder in dict.fromkeys(chosen) if not any(other in folder.parents for other in chosen)]


def _covered_folders(settings: Settings) -> list[Path]:
    from notesearch.storage import IndexReader

    try:
        with IndexReader(settings.index_dir) as reader:
            return [Path(folder) for folder in reader.folders()]
    except IndexMissing:
        return []  # it will be made


def _summary(report: IndexReport) -> str:
    counts = {"added": report.added, "updated": report.updated, "moved": report.renamed, "removed": report.removed}
    changes = [f"{count:,} {verb}" for verb, count in counts.items() if count]
    return f"{', '.join(changes)}; {report.notes:,} notes, {report.seconds:.1f} s" if changes else ""


def _tell(message: str) -> None:
    warn(f"{datetime.now():%H:%M:%S} {message}")
