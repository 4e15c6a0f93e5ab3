"""notesearch as a library: find out what is wrong with an index and all that it needs, and repair it.

The notes are the truth. Where something is wrong in an index, it is made anew from the notes, beside the old one, which
serves searches until then.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from notesearch.encoders import models
from notesearch.errors import IndexMissing, NotesearchError, StoreError
from notesearch.library import checks
from notesearch.library.checks import Check
from notesearch.library.index import sync_index
from notesearch.records import Chunking
from notesearch.settings import Settings
from notesearch.storage import IndexReader
from notesearch.storage.database import HOW_TO_INDEX, database_file
from notesearch.storage.folders import Coverage, read_coverage, write_coverage
from notesearch.storage.lock import acquire_lock
from notesearch.storage.writer import IndexWriter

# What the libraries raise that damaged files go through.
_BY_DAMAGE = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found out about an index.

    Attributes:
        checks: All checks that could be made, in an order to read them in.
        versions: Of notesearch and of what it stands on, by name.
    """

    checks: tuple[Check, ...]
    versions: dict[str, str]

    @property
    def all_well(self) -> bool:
        """Whether nothing is wrong; there may be warnings."""
        return all(check.state != "wrong" for check in self.checks)


def examine(settings: Settings) -> Examination:
    """Checks an index and all that it needs; changes nothing.

    Raises:
        IndexMissing: Nothing has been indexed there.
        StoreError: The index directory cannot be looked into.
    """
    index_dir = settings.index_dir
    try:
        there = database_file(index_dir).exists() or read_coverage(index_dir).folders
    except OSError as error:
        hint = "Mend its permissions, or name another: --index-dir."
        raise StoreError(f"cannot look into {index_dir}: {error.strerror}", hint) from error
    if not there:
        raise IndexMissing(f"there is no index in {index_dir}", HOW_TO_INDEX)
    return Examination(tuple(_checks(settings)), checks.versions())


def _checks(settings: Settings) -> Iterator[Check]:
    index_dir = settings.index_dir
    yield from _guarded("directory", partial(checks.check_directory, index_dir))
    found = [*_guarded("database", partial(checks.check_database, index_dir))]
    yield from found
    covered = _coverage(index_dir)
    yield from _guarded("folders", partial(checks.check_folders, settings, covered))
    if covered.fingerprint and all(check.state != "wrong" for check in found if check.check in ("database", "rows")):
        yield from _guarded("model", partial(checks.check_model, index_dir, covered.fingerprint))
    yield from _guarded("classifiers", partial(checks.check_trained, index_dir))
    yield from _guarded("tag journals", partial(checks.check_journals, settings))
    yield from _guarded("accepted", partial(checks.check_accepted, index_dir))
    yield from _guarded("leftovers", partial(checks.check_processes, settings))
    yield from _guarded("machine", checks.check_machine)


def _guarded(name: str, check: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Makes checks; what stops them is a finding too."""
    try:
        yield from check()
    except NotesearchError as error:
        yield Check(name, "wrong", error.message, error.hint)
    except _BY_DAMAGE as error:
        yield Check(name, "wrong", f"could not be looked at: {type(error).__name__}: {error}")


def _coverage(index_dir: Path) -> Coverage:
    """What an index covers, by `notes.db` where that can be read, else by the list beside it."""
    with suppress(StoreError, *_BY_DAMAGE), IndexReader(index_dir) as index:
        return Coverage(tuple(Path(folder) for folder in index.folders()), index.fingerprint)
    return read_coverage(index_dir)


def repair(settings: Settings, found: Examination, progress: Progress | None = None) -> list[str]:
    """Puts right what can be put right. Notes are read, never written.

    Args:
        settings: Which index.
        found: What is wrong with it.
        progress: Told the notes indexed so far and those to index.

    Returns:
        Of each thing that was wrong, what was done, or why nothing could be.

    Raises:
        IndexBusy: Another process is writing to the index.
        StoreError: The index directory may not be written.
    """
    index_dir = settings.index_dir
    wrong = {check.check for check in found.checks if check.state == "wrong"}
    anew = bool(wrong & {"database", "rows", "words"})
    lock = acquire_lock(index_dir)
    try:
        done = [*_each(checks.public_paths(index_dir), _make_private, "is private again", "could not be made private")]
        left = checks.leftovers(settings, of_writer=True)
        if anew:  # a new index that was begun is gone on with
            left = [path for path in left if not path.name.startswith("rebuilt.db")]
        done += _each(left, _remove, "was left by a run that was killed, and is gone", "could not be removed")
    finally:
        lock.release()
    if "prepared model" in wrong:
        done += _prepare_again(index_dir)
    if anew:
        done += _make_anew(settings, progress)
    elif wrong & {"vector file"} or any(check.check == "folder list" for check in found.checks):
        with IndexWriter(index_dir) as writer:
            writer.keep_coverage()
            writer.update_vector_file()
        done.append("The list of folders and the vector file are as they should be again.")
    return done


def _each(paths: Iterable[Path], change: Callable[[Path], None], done: str, failed: str) -> Iterator[str]:
    for path in paths:
        try:
            change(path)
            yield f"{path} {done}."
        except OSError as error:
            yield f"{path} {failed}: {error.strerror}."


def _make_private(path: Path) -> None:
    path.chmod(0o700 if path.is_dir() else 0o600)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _prepare_again(index_dir: Path) -> Iterator[str]:
    fingerprint = _coverage(index_dir).fingerprint
    assert fingerprint is not None  # or its model would not have been checked
    models.forget_prepared(fingerprint.encoder)
    try:
        models.prepare(fingerprint.model)
        yield f"The model {fingerprint.model} was prepared again."
    except NotesearchError as error:
        yield f"The model {fingerprint.model} could not be prepared again: {error.message}. {error.hint}"


def _make_anew(settings: Settings, progress: Progress | None) -> Iterator[str]:
    """Makes the index anew, unless none of its folders can be read now."""
    index_dir = settings.index_dir
    covered = read_coverage(index_dir)
    covered = covered if covered.folders else _coverage(index_dir)
    folders = covered.folders or tuple(Path(os.path.realpath(folder)) for folder in settings.folders or ())
    if not folders:
        yield "Which folders the index covered is not known. Name them: notesearch index --rebuild FOLDER"
        return
    if not any(checks.is_readable(folder) and any(folder.iterdir()) for folder in folders):
        named = ", ".join(map(str, folders))
        yield f"The index is left as it is: its folders cannot be read now, or are empty ({named}). Are they mounted?"
        return
    old = covered.fingerprint
    chunking = Chunking(old.budget_tokens, old.overlap_sentences) if old else None
    try:
        write_coverage(index_dir, Coverage(folders, old))  # from here on, no kill loses them
        report = sync_index(settings, [], rebuild=True, chunking=chunking, progress=progress)
    except NotesearchError as error:
        yield f"The index could not be made anew: {error.message}. {error.hint}"
        return
    yield f"The index was made anew from the notes: {report.notes:,} notes."
    yield from (f"Not indexed: {entry.path}: {entry.reason}." for entry in report.skipped if not entry.by_rule)
