"""Properties: what a note says of itself in keys and values, and in which of its words these count."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from notesearch.notes.structure import Written
from notesearch.notes.tags import NOTHING, TAG_KEYS, unquoted
from notesearch.records import Property, WordsOf
from notesearch.words import key_of, storable

# More than any note has that was not made to be a burden.
_MOST_PROPERTIES = 1_000
_MOST_NAME_CHARS = 200
_MOST_VALUE_CHARS = 10_000
_MOST_DEPTH = 32

_ALIAS_KEYS = frozenset({"alias", "aliases", "roam_aliases"})
# Keys whose values say nothing to look for: what is known otherwise (tags, title), names for programs, and switches of
# site generators, which are the same in every note of a site.
_NO_WORDS = frozenset(
    {*TAG_KEYS, "filetags", "title", "id", "uid", "uuid", "guid", "identifier"}
    | {"layout", "template", "cssclass", "cssclasses", "kanban-plugin", "type_"}
)
_TRUTHS = frozenset({"true", "false", "yes", "no", "on", "off"})
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_WIKI_LINK = re.compile(r"!?\[\[([^\[\]\r\n]+)\]\]")
_LINKS_ONLY = re.compile(r"(?:!?\[\[[^\[\]\r\n]+\]\][\s,;]*){2,}")


def make_properties(written: Iterable[Written]) -> tuple[Property, ...]:
    """Makes the properties of a note: one a value, in order, each once; not more of them than are of use."""
    found: dict[tuple[str, str], Property] = {}
    for name, value, in_text in written:
        for full_name, words in _leaves(name, value, 0):
            for one in _divided(key_of(full_name), words):
                made = _property(full_name, one, in_text=in_text)
                found.setdefault((key_of(made.name), made.compared), made)
                if len(found) == _MOST_PROPERTIES:
                    return tuple(found.values())
    return tuple(found.values())


def _leaves(name: str, value: object, depth: int) -> Iterator[tuple[str, str]]:
    """The values in lists and mappings, as text, each with its whole name."""
    if depth > _MOST_DEPTH:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}", inner, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(name, inner, depth + 1)
    elif value is not None:
        words = str(value).lower() if isinstance(value, bool) else str(value)
        if (words := words.strip()).lower() not in NOTHING:
            yield name, words


def _divided(key: str, words: str) -> Iterator[str]:
    """The values that a text holds: links, aliases and authors with something between; else it is one."""
    if _LINKS_ONLY.fullmatch(words):
        yield from (link[0] for link in _WIKI_LINK.finditer(words))
    elif key == "roam_aliases":
        yield from (unquoted(alias) for alias in re.findall(r'"[^"]+"|\S+', words))
    elif key in _ALIAS_KEYS or key == "authors":
        yield from (unquoted(part.strip()) for part in re.split(r"[,;]", words) if part.strip())
    else:
        yield words


def _property(name: str, value: str, *, in_text: bool) -> Property:
    name = storable(" ".join(name.split()))[:_MOST_NAME_CHARS]
    value = storable(value).replace("\0", " ")[:_MOST_VALUE_CHARS]
    number, moment = number_of(value), moment_of(value)
    key = key_of(name)
    words: WordsOf = "text"
    if key in _ALIAS_KEYS:
        words = "title"
    elif in_text or key in _NO_WORDS or value.lower() in _TRUTHS or (moment and number is None):
        words = ""
    return Property(name, value, compared(value), number, moment, words)


def compared(value: str) -> str:
    """A value as text that others are compared with: in any letter case; of a link, the name of its page."""
    if link := _WIKI_LINK.fullmatch(value.strip()):
        value = link[1].partition("|")[0].partition("#")[0]
    return key_of(" ".join(value.split()))


def number_of(value: str) -> float | None:
    """The number that a value is; `None` where it is none."""
    number = float(value) if _NUMBER.fullmatch(value.strip()) else math.inf
    return number if math.isfinite(number) else None


def moment_of(value: str) -> datetime | None:
    """The date that a value is, naive local time; `None` where it is none."""
    words = value.strip().strip("<>[]")
    if words.isdigit():
        return None
    try:
        moment = datetime.fromisoformat(words)
        return moment.astimezone().replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None
