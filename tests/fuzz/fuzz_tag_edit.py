"""Tags and the bytes of a file → the change that writes the tags, done and undone."""

from datetime import datetime
from pathlib import Path

from notesearch.errors import NoteNotWritable
from notesearch.file_kinds import kind_of
from notesearch.notes import parse_note, unique_tags
from notesearch.notes.headers import read_metadata
from notesearch.notes.read import decode
from notesearch.records import Note
from notesearch.writeback.plan import plan_tag_edit

SUFFIXES = (".md", ".org", ".rst", ".txt")
_MODIFIED = datetime(2024, 1, 2)


def check(data: bytes) -> None:
    """Takes the format from the first byte, and tags with commas between from the first line; the rest is the file."""
    choice, (written, _, content) = data[:1], data[1:].partition(b"\n")
    path = Path(f"/notes/name{SUFFIXES[sum(choice) % len(SUFFIXES)]}")
    tags = written.decode("utf-8", "surrogateescape").split(",")
    try:
        edit = plan_tag_edit(path, content, tags)
    except NoteNotWritable as error:
        assert error.message and "\n" not in error.message
        return
    before = _note(path, content)
    if edit is None:
        assert {tag.casefold() for tag in unique_tags(tags)} <= {tag.casefold() for tag in before.tags}
        return
    end = edit.start + len(edit.removed)
    assert content[edit.start : end] == edit.removed
    changed = edit.applied_to(content)
    assert changed == content[: edit.start] + edit.inserted + content[end:] != content
    assert edit.undone_in(changed) == content
    after = _note(path, changed)
    assert [tag for tag in after.file_tags if tag in before.file_tags] == list(before.file_tags)
    assert {tag.casefold() for tag in after.tags} == {tag.casefold() for tag in unique_tags([*before.tags, *tags])}
    for name in ("title", "title_source", "links", "date", "problems"):
        assert getattr(after, name) == getattr(before, name), name
    if path.suffix != ".org":
        assert _body(after) == _body(before)
    assert plan_tag_edit(path, changed, tags) is None


def _note(path: Path, data: bytes) -> Note:
    return parse_note(path, decode(data)[0], _MODIFIED)


def _body(note: Note) -> str:
    found = read_metadata(note.text, kind_of(note.path))
    start, end = found.span if found.form else (0, found.end)
    return note.text[:start] + note.text[end:]
