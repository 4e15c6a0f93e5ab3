"""Bring an index in step with folders of notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from notesearch.encoders import absolute_name, models
from notesearch.errors import UsageError
from notesearch.records import Chunking, IndexReport
from notesearch.settings import DEFAULT_MODEL, Settings
from notesearch.storage import Fingerprint, IndexReader


def _token_model(settings: Settings, fingerprint: Fingerprint | None) -> str:
    """The token model to index with, empty for the bi-encoder's own."""
    if settings.token_model is None:
        return fingerprint.token_model if fingerprint else ""
    return "" if settings.token_model == "none" else absolute_name(settings.token_model)


def sync_index(
    settings: Settings,
    folders: Sequence[Path],
    *,
    chunking: Chunking | None = None,
    check: bool = False,
    rebuild: bool = False,
    wait_s: float = 0.0,
    waiting: Callable[[], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> IndexReport:
    """Brings an index in step with folders of notes.

    Args:
        settings: Which index, and how to make it.
        folders: Folders of notes; with none, those that the index covers already.
        chunking: How notes are cut; by default in chunks that the model can read.
        check: Whether to read every note, also where size and times say that it is as it was.
        rebuild: Whether to index everything again; searches find what is there until that is done.
        wait_s: How long to wait for another process that is writing to the index.
        waiting: Called once where there is one to wait for.
        progress: Told the notes done so far and the notes to do.

    Returns:
        What was done.

    Raises:
        FolderUnreadable: A folder is missing, is no folder, or may not be read.
        ModelError: The model cannot be had.
        IndexBusy: Another process is writing to the index, and did not finish in time.
        IndexMismatch: The index was made with another model.
        StoreError: The index cannot be written.
    """
    from notesearch.indexing import Synchronizer, chunking_for
    from notesearch.notes import find_notes
    from notesearch.storage.database import database_file
    from notesearch.storage.folders import read_coverage
    from notesearch.storage.writer import IndexWriter

    # These raise before anything is made.
    known = database_file(settings.index_dir).exists() or read_coverage(settings.index_dir).folders
    if not folders and not known:
        raise UsageError("no folder to index", "Name one (with -c or --index-dir as here): notesearch index ~/notes")
    for folder in folders:
        find_notes(folder, max_bytes=settings.max_file_bytes)
    with IndexWriter(settings.index_dir, wait_s=wait_s, waiting=waiting, anew=rebuild) as writer:
        fingerprint = writer.coverage().fingerprint
        model = models.prepare(settings.model or (fingerprint.model if fingerprint else DEFAULT_MODEL))
        synchronizer = Synchronizer(
            writer,
            model,
            chunking=chunking or chunking_for(model.config.max_tokens),
            max_bytes=settings.max_file_bytes,
            token_model=_token_model(settings, fingerprint),
            follow_symlinks=settings.follow_symlinks,
            check=check,
            threads=settings.threads,
            progress=progress,
        )
        return synchronizer.run(folders, rebuild=rebuild)


def forget_folder(
    settings: Settings, folder: Path, *, wait_s: float = 0.0, waiting: Callable[[], None] | None = None
) -> int:
    """Takes a folder and its notes out of an index; the notes themselves are not touched.

    Args:
        settings: Which index.
        folder: The folder.
        wait_s: See `sync_index`.
        waiting: See `sync_index`.

    Returns:
        How many notes the index forgot.

    Raises:
        UsageError: The index does not cover this folder.
        IndexBusy: Another process is writing to the index, and did not finish in time.
        StoreError: The index cannot be written.
    """
    from notesearch.storage.folders import read_coverage
    from notesearch.storage.writer import IndexWriter

    IndexReader(settings.index_dir).close()  # raises where there is no index, rather than make one
    with IndexWriter(settings.index_dir, wait_s=wait_s, waiting=waiting) as writer:
        covered = {path: folder_id for folder_id, path in writer.folders()}
        if folder not in covered and folder in read_coverage(settings.index_dir).folders:
            writer.keep_coverage(without=folder)  # a run was killed before it was indexed
            return 0
        if folder not in covered:
            known = ", ".join(map(str, covered)) or "none"
            raise UsageError(f"{folder} is not a folder of this index", f"Its folders: {known}")
        before = writer.counts()[0]
        with writer.transaction():
            writer.remove_folder(covered[folder])
        writer.keep_coverage(without=folder)
        return before - writer.counts()[0]
