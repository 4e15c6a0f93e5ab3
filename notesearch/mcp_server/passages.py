"""Reading lines of notes for an assistant: of those that the index knows, in the indexed folders, and of no other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from notesearch.documents import is_document
from notesearch.errors import NoteUnreadable, UsageError
from notesearch.mcp_server.answers import Answer
from notesearch.notes import NoteFile, most_bytes, note_from_bytes, read_bytes
from notesearch.notes.decode import decode
from notesearch.notes.lines import LineTable
from notesearch.storage import IndexReader
from notesearch.words import storable

_MOST_CHARS = 50_000
_MOST_CHARS_NAMED = 200
_HOW_TO_NAME_A_NOTE = "Give a path as search shows it; only notes that are in the index can be read."


def read_lines(reader: IndexReader, named: str, *, first: int, last: int | None, max_bytes: int) -> Answer:
    """Reads lines of a note as they are in its file now.

    Args:
        reader: The index.
        named: The note's path, absolute or below an indexed folder.
        first: The first line, from 1.
        last: The last line, inclusive; `None` for the last one of the note.
        max_bytes: A larger file is not read.

    Raises:
        UsageError: The index knows no such note, it lies outside its indexed folder, or it has no such lines.
        NoteUnreadable: It cannot be read now.
    """
    path, _ = known_note(reader, named)
    table = LineTable(_text_of(path, max_bytes))
    if first > len(table) or (last is not None and last < first):
        raise UsageError(
            f"{path} has {len(table):,} lines", f"Lines {first} to {last or 'the end'} are not among them."
        )
    shown_last = min(last or len(table), len(table))
    start = table.starts[first - 1]
    wanted = table.text[start : table.ends[shown_last - 1]]
    text = wanted[:_MOST_CHARS]
    truncated = len(text) < len(wanted)
    note = ""
    if truncated:
        shown_last = table.line_at(start + len(text) - 1) + 1
        within = " within a line"
        if shown_last > first:  # then with a whole line
            shown_last -= 1
            text, within = table.text[start : table.ends[shown_last - 1]], ""
        rest = f"; go on with start_line {shown_last + 1}" if shown_last < len(table) else ""
        note = f"\n[cut off{within} after {len(text):,} characters{rest}]"
    data = {
        "path": path,
        "start_line": first,
        "end_line": shown_last,
        "total_lines": len(table),
        "truncated": truncated,
        "text": text,
    }
    return Answer(f"{path}:{first}-{shown_last} of {len(table):,} lines\n\n{text}{note}", data)


def known_note(reader: IndexReader, named: str) -> tuple[str, int]:
    """Finds path and id of a note that the index knows, and that lies in an indexed folder wherever links may lead.

    Args:
        reader: The index.
        named: The note's path, absolute or below an indexed folder.

    Raises:
        UsageError: There is no such note.
    """
    folders = reader.folders()
    candidates = _candidates(folders, storable(named)) if "\0" not in named else []
    path, known = next(((path, found) for path in candidates if (found := reader.note_at(path))), ("", None))
    if known is None:
        raise UsageError(f"the index knows no note {named[:_MOST_CHARS_NAMED]!r}", _HOW_TO_NAME_A_NOTE)
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(os.path.realpath(folder)) for folder in folders):
        raise UsageError(f"{path} is a link out of the indexed folders", "It can be found, but not be read from here.")
    return path, known[0]


def _candidates(folders: Sequence[str], named: str) -> list[str]:
    """The absolute paths that somebody may mean."""
    # os.path's leaves the name of an unknown user as it is; Path's raises.
    path = os.path.expanduser(named)  # noqa: PTH111
    if os.path.isabs(path):  # noqa: PTH117
        return [os.path.normpath(path), os.path.realpath(path)]
    return [os.path.normpath(os.path.join(folder, path)) for folder in folders]  # noqa: PTH118


def _text_of(path: str, max_bytes: int) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise NoteUnreadable(f"cannot read {path}: {reason}", "It may have been moved; search again.") from error
    if status.st_size > (limit := most_bytes(path, max_bytes)):
        raise NoteUnreadable(f"{path} is larger than {limit:,} bytes", "It has grown since it was indexed.")
    file = NoteFile(Path(path), status.st_size, status.st_mtime_ns)
    try:
        data = read_bytes(file)
        return note_from_bytes(file, data).text if is_document(path) else decode(data)[0]
    except NoteUnreadable as error:
        raise NoteUnreadable(f"cannot read {path}: {error.message}", "It may have been moved; search again.") from error
