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
from pathlib import Path

from notesearch.encoders import models
from notesearch.errors import IndexDamaged, NotesearchError, OtherIndexVersion
from notesearch.library import checks
from notesearch.library.checks import Check
from notesearch.library.index import sync_index
from notesearch.records import Chunking
from notesearch.settings import Settings
from notesearch.storage.database import acquire_lock, open_for_reading
from notesearch.storage.folders import Coverage, read_coverage, write_coverage
from notesearch.storage.writer import IndexWriter

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
    if not read_coverage(settings.index_dir).folders:
        with suppress(IndexDamaged, OtherIndexVersion):
            open_for_reading(settings.index_dir).close()
    found: list[Check] = []
    for name, check in checks.CHECKS.items():
        try:
            found += check(settings)
        except NotesearchError as error:
            found.append(Check(name, "wrong", error.message, error.hint))
        except checks.BY_DAMAGE as error:  # what stops a check is a finding too
            found.append(Check(name, "wrong", f"could not be looked at: {type(error).__name__}: {error}"))
    return Examination(tuple(found), checks.versions())


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
        public = checks.public_paths(index_dir)
        done = [*_each(public, lambda path: path.chmod(0o700 if path.is_dir() else 0o600), "is private again")]
        left = checks.leftovers(settings, of_writer=True)
        if anew:  # a new index that was begun is gone on with
            left = [path for path in left if not path.name.startswith("rebuilt.db")]
        done += _each(left, lambda path: shutil.rmtree(path) if path.is_dir() else path.unlink(), "is removed")
    finally:
        lock.release()
    if "prepared model" in wrong:
        done.append(_prepare_again(index_dir))
    if anew:
        done += _make_anew(settings, progress)
    elif wrong & {"vector file"} or any(check.check == "folder list" for check in found.checks):
        with IndexWriter(index_dir) as writer:
            writer.keep_coverage()
            writer.update_vector_file()
        done.append("The list of folders and the vector file are as they should be again.")
    return done


def _each(paths: Iterable[Path], change: Callable[[Path], None], done: str) -> Iterator[str]:
    for path in paths:
        try:
            change(path)
            yield f"{path} {done}."
        except OSError as error:
            yield f"{path}: {error.strerror}."


def _prepare_again(index_dir: Path) -> str:
    made_with = checks.coverage_of(index_dir).fingerprint
    assert made_with is not None  # or its model would not have been checked
    models.forget_prepared(made_with.encoder)
    try:
        models.prepare(made_with.model)
    except NotesearchError as error:
        return f"The model {made_with.model} could not be prepared again: {error.message}. {error.hint}"
    return f"The model {made_with.model} was prepared again."


def _make_anew(settings: Settings, progress: Progress | None) -> Iterator[str]:
    """Makes the index anew, unless none of its folders can be read now."""
    index_dir = settings.index_dir
    covered = read_coverage(index_dir)
    covered = covered if covered.folders else checks.coverage_of(index_dir)
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
