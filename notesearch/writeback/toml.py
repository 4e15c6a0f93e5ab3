"""Where tags go in TOML front matter.

`tomllib` reads TOML but says nothing of places, so the few tokens that matter here are told apart anew. What comes in
has been read by `tomllib`, so it is known to be sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from notesearch.errors import NoteNotWritable
from notesearch.notes.metadata import FrontMatter, unique_tags
from notesearch.writeback.edits import (
    TextEdit,
    double_quoted,
    extend_brackets,
    line_end,
    more_words,
    newline_above,
    quoting_of,
    words_between,
)

_TOKEN = re.compile(
    r'"""(?:\\.|(?!""")[^\\])*"{3,5}'
    r"|'''(?:(?!''').)*'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|#[^\n]*"
    r"|[\[\]{},=\n]"
    r"""|[^\s\[\]{},=#"']+""",
    re.DOTALL,
)
_MARKS = ('"', "'")


class _Token(NamedTuple):
    written: str
    start: int
    end: int


class _Statement(NamedTuple):
    """`key = value` with the tokens of both; comments are left out."""

    key: list[_Token]
    value: list[_Token]


def toml_tag_edit(text: str, front_matter: FrontMatter, key: str, tags: Sequence[str]) -> TextEdit:
    """Find the change that adds tags to TOML front matter.

    Args:
        text: The note.
        front_matter: Its front matter, in which nothing is wrong.
        key: The key whose value is extended; empty for a new line with the key `tags`.
        tags: What to add, at least one.

    Returns:
        The change; whether it reads as meant is left to the caller to check.

    Raises:
        NoteNotWritable: The value is written in a way that cannot be extended; the message is a short reason.
    """
    start, end = front_matter.span
    content = text[start:end]
    statements = list(_top_statements(content))
    if not key:
        return _new_line(content, statements, tags, newline_above(text, start)).shifted(start)
    for statement in statements:
        if _name(statement.key) == key:
            return _extend(content, statement.value, key, tags).shifted(start)
    raise NoteNotWritable(f"front matter: `{key}` is not a list of tags")


def _top_statements(content: str) -> Iterator[_Statement]:
    """The statements above the first `[table]`."""
    tokens: list[_Token] = []
    depth = 0
    for match in _TOKEN.finditer(content):
        token = _Token(match[0], *match.span())
        if token.written == "\n" and not depth:
            if tokens and tokens[0].written == "[":
                return
            if tokens:
                equals = [token.written for token in tokens].index("=")
                yield _Statement(tokens[:equals], tokens[equals + 1 :])
            tokens = []
        elif not token.written.startswith(("#", "\n")):
            depth += (token.written in ("[", "{")) - (token.written in ("]", "}"))
            tokens.append(token)


def _name(key: Sequence[_Token]) -> str:
    """The key without quotation marks; that of the outermost table where it has dots."""
    import tomllib

    return next(iter(tomllib.loads("".join(token.written for token in key) + "=0")))


def _new_line(content: str, statements: Sequence[_Statement], tags: Sequence[str], newline: str) -> TextEdit:
    line = f"tags = [{', '.join(double_quoted(tag) for tag in tags)}]{newline}"
    # Below a `[table]` the key would be that table's.
    place = line_end(content, statements[-1].value[-1].end) + len(newline) if statements else 0
    return TextEdit(place, place, line)


def _extend(content: str, value: Sequence[_Token], key: str, tags: Sequence[str]) -> TextEdit:
    if value[0].written == "[":
        items = [token for token in value[1:-1] if token.written != ","]
        if not all(item.written.startswith(_MARKS) for item in items):
            raise NoteNotWritable(f"front matter: `{key}` holds other things than text")
        quoting = quoting_of([item.written[0] for item in items])
        spans = [(item.start, item.end) for item in items]
        return extend_brackets(content, value[0].start, spans, [_in_quotes(tag, quoting.needed) for tag in tags])
    if not value[0].written.startswith(_MARKS):
        raise NoteNotWritable(f"front matter: `{key}` is neither a list nor text")
    if value[0].written.startswith(('"""', "'''")):
        raise NoteNotWritable(f"front matter: `{key}` is a block of text")
    return _extend_text(value[0], tags)


def _extend_text(value: _Token, tags: Sequence[str]) -> TextEdit:
    """Add tags to text with commas or spaces between them; a list takes the place of what cannot hold them."""
    import tomllib

    text: str = tomllib.loads(f"text={value.written}")["text"]
    words = words_between(text) if unique_tags(words_between(text)) else []
    mark = value.written[0]
    more = _in_quotes(more_words(text, tags), mark) if words else ""
    if len(more) > 2 and more.startswith(mark):
        return TextEdit(value.end - 1, value.end - 1, more[1:-1])
    items = [_in_quotes(word, mark) for word in [*words, *tags]]
    return TextEdit(value.start, value.end, f"[{', '.join(items)}]")


def _in_quotes(word: str, mark: str) -> str:
    """A word in quotation marks; single ones know no escapes."""
    return f"'{word}'" if mark == "'" and "'" not in word else double_quoted(word)
