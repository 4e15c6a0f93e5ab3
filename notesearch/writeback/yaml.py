"""YAML front matter with more tags, every other byte as it was."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from notesearch.errors import NoteNotWritable
from notesearch.notes.metadata import FrontMatter
from notesearch.notes.tags import split_tags, unique_tags
from notesearch.writeback.edits import (
    TextEdit,
    line_end,
    line_start,
    more_words,
    newline_above,
    newline_of,
)

if TYPE_CHECKING:
    from yaml import MappingNode, ScalarNode, SequenceNode


# What ends or divides a plain scalar in one version of YAML or another, and what must not begin one.
_DIVIDING = re.compile(r"[:#,\[\]{}]")
_NO_BEGINNING = tuple("-?!&*|>%@`'\"~+=<.")
# What other programs read as a truth value, as nothing, as a number or as a date.
_NO_TEXT = re.compile(
    r"y|n|yes|no|on|off|true|false|null|none|nan|inf"
    r"|0[xob][\da-f_]+|\d[\d_.]*(?:e[-+]?\d+)?|\d+(?:-\d+)+",
    re.IGNORECASE,
)
_DASH = re.compile(r"([ \t]*-)([ \t]*)")


def yaml_tag_edit(text: str, front_matter: FrontMatter, key: str, tags: Sequence[str]) -> TextEdit:
    """Find the change that adds tags to YAML front matter.

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
    import yaml

    start, end = front_matter.span
    content = text[start:end]
    if content.startswith("\ufeff"):  # PyYAML does not count it
        raise NoteNotWritable("front matter: line 2: it begins with a byte order mark")
    root = yaml.compose(content, getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    assert root is None or isinstance(root, yaml.MappingNode)
    if root is None or not key:
        return TextEdit(end, end, _new_lines(content, root, tags, newline_above(text, end)))
    value = next(value for name, value in root.value if name.value == key)
    if content.startswith(("&", "!"), value.start_mark.index):
        raise _refusal(value, f"`{key}` has an anchor or a type")
    if isinstance(value, yaml.ScalarNode):
        edit = _extend_scalar(content, root, value, tags, key)
    else:
        edit = _extend_list(content, value, tags, key)
    return edit.shifted(start)


def _refusal(node: ScalarNode | SequenceNode, reason: str) -> NoteNotWritable:
    return NoteNotWritable(f"front matter: line {node.start_mark.line + 2}: {reason}")


def _new_lines(content: str, root: MappingNode | None, tags: Sequence[str], newline: str) -> str:
    """The lines for a front matter without tags, written as its other keys and lists are."""
    if root is None:
        return f"tags: {_flow_list(tags)}{newline}"
    if root.flow_style:
        raise NoteNotWritable("front matter: line 2: it is written in braces")
    first_key = root.value[0][0].start_mark.index
    indent = content[line_start(content, first_key) : first_key]
    prefix = _block_prefix(content, root)
    if not prefix:
        return f"{indent}tags: {_flow_list(tags)}{newline}"
    return f"{indent}tags:{newline}" + "".join(f"{prefix}{_quoted(tag)}{newline}" for tag in tags)


def _extend_scalar(content: str, root: MappingNode, value: ScalarNode, tags: Sequence[str], key: str) -> TextEdit:
    """Add tags to text with commas or spaces between them; a list takes the place of what cannot hold them."""
    start, end = value.start_mark.index, value.end_mark.index
    if value.style in ("|", ">"):
        raise _refusal(value, f"`{key}` is a block of text")
    words = split_tags(value.value)
    if not unique_tags(words):
        return _fill(content, root, value, tags)
    mark = value.style or ""
    more = more_words(value.value, tags)
    if more and (mark or not any(_DIVIDING.search(tag) for tag in tags)):
        place = end - len(mark)
        return TextEdit(place, place, _in_quotes(more, mark)[len(mark) : -len(mark) or None])
    old = [_in_quotes(word, mark or ('"' if _breaks(word) else "")) for word in words]
    new = [_quoted(tag, mark, mark or '"') for tag in tags]
    return TextEdit(start, end, f"[{', '.join([*old, *new])}]")


def _fill(content: str, root: MappingNode, value: ScalarNode, tags: Sequence[str]) -> TextEdit:
    """Replace an empty value by a list."""
    start, end = value.start_mark.index, value.end_mark.index
    if start < end:  # `~`, `null` or quotation marks
        return TextEdit(start, end, _flow_list(tags))
    end_of_line = line_end(content, start)
    prefix = _block_prefix(content, root)
    if prefix:
        below = newline_of(content, start) + prefix
        return TextEdit(end_of_line, end_of_line, "".join(below + _quoted(tag) for tag in tags))
    if content[start:end_of_line].strip() or start == end_of_line:
        return TextEdit(start, start, f" {_flow_list(tags)}")
    return TextEdit(start + 1, start + 1, _flow_list(tags))  # behind the space that stands there


def _extend_list(content: str, value: SequenceNode, tags: Sequence[str], key: str) -> TextEdit:
    items = value.value
    if not all(isinstance(item.value, str) and item.style not in ("|", ">") for item in items):
        raise _refusal(value, f"`{key}` holds other things than tags")
    marks = [item.style or "" for item in items if item.value]
    always = marks[0] if len(set(marks)) == 1 else ""
    needed = next(filter(None, reversed(marks)), '"')
    written = [_quoted(tag, always, needed) for tag in tags]
    if value.flow_style:
        spans = [(item.start_mark.index, item.end_mark.index) for item in items]
        return extend_brackets(content, value.start_mark.index, spans, written)
    prefix = _dash(content, items[-1])
    if not prefix:
        raise _refusal(items[-1], f"`{key}` is a list of an unusual form")
    last = items[-1].end_mark.index
    below = newline_of(content, last) + prefix
    end_of_line = line_end(content, last)
    return TextEdit(end_of_line, end_of_line, "".join(below + item for item in written))


def _block_prefix(content: str, root: MappingNode) -> str:
    """What stands before the items of the lists of a front matter; empty where some are written in brackets."""
    lists = [value for _, value in root.value if value.id == "sequence" and value.value]
    if not lists or any(node.flow_style for node in lists):
        return ""
    return _dash(content, lists[-1].value[-1])


def _dash(content: str, item: ScalarNode) -> str:
    """What stands before an item of a list on its line: indentation, a dash and spaces."""
    start = item.start_mark.index
    match = _DASH.fullmatch(content, line_start(content, start), start)
    return match[1] + (match[2] or " ") if match else ""


def _flow_list(tags: Sequence[str]) -> str:
    return f"[{', '.join(_quoted(tag) for tag in tags)}]"


def _quoted(tag: str, always: str = "", needed: str = '"') -> str:
    """A tag as an item of a list.

    Args:
        tag: The tag.
        always: The quotation mark that all items have; empty where some have none.
        needed: The mark for an item that cannot do without.
    """
    return _in_quotes(tag, always or (needed if _breaks(tag) or _NO_TEXT.fullmatch(tag) else ""))


def _breaks(word: str) -> bool:
    """Whether YAML needs quotation marks around a word."""
    return bool(_DIVIDING.search(word)) or word.startswith(_NO_BEGINNING)


def _in_quotes(word: str, mark: str) -> str:
    if mark == "'":
        return "'" + word.replace("'", "''") + "'"
    return double_quoted(word) if mark else word


def double_quoted(word: str) -> str:
    """A word in double quotation marks, as YAML, TOML and JSON write it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def extend_brackets(text: str, opening: int, items: Sequence[tuple[int, int]], written: Sequence[str]) -> TextEdit:
    """Put more items at the end of a list in brackets, on one line or on many.

    Args:
        text: The text that holds the list, whose items are divided by commas and whose comments begin with `#`.
        opening: The opening bracket.
        items: Start and end of each item, in order.
        written: The new items as they are to stand there, at least one.

    Returns:
        The change.
    """
    if not items:
        inner = text[opening + 1 : text.index("]", opening)]
        end = opening + 1 + (0 if inner.strip() else len(inner))
        space = " " if inner.startswith("#") else ""
        return TextEdit(opening + 1, end, ", ".join(written) + space)
    start, end = items[-1]
    gap = text[items[-2][1] if len(items) > 1 else opening + 1 : start]
    if "\n" in gap or "\r" in gap:
        return _add_lines(text, end, text[line_start(text, start) : start], written)
    separator = gap if len(items) > 1 else ", "
    return TextEdit(end, end, "".join(separator + item for item in written))


def _add_lines(text: str, end: int, prefix: str, written: Sequence[str]) -> TextEdit:
    """Put items on lines of their own below the last item, which ends at `end`; its comment stays beside it."""
    below = newline_of(text, end) + prefix
    end_of_line = line_end(text, end)
    behind = text[end:end_of_line]
    comma_leads = "," in prefix
    lines = below + (below if comma_leads else f",{below}").join(written)
    if behind.lstrip(", \t").startswith("]"):
        return TextEdit(end, end, lines if comma_leads else f",{lines}")
    if comma_leads:
        return TextEdit(end_of_line, end_of_line, lines)
    if behind.lstrip().startswith(","):
        return TextEdit(end_of_line, end_of_line, f"{lines},")
    return TextEdit(end, end_of_line, f",{behind}{lines}")
