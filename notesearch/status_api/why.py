"""Why is this note not found?"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from notesearch.errors import UsageError
from notesearch.file_kinds import (
    DOCUMENT_SUFFIXES,
    HOW_TO_READ,
    NOTE_SUFFIXES,
    READ_SUFFIXES,
    has_reader,
    is_document,
    kind_of,
)
from notesearch.notes import most_bytes
from notesearch.notes.walk import IGNORE_FILES, IgnoreRules, holds_parts_of_page
from notesearch.settings import Settings
from notesearch.storage.survey import IndexSurvey, NoteSurvey, StoredFile

State = Literal["indexed", "changed", "gone", "missing", "outside", "hidden", "no note", "ignored", "skipped", "new"]

_AGAIN = "Bring the index in step: notesearch index"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an index knows of a file.

    Attributes:
        path: Absolute path.
        state: `indexed`, or what keeps it from being found as it is now.
        message: The same in a line.
        hint: What to do; empty where there is nothing to do.
        note: What the index holds of it, if anything.
    """

    path: str
    state: State
    message: str
    hint: str = ""
    note: NoteSurvey | None = None


def why(settings: Settings, path: Path) -> Answer:
    """Says what an index knows of a file, and why no more.

    Raises:
        UsageError: It is a folder.
        IndexMissing: Nothing has been indexed.
        StoreError: The index cannot be read.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "Name a note in it.")
    with closing(IndexSurvey(settings.index_dir)) as survey:
        folders = [Path(folder) for folder in survey.folders()]
        spellings = _spellings(path)
        for spelling in spellings:
            # A name that is not UTF-8 is in no index, and SQLite takes none.
            if note := survey.note(str(spelling).encode("utf-8", "replace").decode("utf-8")):
                return _answer_of_note(spelling, note)
        skipped = dict(survey.skipped())
    if not os.path.lexists(path):
        return Answer(str(path), "missing", "there is no such file, and the index knows of none")
    for spelling in spellings:
        for folder in folders:
            if spelling.is_relative_to(folder):
                return _answer_of_file(settings, spelling, folder, skipped)
    covered = ", ".join(map(str, folders)) or "none"
    hint = f"Add its folder: notesearch index {shlex.quote(str(path.parent))}"
    return Answer(str(path), "outside", f"it is in none of the folders of the index ({covered})", hint)


def has_changed(known: StoredFile, size: int, mtime_ns: int) -> bool:
    """Whether a file is another one than it was when it was indexed, as far as size and time tell."""
    # A negative time stands for one that was too new to be told from a later one.
    return size != known.size or (known.mtime_ns >= 0 and mtime_ns != known.mtime_ns)


def _spellings(path: Path) -> Sequence[Path]:
    """A path as an index may know it: folders are stored without symlinks on the way to them."""
    given = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps `..`
    return tuple(
        dict.fromkeys((given, Path(os.path.realpath(given.parent), given.name), Path(os.path.realpath(given))))
    )


def _answer_of_note(path: Path, note: NoteSurvey) -> Answer:
    try:
        status = path.stat()
    except OSError:
        return Answer(str(path), "gone", "it is in the index, but the file cannot be found any more", _AGAIN, note)
    if has_changed(note.file, status.st_size, status.st_mtime_ns):
        return Answer(str(path), "changed", "it is in the index as it was before its last change", _AGAIN, note)
    return Answer(str(path), "indexed", "it is in the index as it is", "", note)


def _answer_of_file(settings: Settings, path: Path, folder: Path, skipped: dict[str, str]) -> Answer:
    parts = path.relative_to(folder).parts
    if hidden := next((part for part in parts if part.startswith(".")), None):
        return Answer(str(path), "hidden", f"hidden files and folders are left out ({hidden})", "Rename it.")
    if not path.name.lower().endswith(READ_SUFFIXES):
        readable = ", ".join([*NOTE_SUFFIXES, *filter(has_reader, DOCUMENT_SUFFIXES)])
        return Answer(str(path), "no note", f"only {readable} are read", "Give it such a suffix.")
    if is_document(path) and not has_reader(path):
        return Answer(
            str(path), "no note", f"what reads {kind_of(path)} is not installed", f"Install it: {HOW_TO_READ}"
        )
    if is_document(path) and holds_parts_of_page(str(path.parent)):
        return Answer(
            str(path), "no note", "it is a part of the web page saved beside its folder", "Move it elsewhere."
        )
    if rule := _excluding_rule(path, folder):
        return Answer(str(path), "ignored", f"excluded by {rule}", "Take that line out, or add one with `!` after it.")
    for place in (path, *path.parents):
        if reason := skipped.get(str(place)):
            what = "it" if place == path else str(place)
            return Answer(str(path), "skipped", f"the last run of index left {what} out: {reason}")
    status = path.lstat()
    most = most_bytes(path, settings.max_file_bytes)
    if stat.S_ISREG(status.st_mode) and status.st_size > most:
        limit = f"{status.st_size:,} bytes; the limit is {most:,}"
        return Answer(str(path), "skipped", f"it is too large ({limit})", "Raise the limit: --max-file-bytes")
    return Answer(str(path), "new", "it is new since the index was last brought in step", _AGAIN)


def _excluding_rule(path: Path, folder: Path) -> str:
    """The file, line and pattern that keep a file or a folder above it out; empty where none does."""
    rules: IgnoreRules | None = None
    parents = [parent for parent in reversed(path.parents) if parent.is_relative_to(folder)]
    for parent, below in zip(parents, [*parents[1:], path], strict=True):
        if any((parent / name).is_file() for name in IGNORE_FILES):
            rules, _ = IgnoreRules.read(str(parent), rules)
        if rules and rules.excludes(str(below), below != path):
            return next(_matching_lines(below, below != path, folder), "an ignore file")
    return ""


def _matching_lines(path: Path, is_folder: bool, folder: Path) -> Iterator[str]:
    """The lines of ignore files that mention a path, the one that decides first."""
    from pathspec import GitIgnoreSpec

    for parent in (above for above in path.parents if above.is_relative_to(folder)):
        relative = f"{path.relative_to(parent)}{'/' if is_folder else ''}"
        for name in reversed(IGNORE_FILES):
            try:
                lines = (parent / name).read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
            except OSError:
                continue
            for number, line in reversed(list(enumerate(lines, start=1))):
                try:
                    decision = GitIgnoreSpec.from_lines([line]).check_file(relative).include
                except ValueError:  # no pattern
                    continue
                if decision is not None:
                    yield f"{parent / name}:{number}: {line.strip()}"
