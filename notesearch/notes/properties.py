"""Properties: what a note says of itself in keys and values, and in which of its words these count."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from notesearch.notes.dates import date_in
from notesearch.notes.markdown import hide_code
from notesearch.notes.structure import Written
from notesearch.notes.tags import NOTHING, TAG_KEYS, unquoted
from notesearch.records import Property, WordsOf
from notesearch.words import key_of, storable

# More than any note has that was not made to be a burden.
_MOST_PROPERTIES = 1_000
_MOST_NAME_CHARS = 200
_MOST_VALUE_CHARS = 10_000
_MOST_DEPTH = 32
_MOST_DATE_CHARS = 60

ALIAS_KEYS = frozenset({"alias", "aliases", "roam_aliases"})
# Keys whose values say nothing to look for: what is known otherwise (tags, title), names for programs, and switches of
# site generators, which are the same in every note of a site.
_NO_WORDS = frozenset(
    {*TAG_KEYS, "filetags", "title", "id", "uid", "uuid", "guid", "identifier"}
    | {"layout", "template", "cssclass", "cssclasses", "kanban-plugin", "type_"}
)
_TRUTHS = frozenset({"true", "false", "yes", "no", "on", "off"})
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_WIKI_LINK = re.compile(r"!?\[\[([^\[\]\r\n]+)\]\]")
# Links, or words in quotation marks, with nothing else between them.
_WHOLE = re.compile(r"!?\[\[[^\[\]\r\n]+\]\]|\"[^\"\r\n]+\"")
_WHOLES_ONLY = re.compile(rf"(?:(?:{_WHOLE.pattern})[\s,;]*)+")
# What a date alone is written with: days and months, zones, letters such as T and Z; other languages shorten, too.
_DATE_ONLY = re.compile(
    r"(?:[\W\d_]+|[^\W\d_]{1,2}(?![^\W\d_])|(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*|utc|gmt"
    r"|jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)++",
    re.IGNORECASE,
)


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
    if _WHOLES_ONLY.fullmatch(words):
        yield from (unquoted(part[0]) for part in _WHOLE.finditer(words))
    elif key == "roam_aliases":
        yield from (unquoted(alias) for alias in re.findall(r'"[^"]+"|\S+', words))
    elif key in ALIAS_KEYS or key == "authors":
        yield from (unquoted(part.strip()) for part in re.split(r"[,;]", words) if part.strip())
    else:
        yield words


def _property(name: str, value: str, *, in_text: bool) -> Property:
    name = storable(" ".join(name.split()))[:_MOST_NAME_CHARS]
    value = storable(value).replace("\0", " ")[:_MOST_VALUE_CHARS]
    number, moment = number_of(value), moment_of(value)
    key = key_of(name)
    words: WordsOf = "text"
    if key in ALIAS_KEYS:
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
    """The date that a value is, naive local time; `None` where it is none, or more than a date."""
    return date_in(value) if len(value) <= _MOST_DATE_CHARS and _DATE_ONLY.fullmatch(value) else None


# Properties within the text of a note, as Dataview and Logseq have them.

_LINE = re.compile(r"[^\r\n]+")
_NAME = r"[^\W_](?:[\w /.-]{0,60}[^\W_])?"
# Emphasis may stand around the name, with the colons or without them.
_FULL_LINE = re.compile(
    rf"[ \t>]*(?:(?:[-*+]|\d{{1,9}}[.)])[ \t]+(?:\[.\][ \t]+)?)?[*_~]{{0,3}}(?P<name>{_NAME})[*_~]{{0,3}}[ \t]*::"
    r"[*_~]{0,3}[ \t]+(?P<value>[^\r\n]+)"
)
_BRACKETED_NAME = re.compile(rf"[ \t]*({_NAME})[ \t]*")
_BRACKET = re.compile(r"[\[\]()]|::")
_CLOSING = {"[": "]", "(": ")"}


def inline_properties(text: str) -> Iterator[Written]:
    """The properties in a block of Markdown that is not code: `key:: value`, `[key:: value]` and `(key:: value)`."""
    if "::" not in text:
        return
    visible = hide_code(text)
    for match in _LINE.finditer(visible):
        if "::" not in match[0]:
            continue
        line = text[slice(*match.span())]
        bracketed = list(_bracketed(line, match[0]))
        yield from bracketed
        if not bracketed and (field := _FULL_LINE.fullmatch(match[0])):
            yield Written(field["name"], line[slice(*field.span("value"))], in_text=True)


def _bracketed(line: str, visible: str) -> Iterator[Written]:
    """The properties in brackets of a line, whose code is hidden in `visible`; of one in another, the inner one."""
    # Each bracket with where its inside begins, its property's name and where the value begins; None for the name where
    # there can be none: it holds another, or the rest would be read once for each bracket around it.
    opened: list[tuple[str, int, str | None, int]] = []
    for token in _BRACKET.finditer(visible):
        mark, start, end = token[0], token.start(), token.end()
        if mark in _CLOSING:
            opened.append((mark, end, "", 0))
        elif not opened:
            continue
        elif mark == "::":
            bracket, inside, name, _ = opened[-1]
            named = _BRACKETED_NAME.fullmatch(visible, inside, start)
            # Not the scope of a name in a programming language: (std::vector).
            if named and name == "" and (bracket == "[" or visible[end : end + 1].isspace()):
                opened[-1] = (bracket, inside, named[1], end)
        elif mark == _CLOSING[opened[-1][0]]:
            _, _, name, value_start = opened.pop()
            value = line[value_start:start].strip() if name else ""
            if name and value and visible[end : end + 1] != "(":  # else it is the text of a link
                yield Written(name, value, in_text=True)
                name = None
            if opened and name is None:
                opened[-1] = (*opened[-1][:2], None, 0)
