"""Putting right what `examine` finds wrong. Notes are read, never written."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from notesearch.doctor_api.database import DatabaseState, look_at_database
from notesearch.doctor_api.models import prepared_is_unsound
from notesearch.doctor_api.place import UNFINISHED, leftovers, make_private, public_paths, remove_leftover
from notesearch.encoders import models
from notesearch.errors import NotesearchError, StoreError
from notesearch.library.index import sync_index
from notesearch.private import working_folder
from notesearch.settings import Settings
from notesearch.storage import Fingerprint
from notesearch.storage.database import database_file
from notesearch.storage.lock import acquire_lock
from notesearch.storage.repair import Salvage, forget_vector_file, rebuild_words, remove_rows, salvage
from notesearch.storage.writer import IndexWriter

Progress = Callable[[int, int], None]


def repair(settings: Settings, progress: Progress | None = None) -> list[str]:
    """Puts right what can be put right.

    Args:
        settings: Which index.
        progress: Told the notes indexed so far and those to index.

    Returns:
        Of each thing that was wrong, what was done, or why nothing could be.

    Raises:
        IndexBusy: Another process is writing to the index.
        StoreError: The index directory may not be written.
    """
    work = _Repair(settings, progress)
    work.run()
    return work.done


class _Repair:
    """One run of repairs: first what no writer may come between, then what takes a writer."""

    def __init__(self, settings: Settings, progress: Progress | None) -> None:
        self.done: list[str] = []
        self._settings = settings
        self._index_dir = settings.index_dir
        self._progress = progress

    def run(self) -> None:
        with _writers_kept_out(self._index_dir):
            self._repair_files()
            state = self._state()
            if state is None:
                return
            lost = bool(state.damage) or (state.words is False and not self._repair_words())
            folders = self._put_aside() if lost else []
            in_need = bool(folders) or (not lost and self._repair_rows(state))
        if in_need:
            self._index()
        elif state.vector_file and not lost:
            with IndexWriter(self._index_dir) as writer:
                writer.update_vector_file()

    def _state(self) -> DatabaseState | None:
        try:
            return look_at_database(self._index_dir)
        except StoreError as error:
            self._tell(f"Nothing was done about notes.db: {error.message}. {error.hint}")
            return None

    def _repair_words(self) -> bool:
        """Makes the full-text index anew; says whether that worked."""
        try:
            rebuild_words(self._index_dir)
        except StoreError as error:
            self._tell(f"The full-text index could not be made anew: {error.message}.")
            return False
        self._tell("The full-text index was made anew from the notes in notes.db.")
        return True

    def _repair_files(self) -> None:
        for path in public_paths(self._index_dir):
            try:
                make_private(path)
                self._tell(f"{path} is private again.")
            except OSError as error:
                self._tell(f"{path} could not be made private: {error.strerror}.")
        for path in leftovers(self._settings, writers_kept_out=True):
            try:
                remove_leftover(path)
                self._tell(f"{path}, left by a run that was killed, is gone.")
            except OSError as error:
                self._tell(f"{path}, left by a run that was killed, could not be removed: {error.strerror}.")

    def _repair_rows(self, state: DatabaseState) -> bool:
        """Takes out what is wrong; says whether that is to be indexed again."""
        if state.vector_file:
            forget_vector_file(self._index_dir)
            self._tell("The vector file was removed; it is made anew where one is needed.")
        if state.fingerprint and prepared_is_unsound(self._index_dir, state.fingerprint):
            models.forget_prepared(state.fingerprint.encoder)
            self._tell(f"What was prepared of the model {state.fingerprint.model} was removed, to be made anew.")
        if state.orphans or state.flawed_notes:
            remove_rows(self._index_dir, state.flawed_notes)
            rows = sum(state.orphans.values())
            self._tell(f"Taken out, to be indexed again: {len(state.flawed_notes):,} notes, {rows:,} stray rows.")
            return True
        return False

    def _put_aside(self) -> list[Path]:
        """Puts a damaged database aside, unless all that it covered is out of reach; gives the folders to index."""
        saved = salvage(self._index_dir)
        within_reach = [folder for folder in saved.folders if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)]
        if saved.folders and not within_reach:
            named = ", ".join(map(str, saved.folders))
            self._tell(f"notes.db is left as it is: its folders cannot be read now ({named}). Are they mounted?")
            return []
        aside = self._replace_database(within_reach)
        self._tell(f"The damaged notes.db is {aside} now.")
        for folder in saved.folders:
            if folder not in within_reach:
                self._tell(f"{folder} cannot be read now. When it can: {_command([folder])}")
        if saved.fingerprint:
            self._settings = _with_models_of(self._settings, saved.fingerprint)
        if not within_reach:
            self._tell(
                f"Which folders it covered cannot be read from it{_whereabouts(saved)}. Name them: {_command([])}"
            )
        return within_reach

    def _replace_database(self, folders: Sequence[Path]) -> Path:
        """Renames the database, and puts one in its place that knows the folders, but none of their notes yet.

        So what is to be indexed is known, also where this is killed before it comes to it.
        """
        database = database_file(self._index_dir)
        if not folders:
            return _move_aside(database)
        with working_folder(self._index_dir, UNFINISHED) as workplace:
            with IndexWriter(workplace) as writer, writer.transaction():
                for folder in folders:
                    writer.add_folder(folder)
            aside = _move_aside(database)
            database_file(workplace).rename(database)
        return aside

    def _index(self) -> None:
        try:
            report = sync_index(self._settings, [], progress=self._progress)
        except NotesearchError as error:
            self._tell(f"Indexing again failed: {error.message}. {error.hint}")
            model = f" --model {shlex.quote(self._settings.model)}" if self._settings.model else ""
            self._tell(f"When that is mended: notesearch index{model}")
            return
        self._tell(f"Indexed again: {report.added:,} notes added, {report.notes:,} in the index now.")
        for entry in report.skipped:
            if not entry.by_rule:
                self._tell(f"Not indexed: {entry.path}: {entry.reason}.")

    def _tell(self, message: str) -> None:
        self.done.append(message)


@contextmanager
def _writers_kept_out(index_dir: Path) -> Iterator[None]:
    lock = acquire_lock(index_dir)
    try:
        yield
    finally:
        lock.release()


def _move_aside(database: Path) -> Path:
    """Renames a database and its log; they can still be opened together."""
    stamp, number = time.strftime("%Y%m%d-%H%M%S"), 1
    while (aside := database.with_name(f"{database.name}.damaged-{stamp}-{number}")).exists():
        number += 1
    # The log last: one without its database is thrown away by SQLite, but a database without its log would be read.
    for suffix in ("", "-wal"):
        part = database.with_name(database.name + suffix)
        if part.exists() and (part == database or part.stat().st_size):
            part.rename(aside.with_name(aside.name + suffix))
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    return aside


def _with_models_of(settings: Settings, fingerprint: Fingerprint) -> Settings:
    """The settings by which an index is made again as it was, unless the user has chosen otherwise."""
    return replace(
        settings,
        model=settings.model or fingerprint.model,
        token_model=settings.token_model or fingerprint.token_model or None,
    )


def _whereabouts(saved: Salvage) -> str:
    """Where the notes were, as far as that can be told: too little to index on the strength of it."""
    if not saved.notes:
        return ""
    return f"; it held notes in {os.path.commonpath([note.parent for note in saved.notes])}"


def _command(folders: Sequence[Path]) -> str:
    return f"notesearch index {' '.join(shlex.quote(str(folder)) for folder in folders) or 'FOLDER'}"
