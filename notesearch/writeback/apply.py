"""Write tags into notes so that they can be taken out again.

Before a note is replaced, a line in a journal records the change: its place, the bytes removed, the bytes inserted, and
the hash of the file before and after. So at any moment each note holds its old or its new bytes, and the journal leads
from one to the other. Whoever calls sees to it that one process at a time writes or undoes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
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
    is_of_refused,
    journals,
    keep_refused,
    mark_as_undone,
    read_journal,
    time_of,
)
from notesearch.writeback.plan import plan_tag_edit
from notesearch.writeback.replace import clear_leftover, digest, is_left_over, new_temporary_name, replace_file

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
        refused: Files that were left alone, and why; `for_now` where undoing again takes up the same run.
    """

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    refused: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class UndoableRun:
    """A run that can be undone, or what could not be undone of one.

    Attributes:
        began: When it began.
        notes: Files that it changed; empty where it was undone but for `refused`.
        refused: Files that could not be put back, and why they cannot now; an empty reason where they can.
    """

    began: datetime
    notes: tuple[str, ...]
    refused: tuple[Skipped, ...]


# What happened to a file: it was replaced, it was already as wanted, or the reason why it was left alone.
_Outcome = Literal["written", "unchanged"] | Skipped


def _report(outcomes: Sequence[tuple[str, _Outcome]]) -> WriteReport:
    return WriteReport(
        written=tuple(path for path, outcome in outcomes if outcome == "written"),
        unchanged=tuple(path for path, outcome in outcomes if outcome == "unchanged"),
        refused=tuple(outcome for _, outcome in outcomes if isinstance(outcome, Skipped)),
    )


def _as_outcomes(refused: Iterable[Skipped]) -> list[tuple[str, _Outcome]]:
    return [(entry.path, entry) for entry in refused]


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
    outcomes = _as_outcomes(_clear_last_run(directory))
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


def _clear_last_run(directory: Path) -> list[Skipped]:
    """Clear what the last run left beside notes, if it was killed; those before it were looked after by that run."""
    found: list[Skipped] = []
    paths = journals(directory)
    last = [path for path in paths if not is_of_refused(path)][:1]
    for path in [*last, *filter(is_of_refused, paths)]:
        with suppress(StoreError):  # that one is damaged is for `undo_last` to say
            found += _clear_leftovers(read_journal(path))
    return found


def _clear_leftovers(entries: Iterable[Entry]) -> list[Skipped]:
    """Clear what is beside notes; returns those where another program was writing as well."""
    found = []
    for entry in entries:
        kept = clear_leftover(Path(entry.path), entry.temporary_name, {entry.before, entry.after})
        if kept:
            reason = f"another program was writing it when a run was killed; what it saved is kept as {kept}"
            found.append(Skipped(_shown(entry.path), reason))
    return found


def _apply(journal: JournalWriter, note: TaggedNote) -> _Outcome:
    edit = plan_tag_edit(note.path, note.data, note.tags)
    if edit is None:
        return "unchanged"
    new = edit.applied_to(note.data)
    path = os.path.abspath(note.path)  # noqa: PTH100 - Path.absolute keeps `..`
    entry = Entry(path, edit, digest(note.data), digest(new), new_temporary_name())
    journal.write(entry)
    try:
        replace_file(note.path, note.data, new, entry.temporary_name)
    except NoteNotWritable:
        if not is_left_over(note.path, entry.temporary_name):  # else the next run has to know of it
            journal.take_back()
        raise
    return "written"


def undo_last(directory: Path) -> WriteReport:
    """Put back the notes that the last run of writing tags changed.

    A note that was changed after that is left alone, and tried again by each later call: it is put back once it holds
    what was written. The edits of a note are undone from the last to the first, whichever runs made them. Where a note
    that still holds what was written cannot be replaced, the next call takes up the same run.

    Args:
        directory: Where the journals are.

    Returns:
        What was done; of what earlier calls had to leave alone, only what was put back now.

    Raises:
        UsageError: There is nothing to undo.
        StoreError: A journal cannot be read, or another process is writing it.
    """
    opened = _read_journals(directory)
    run = next((path for path, _ in opened if not is_of_refused(path)), None)
    asked = _asked(opened, run)
    kept = _clear_leftovers(entry for _, entry in asked)
    outcomes = _undo_all([entry for _, entry in asked])
    done = {entry for entry, outcome in outcomes.items() if not isinstance(outcome, Skipped)}
    of_run = [outcomes[entry] for path, entry in asked if path == run]
    for path, entries in opened:
        left = [entry for entry in entries if entry not in done]
        if is_of_refused(path) and len(left) < len(entries):
            keep_refused(path, left)
        elif path == run and not any(isinstance(outcome, Skipped) and outcome.for_now for outcome in of_run):
            mark_as_undone(path, left)
    told = [(path, entry) for path, entry in asked if path == run or outcomes[entry] == "written"]
    if run is None and not told:
        refused = " What could not be undone: notesearch tag --undo --list" if opened else ""
        hint = f"Each run that wrote tags can be undone once, the last one first.{refused}"
        raise UsageError("there is nothing to undo", hint)
    return _report([*_as_outcomes(kept), *((_shown(entry.path), outcomes[entry]) for _, entry in told)])


def undoable(directory: Path) -> list[UndoableRun]:
    """The runs that can be undone, and what could not be undone of others; the newest first.

    Args:
        directory: Where the journals are.

    Raises:
        StoreError: A journal cannot be read, or another process is writing it.
    """
    opened = _read_journals(directory)
    return [
        UndoableRun(time_of(path), (), tuple(map(_state, entries)))
        if is_of_refused(path)
        else UndoableRun(time_of(path), tuple(_shown(entry.path) for entry in entries), ())
        for path, entries in opened
    ]


def _state(entry: Entry) -> Skipped:
    found = _undoing(entry)
    return found if isinstance(found, Skipped) else Skipped(_shown(entry.path), "")


def _read_journals(directory: Path) -> list[tuple[Path, list[Entry]]]:
    """The journals that have something to undo, and their entries; the newest first."""
    found = [(path, read_journal(path)) for path in journals(directory)]
    for path, entries in found:
        if not entries:  # the run was killed before it changed a note
            discard_journal(path)
    return [(path, entries) for path, entries in found if entries]


def _asked(opened: Sequence[tuple[Path, list[Entry]]], run: Path | None) -> list[tuple[Path, Entry]]:
    """What is to be undone, the newest first: a run, and what could not be undone of others.

    An edit stays where another one came after it that is not to be undone.
    """
    asked: list[tuple[Path, Entry]] = []
    stays: set[str] = set()
    for path, entries in opened:
        if path == run or is_of_refused(path):
            asked += [(path, entry) for entry in reversed(entries) if entry.path not in stays]
        else:
            stays |= {entry.path for entry in entries}
    return asked


def _undo_all(entries: Sequence[Entry]) -> dict[Entry, _Outcome]:
    """Undo edits in order; once more as long as that gets further, since processes may have written by turns."""
    outcomes: dict[Entry, _Outcome] = {}
    while entries:
        outcomes |= {entry: _undo(entry) for entry in entries}
        refused = [entry for entry in entries if isinstance(outcomes[entry], Skipped)]
        entries = refused if any(outcomes[entry] == "written" for entry in entries) else ()
    return outcomes


def _undo(entry: Entry) -> _Outcome:
    undoing = _undoing(entry)
    if undoing is None or isinstance(undoing, Skipped):
        return undoing or "unchanged"
    try:
        replace_file(Path(entry.path), *undoing, entry.temporary_name)
    except NoteNotWritable as error:
        return Skipped(_shown(entry.path), error.message, for_now=True)
    return "written"


def _undoing(entry: Entry) -> tuple[bytes, bytes] | Skipped | None:
    """What a note holds and what it is to hold; why that cannot be; or `None` where it is as it was."""
    try:
        data = read_bytes(NoteFile(Path(entry.path), Stamp()))
    except NoteUnreadable as error:
        return Skipped(_shown(entry.path), error.message)
    found = digest(data)
    old = entry.edit.undone_in(data)
    if found == entry.before:  # the run was killed before it came to this note, or it was put back before
        return None
    if found != entry.after or digest(old) != entry.before:
        return Skipped(_shown(entry.path), "changed since the tags were written")
    return data, old


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


def _shown(path: str) -> str:
    """An absolute path as text that can be stored and printed."""
    return os.fsencode(os.path.abspath(path)).decode("utf-8", "replace")  # noqa: PTH100
