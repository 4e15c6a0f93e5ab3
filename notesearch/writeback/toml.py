"""TOML front matter with more tags, written by tomlkit."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from notesearch.errors import NoteNotWritable
from notesearch.notes.metadata import FrontMatter
from notesearch.notes.tags import split_tags, unique_tags
from notesearch.writeback.edits import TextEdit, difference, more_words, newline_above

if TYPE_CHECKING:
    from tomlkit.items import String

_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)


def toml_tag_edit(text: str, front_matter: FrontMatter, key: str, tags: Sequence[str], table: str = "") -> TextEdit:
    """Find the change that adds tags to TOML front matter.

    Args:
        text: The note.
        front_matter: Its front matter, in which nothing is wrong.
        key: The key whose value is extended; empty for a new line with the key `tags`.
        tags: What to add, at least one.
        table: The table that the key is in; empty where it is in none.

    Returns:
        The change; whether it reads as meant is left to the caller to check.

    Raises:
        NoteNotWritable: The value is written in a way that cannot be extended; the message is a short reason.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError
    from tomlkit.items import Array, String

    start, end = front_matter.span
    content = text[start:end]
    if not key and table:
        raise NoteNotWritable(f"front matter: there are no tags yet under `{table}`, where they belong")
    if not key:
        place = start + _end_of_keys(content)
        items = ", ".join(_string(tag, '"').as_string() for tag in tags)
        return TextEdit(place, place, f"tags = [{items}]{newline_above(text, start)}")
    try:
        document = tomlkit.parse(content)
        keys = cast("Any", document[table] if table else document)
        value = keys[key]
    except TOMLKitError as error:
        raise NoteNotWritable(f"front matter: {error}") from error
    written = value.as_string()
    if isinstance(value, Array):
        if not all(isinstance(item, String) for item in value):
            raise NoteNotWritable(f"front matter: `{key}` holds other things than text")
        mark = value[-1].as_string()[0] if value else '"'
        for tag in tags:
            value.append(_string(tag, mark))
    elif not isinstance(value, String):
        reason = "is not a list of tags" if isinstance(value, list | dict) else "is neither a list nor text"
        raise NoteNotWritable(f"front matter: `{key}` {reason}")
    elif written.startswith(('"""', "'''")):
        raise NoteNotWritable(f"front matter: `{key}` is a block of text")
    else:
        keys[key] = _extended(value, tags, written[0])
    edit = difference(content, tomlkit.dumps(document))
    if content[edit.start : edit.end] not in written:
        raise NoteNotWritable("something else than the tags would change")
    return edit.shifted(start)


def _extended(text: str, tags: Sequence[str], mark: str) -> String | list[String]:
    """Text with more tags behind commas or spaces; a list takes the place of what cannot hold them."""
    words = split_tags(text) if unique_tags(split_tags(text)) else []
    more = more_words(text, tags) if words else ""
    # Only double quotation marks can hold a single one.
    if more and not (mark == "'" and mark in more):
        return _string(text + more, mark)
    return [_string(word, mark) for word in [*words, *tags]]


def _string(word: str, mark: str) -> String:
    """A word in quotation marks; single ones know no escapes."""
    import tomlkit

    return tomlkit.string(word, literal=mark == "'" and "'" not in word)


def _end_of_keys(content: str) -> int:
    """Where a new key goes: above the first table and its comments, or the key would be that table's."""
    table = _TABLE.search(content)
    if table is None:
        return len(content)
    try:
        tomllib.loads(content[: table.start()])
    except tomllib.TOMLDecodeError:  # it is no table, but a line in the value of a key
        return 0
    place = table.start()
    for line in reversed(content[:place].splitlines(keepends=True)):
        if not line.isspace() and not line.lstrip().startswith("#"):
            break
        place -= len(line)
    return place
