"""The change to a file that adds tags to a note: its tag lines change, every other byte stays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from notesearch.errors import NoteNotWritable, NoteUnreadable
from notesearch.file_kinds import is_document, kind_of
from notesearch.notes.headers import read_metadata
from notesearch.notes.metadata import parse_front_matter
from notesearch.notes.read import decode, parse_note
from notesearch.notes.tags import effect_of_tag, holds_link, unique_tags, written_tags
from notesearch.records import Note
from notesearch.words import key_of
from notesearch.writeback.edits import TextEdit, newline_of
from notesearch.writeback.headers import header_tag_edit
from notesearch.writeback.org import org_tag_edit, without_tag_line
from notesearch.writeback.toml import toml_tag_edit
from notesearch.writeback.yaml import yaml_tag_edit

# The keys that are read as tags, in the order in which one is chosen to be extended.
_KEYS = ("tags", "tag", "topics", "keywords")
_KINDS_WITH_FRONT_MATTER = ("Markdown", "text")
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_MARK = "\ufeff"
# A note without a date is dated by its file, which is not known here and does not matter.
_NO_DATE = datetime(1970, 1, 1)
# Characters that YAML forbids, and the byte order mark, which nobody would see.
_NOT_IN_YAML = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_BEGINS_LIKE_FRONT_MATTER = re.compile(r"[\s\ufeff]*(?:---|\+\+\+)[ \t]*[\r\n]\s*[\w-]+[ \t]*[:=]")


@dataclass(frozen=True, slots=True)
class FileEdit:
    """A piece of a file and what takes its place.

    Attributes:
        start: First byte of the piece.
        removed: The bytes that stand there.
        inserted: The bytes that take their place.
    """

    start: int
    removed: bytes
    inserted: bytes

    def applied_to(self, data: bytes) -> bytes:
        """The file after the change."""
        return data[: self.start] + self.inserted + data[self.start + len(self.removed) :]

    def undone_in(self, data: bytes) -> bytes:
        """The file before the change, from what it is after it."""
        return data[: self.start] + self.removed + data[self.start + len(self.inserted) :]


def plan_tag_edit(path: Path, data: bytes, tags: Sequence[str]) -> FileEdit | None:
    """Find the change to a file that adds tags to its note.

    Args:
        path: The file; its suffix says in which format the note is. It is not read.
        data: The whole file.
        tags: What the note is to have, as a reader would show it: without `#`.

    Returns:
        The change, or None where the note has all of these tags already.

    Raises:
        NoteNotWritable: The tags cannot be written there, or not without touching something else; the message is a
            short reason.
    """
    if is_document(path):
        raise NoteNotWritable(f"tags are not written into {kind_of(path)} files")
    try:
        text, problem = decode(data)
    except NoteUnreadable as error:
        raise NoteNotWritable(error.message) from error
    note = parse_note(path, text, _NO_DATE)
    missing = _missing(note, tags)
    if not missing:
        return None
    if problem:
        raise NoteNotWritable(problem)
    mark, encoding = _encoding(data, text)
    edit = _plan(path, text, missing)
    _check(note, edit.applied_to(text), missing)
    return FileEdit(
        start=len((mark + text[: edit.start]).encode(encoding)),
        removed=text[edit.start : edit.end].encode(encoding),
        inserted=edit.inserted.encode(encoding),
    )


def _missing(note: Note, tags: Sequence[str]) -> tuple[str, ...]:
    present = {key_of(tag) for tag in note.file_tags}
    for tag in tags:
        if not unique_tags([tag]) or _NOT_IN_YAML.search(" ".join(tag.split())):
            raise NoteNotWritable(f"{tag!r} cannot be a tag")
    missing = tuple(tag for tag in unique_tags(tags) if key_of(tag) not in present)
    for tag in missing:
        if effect := effect_of_tag(tag, kind_of(note.path)):
            raise NoteNotWritable(f"the tag {tag!r} is not written: {effect}")
    return missing


def _encoding(data: bytes, text: str) -> tuple[str, str]:
    """The byte order mark, if there is one, and the encoding that give back every byte of a file."""
    for encoding in _ENCODINGS:
        for mark in ("", _MARK):
            if (mark + text).encode(encoding) == data:
                return mark, encoding
    raise NoteNotWritable("its encoding is not known for certain")


def _plan(path: Path, text: str, tags: Sequence[str]) -> TextEdit:
    kind = kind_of(path)
    front_matter = read_metadata(text, kind)
    if front_matter.problem:
        raise NoteNotWritable(front_matter.problem)
    if front_matter.form:
        return header_tag_edit(text, front_matter, front_matter.form, tags)
    if _BEGINS_LIKE_FRONT_MATTER.match(text, front_matter.end):
        reason = "there is a second one below" if front_matter.format else "it does not begin on the first line"
        raise NoteNotWritable(f"front matter: {reason}")
    if front_matter.format == "yaml":
        return yaml_tag_edit(text, front_matter, _key(front_matter.data), tags)
    if front_matter.format == "toml":
        table = "taxonomies" if _has_taxonomies(front_matter.data) else ""
        return toml_tag_edit(
            text, front_matter, _key(front_matter.data[table] if table else front_matter.data), tags, table
        )
    if kind == "Org":
        return org_tag_edit(text, tags)
    if kind not in _KINDS_WITH_FRONT_MATTER:
        raise NoteNotWritable(f"{kind} has no front matter")
    newline = newline_of(text, 0)
    opening = f"---{newline}---{newline}"
    line = yaml_tag_edit(opening, parse_front_matter(opening), "", tags)
    return TextEdit(0, 0, line.applied_to(opening))


def _key(data: Mapping[str, Any]) -> str:
    """The key whose value is to be extended; empty where there is none."""
    if _has_taxonomies(data):
        raise NoteNotWritable("front matter: its tags belong under `taxonomies`, where they are written in TOML only")
    for name in _KEYS:
        spellings = [key for key in data if key.lower() == name]
        if len(spellings) > 1:
            raise NoteNotWritable(f"front matter: {' and '.join(f'`{key}`' for key in spellings)} are the same key")
        if spellings:
            key = spellings[0]
            if isinstance(data[key], Mapping):
                raise NoteNotWritable(f"front matter: `{key}` is not a list of tags")
            # Topics that are pages are extended by their owner.
            if name in ("tags", "tag") or not holds_link(data[key]):
                return key
    return ""


def _has_taxonomies(data: Mapping[str, Any]) -> bool:
    """Whether the tags belong into a table of their own, as in Zola."""
    return isinstance(data.get("taxonomies"), Mapping)


def _check(before: Note, text: str, added: Sequence[str]) -> None:
    """Make sure that a changed text is read as the note was, with more tags and nothing else changed.

    Raises:
        NoteNotWritable: It is not.
    """
    after = parse_note(before.path, text, _NO_DATE)
    if problem := read_metadata(text, kind_of(before.path)).problem:
        raise NoteNotWritable(f"{problem}, once the tags are written")
    known = set(before.file_tags)
    old = [tag for tag in after.file_tags if tag in known]
    new = [tag for tag in after.file_tags if tag not in known]
    added_keys = {key_of(tag) for tag in added}
    parts = [tag for tag in before.part_tags if key_of(tag) not in added_keys]
    if old != list(before.file_tags) or new != list(added) or parts != list(after.part_tags):
        raise NoteNotWritable("the tags would not be read as they are meant")
    if _all_but_tags(before) != _all_but_tags(after):
        raise NoteNotWritable("something else than the tags would change")
    if not _is_read_elsewhere(text, added):
        raise NoteNotWritable("front matter: other programs could not read it")


def _all_but_tags(note: Note) -> tuple[object, ...]:
    """What must be the same before and after."""
    front_matter = read_metadata(note.text, kind_of(note.path))
    values = _without_tag_keys(front_matter.data)
    if _has_taxonomies(values):
        values["taxonomies"] = _without_tag_keys(values["taxonomies"])
    start, end = front_matter.span if front_matter.form else (0, front_matter.end)
    body = note.text[:start] + note.text[end:]
    return (
        *(note.title, note.title_source, note.links, note.date, note.problems),
        without_tag_line(body) if kind_of(note.path) == "Org" else body,
        [(block.kind, block.level, block.title) for block in note.blocks if block.kind != "paragraph"],
        repr(values),  # TOML's `nan` is not equal to itself
    )


def _without_tag_keys(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key.lower() not in _KEYS}


def _is_read_elsewhere(text: str, tags: Sequence[str]) -> bool:
    """Whether a program that gives YAML scalars their types, unlike this one, sees these tags as text."""
    front_matter = parse_front_matter(text)
    if front_matter.format != "yaml":
        return True
    import yaml

    try:
        data = yaml.load(text[slice(*front_matter.span)], getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        found = {str(key).lower(): _only_text(value) for key, value in data.items()}
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return False  # most of these come from values such as `2024-02-31` and `!!bool maybe`
    return set(tags) <= set(unique_tags(written_tags(found)))


def _only_text(value: object) -> object:
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return value if isinstance(value, str) else None
