"""Write tags into notes so that they can be taken out again.

Before a note is replaced, a line in a journal records the change: its place, the bytes removed, the bytes inserted, and
the hash of the file before and after. So at any moment each note holds its old or its new bytes, and the journal leads
from one to the other. Each run has a journal of its own; once the run was undone, its name ends in `.undone`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from notesearch.errors import NoteNotWritable, NoteUnreadable, StoreError, UsageError
from notesearch.files import Stamp
from notesearch.notes import NoteFile, read_bytes
from notesearch.notes.read import decode
from notesearch.notes.structure import LineTable
from notesearch.records import Skipped
from notesearch.writeback.edits import shared_length
from notesearch.writeback.journal import (
    Entry,
    JournalWriter,
    discard_journal,
    mark_as_undone,
    newest_journal,
    opened_journal,
)
from notesearch.writeback.plan import plan_tag_edit
from notesearch.writeback.replace import new_temporary_name, remove_leftover, replace_file

_CONTEXT_LINES = 3


@dataclass(frozen=True, slots=True)
class TaggedNote:
    """A note and the tags to write into it.

    Attributes:
        path: The file.
        data: What it held when the tags were suggested.
        tags: The tags.
    """

    path: Path
    data: bytes
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What a run of writing or undoing did. Paths are absolute, as text that can be stored and printed.

    Attributes:
        written: Files that were replaced.
        unchanged: Files that were already as wanted.
        refused: Files that were left alone, and why; `for_now` where undoing again may put them back.
    """

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    refused: tuple[Skipped, ...]


# What happened to a file: it was replaced, it was already as wanted, or the reason why it was left alone.
_Outcome = Literal["written", "unchanged"] | Skipped


def _report(outcomes: Sequence[tuple[str, _Outcome]]) -> WriteReport:
    return WriteReport(
        written=tuple(path for path, outcome in outcomes if outcome == "written"),
        unchanged=tuple(path for path, outcome in outcomes if outcome == "unchanged"),
        refused=tuple(outcome for _, outcome in outcomes if isinstance(outcome, Skipped)),
    )


def apply_tags(directory: Path, notes: Iterable[TaggedNote | Skipped]) -> WriteReport:
    """Write tags into notes; what cannot be written is left alone and reported.

    Args:
        directory: Where the journals are; created, private to its owner, once there is something to write there.
        notes: The notes; those that the caller refuses are only reported.

    Returns:
        What was done.

    Raises:
        StoreError: The journal cannot be written. What was done until then can be undone.
    """
    _clear_leftovers(directory)
    outcomes: list[tuple[str, _Outcome]] = []
    with JournalWriter(directory) as journal:
        for note in notes:
            if isinstance(note, Skipped):
                outcomes.append((note.path, note))
                continue
            shown = _shown(os.fspath(note.path))
            try:
                outcomes.append((shown, _apply(journal, note)))
            except NoteNotWritable as error:
                outcomes.append((shown, Skipped(shown, error.message)))
    return _report(outcomes)


def _clear_leftovers(directory: Path) -> None:
    """Remove what the last run left beside notes, if it was killed; those before it were looked after by that run."""
    path = newest_journal(directory)
    if path is None:
        return
    # Where a living process uses the journal, nothing is left; that one is damaged is for `undo_last` to say.
    with suppress(StoreError), opened_journal(path) as entries:
        for entry in entries:
            remove_leftover(Path(entry.path), entry.temporary_name)


def _apply(journal: JournalWriter, note: TaggedNote) -> _Outcome:
    edit = plan_tag_edit(note.path, note.data, note.tags)
    if edit is None:
        return "unchanged"
    new = edit.applied_to(note.data)
    path = os.path.abspath(note.path)  # noqa: PTH100 - Path.absolute keeps `..`
    entry = Entry(path, edit, _hash(note.data), _hash(new), new_temporary_name())
    journal.write(entry)
    try:
        replace_file(note.path, note.data, new, entry.temporary_name)
    except NoteNotWritable:
        journal.take_back()
        raise
    return "written"


def undo_last(directory: Path) -> WriteReport:
    """Put back the notes that the last run of writing tags changed.

    A note that was changed after that is left alone. The run is done with then, unless a note that still holds exactly
    what was written could not be replaced: then the next call takes up the same run.

    Args:
        directory: Where the journals are.

    Returns:
        What was done.

    Raises:
        UsageError: There is nothing to undo.
        StoreError: The journal cannot be read, or another process is writing it.
    """
    while path := newest_journal(directory):
        with opened_journal(path) as entries:
            if not entries:
                discard_journal(path)
                continue
            report = _report([(_shown(entry.path), _undo(entry)) for entry in reversed(entries)])
            if not any(skipped.for_now for skipped in report.refused):
                mark_as_undone(path)
        return report
    raise UsageError("there is nothing to undo", "Each run that wrote tags can be undone once, the last one first.")


def _undo(entry: Entry) -> _Outcome:
    path, shown = Path(entry.path), _shown(entry.path)
    remove_leftover(path, entry.temporary_name)
    try:
        data = read_bytes(NoteFile(path, Stamp()))
    except NoteUnreadable as error:
        return Skipped(shown, error.message)
    found = _hash(data)
    old = entry.edit.undone_in(data)
    if found == entry.before:  # the run was killed before it came to this note, or it was put back before
        return "unchanged"
    if found != entry.after or _hash(old) != entry.before:
        return Skipped(shown, "changed since the tags were written")
    try:
        replace_file(path, data, old, entry.temporary_name)
    except NoteNotWritable as error:
        return Skipped(shown, error.message, for_now=True)
    return "written"


def diff_of(note: TaggedNote) -> str:
    """Show what would change in a note, as `diff -u` does.

    Returns:
        The difference with three lines around it; line endings are those of the file. Empty where nothing changes.

    Raises:
        NoteNotWritable: The tags cannot be written; the message is a short reason.
    """
    edit = plan_tag_edit(note.path, note.data, note.tags)
    if edit is None:
        return ""
    before, after = _lines(note.data), _lines(edit.applied_to(note.data))
    first = shared_length(before, after)
    tail = shared_length(before[first:][::-1], after[first:][::-1])
    start = max(first - _CONTEXT_LINES, 0)
    behind = before[len(before) - tail :][:_CONTEXT_LINES]
    removed, added = before[first : len(before) - tail], after[first : len(after) - tail]
    around = first - start + len(behind)
    # A line end in a file name would break the header into lines.
    path = "".join(char if char.isprintable() else "\ufffd" for char in _shown(os.fspath(note.path)).lstrip("/"))
    return "".join(
        [
            f"--- a/{path}\n+++ b/{path}\n",
            f"@@ -{_range(start, around + len(removed))} +{_range(start, around + len(added))} @@\n",
            *(f" {line}" for line in before[start:first]),
            *(f"-{line}" for line in removed),
            *(f"+{line}" for line in added),
            *(f" {line}" for line in behind),
        ]
    )


def _lines(data: bytes) -> list[str]:
    """The lines of a file as a diff shows them."""
    text, _ = decode(data)
    table = LineTable(text)
    lines = []
    for start, end, following in zip(table.starts, table.ends, [*table.starts[1:], len(text)], strict=True):
        if start < len(text):
            ending = text[end:following] or "\n\\ No newline at end of file\n"
            lines.append(text[start:end] + ("\n" if ending == "\r" else ending))
    return lines


def _range(start: int, count: int) -> str:
    """Lines of a file in the head of a hunk; `start` is counted from 0."""
    if count == 1:
        return str(start + 1)
    return f"{start + 1 if count else start},{count}"


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()


def _shown(path: str) -> str:
    """An absolute path as text that can be stored and printed."""
    return os.fsencode(os.path.abspath(path)).decode("utf-8", "replace")  # noqa: PTH100
