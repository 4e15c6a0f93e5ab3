"""Tags in metadata of another form than YAML and TOML: its line of tags, `Tags: a, b` or as the form has it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from notesearch.errors import NoteNotWritable
from notesearch.notes.metadata import FrontMatter, HeaderForm
from notesearch.notes.tags import hide_whole
from notesearch.writeback.edits import TextEdit, line_end, line_start, newline_above

_ITEM = re.compile(r"[ \t]*-[ \t]")
_DIVIDING = re.compile(r"[,，;]|-->")
# Nothing that reStructuredText would take for markup or for the beginning of a list.
_NO_MARKUP = re.compile(r"(?!\w+\.\s)[^\W_](?:[^\W_]|[ /&+#@.'_-]+(?=[^\W_]))*[+#]*")


def header_tag_edit(text: str, found: FrontMatter, form: HeaderForm, tags: Sequence[str]) -> TextEdit:
    """Find the change that adds tags to such metadata.

    Args:
        text: The note.
        found: Its metadata.
        form: The form of this.
        tags: What to add, at least one.

    Returns:
        The change; whether it reads as meant is left to the caller to check.

    Raises:
        NoteNotWritable: Tags are not written into the form, or not these, or not here; the message is a short reason.
    """
    if form.marks is None:
        raise NoteNotWritable(f"has {form.name}, into which tags are not written")
    for tag in tags:
        if tag.lower() in form.control_tags:
            raise NoteNotWritable(f"the tag {tag!r} is not written: in {form.name} it changes what becomes of the note")
        if _DIVIDING.search(tag) or (form.marks[0] == ":" and not _NO_MARKUP.fullmatch(tag)):
            raise NoteNotWritable(f"{form.name} cannot hold the tag {tag!r}")
    fields = _fields(text, found.span, form)
    own = [field for field in fields if field["key"].lower() == "tags"]
    if not own:
        return _new_line(text, found.span[1], fields, form.marks, tags)
    goes_on = form.more and form.more.match(text, own[0].end())
    if len(own) > 1 or goes_on or (not own[0]["value"] and _ITEM.match(text, own[0].end())):
        raise NoteNotWritable(f"{form.name}: its tags stand on several lines")
    if value := own[0]["value"]:
        end = own[0].end("value")
        return TextEdit(end, end, _more(value, form, tags))
    end = line_end(text, own[0].start("key"))
    return TextEdit(end, end, ("" if text[end - 1] in " \t" else " ") + ", ".join(tags))


def _fields(text: str, span: tuple[int, int], form: HeaderForm) -> list[re.Match[str]]:
    """The lines that begin a field."""
    found: list[re.Match[str]] = []
    position, end = span
    while position < end:
        if form.field and (field := form.field.match(text, position)):
            found.append(field)
        else:
            field = form.more.match(text, position) if form.more else None
        position = field.end() if field else end
    return found


def _more(written: str, form: HeaderForm, tags: Sequence[str]) -> str:
    """What to put behind the tags that stand there, divided as they are."""
    masked = hide_whole(written)
    if not re.search(r"[,，;]", masked) and all(word.startswith("#") for word in written.split()):
        return "".join(f" #{tag}" for tag in tags)
    mark = ";" if form.divides_at_semicolons and ";" in masked else ","
    joiner = mark if mark in masked.rstrip(mark) and f"{mark} " not in masked else f"{mark} "
    first = joiner.removeprefix(mark) if written.endswith(mark) else joiner
    return first + joiner.join(tags)


def _new_line(
    text: str, place: int, fields: Sequence[re.Match[str]], marks: tuple[str, str], tags: Sequence[str]
) -> TextEdit:
    """A line below the others, its key and value written and aligned as theirs."""
    last = fields[-1].start("key")
    head = text[line_start(text, last) : last].replace("-", " ")  # Logseq's block begins with a dash
    key = "Tags" if text[last].isupper() else "tags"
    with_value = [field for field in fields if field["value"]]
    columns = {field.start("value") - line_start(text, field.start("key")) for field in with_value}
    lengths = {len(field["key"]) for field in with_value}
    column = columns.pop() if len(columns) == 1 and len(lengths) > 1 else 0
    line = f"{head}{key}{marks[1]} ".ljust(column) + ", ".join(tags)
    if line_start(text, place) == place:
        return TextEdit(place, place, line + newline_above(text, place))
    return TextEdit(place, place, newline_above(text, line_start(text, place)) + line)
