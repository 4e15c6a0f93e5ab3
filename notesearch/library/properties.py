"""Conditions on properties as people type them, and what properties and tags there are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, get_args

from notesearch.errors import UsageError, require_type
from notesearch.records import PropertyCondition, PropertyOperator
from notesearch.storage import IndexReader
from notesearch.words import key_of, near_names, storable

if TYPE_CHECKING:
    from notesearch.settings import Settings
    from notesearch.storage import Reader

_CONDITION = re.compile(r"(?P<name>[^<>=]*?)\s*(?P<operator>[!<>]=|[<>=])\s*(?P<value>.*)", re.DOTALL)
_HOW_TO_WRITE = (
    "Write status=draft, 'status!=done', 'rating>=4', 'due<2025-03', or status alone; in quotes, for the shell."
)
_MOST_CHARS = 1_000
_MOST_CONDITIONS = 100


def parse_condition(written: str, *, now: datetime) -> PropertyCondition:
    """Reads `status=draft`, `status != done`, `rating>=4`, `due<2025-03`, or `status` for any value.

    Args:
        written: The condition; a value may be in quotation marks.
        now: The present, naive local time, for `due<yesterday`.

    Raises:
        UsageError: It is none.
    """
    text = storable(written).replace("\0", " ").strip()
    match = _CONDITION.fullmatch(text)
    name, value = (match["name"].strip(), match["value"].strip()) if match else (text, "")
    if not name or (match and (not value or value[0] in "<>=!")) or len(text) > _MOST_CHARS:
        raise UsageError(f"{written[:_MOST_CHARS]!r} is no condition on a property", _HOW_TO_WRITE)
    if not match:
        return PropertyCondition(name)
    operator: PropertyOperator = next(each for each in get_args(PropertyOperator) if each == match["operator"])
    from notesearch.notes.properties import compared, number_of  # not for a search without conditions
    from notesearch.notes.tags import unquoted

    value = unquoted(value)
    first, last = _period(value, now)
    return PropertyCondition(name, operator, compared(value), number_of(value), first, last)


def _period(value: str, now: datetime) -> tuple[datetime | None, datetime | None]:
    """The first and the last moment of the date that a value is, if it is one."""
    from notesearch.library.dates import parse_date

    try:
        return parse_date(value, now=now, end=False), parse_date(value, now=now, end=True)
    except UsageError:
        return None, None


def conditions_on(where: Sequence[str | PropertyCondition], readers: Iterable[Reader]) -> tuple[PropertyCondition, ...]:
    """Reads conditions on the properties of the notes of some indexes; those that were read stay as they are.

    Raises:
        UsageError: One cannot be understood, or no note has the property that it asks for.
    """
    require_type("where", where, list, tuple)
    if not where:
        return ()
    for each in where:
        require_type("each of where", each, str, PropertyCondition)
    if len(where) > _MOST_CONDITIONS:
        raise UsageError(f"there are {len(where):,} conditions", f"Give {_MOST_CONDITIONS} at most.")
    if all(isinstance(each, PropertyCondition) for each in where):
        return tuple(each for each in where if isinstance(each, PropertyCondition))
    now = datetime.now()
    read = tuple(each if isinstance(each, PropertyCondition) else parse_condition(each, now=now) for each in where)
    names = {key: name for reader in readers for key, name in reader.property_names().items()}
    for condition in read:
        # What no note has is equal to nothing.
        if condition.operator != "!=" and not _is_among(key_of(condition.name), names):
            raise unknown_property(condition.name, names)
    return read


def _is_among(key: str, names: Iterable[str]) -> bool:
    return any(each == key or each.startswith(f"{key}.") for each in names)


def unknown_property(name: str, names: Mapping[str, str]) -> UsageError:
    """The error that no note has a property, with those of all, by their keys, that are called nearly so."""
    near = near_names(key_of(name), names)
    hint = f"Do you mean {' or '.join(near)}? " if near else ""
    return UsageError(f"no note has a property {name!r}", f"{hint}All that there are: notesearch properties")


def list_tags(settings: Settings) -> list[tuple[str, int]]:
    """The tags of an index, and how many notes have each, the most frequent first.

    Raises:
        IndexMissing: Nothing has been indexed.
        StoreError: The index cannot be read.
    """
    with IndexReader(settings.index_dir) as reader:
        return reader.tag_counts()


def list_properties(settings: Settings) -> list[tuple[str, int, int]]:
    """The properties of the notes of an index, how many notes have each and how many values; those of most notes first.

    Raises:
        IndexMissing: Nothing has been indexed.
        StoreError: The index cannot be read.
    """
    with IndexReader(settings.index_dir) as reader:
        return reader.property_counts()


def list_values(settings: Settings, name: str) -> list[tuple[str, str, int]]:
    """The values of a property, their types, and how many notes have each, the most frequent first.

    Raises:
        UsageError: No note has the property.
        IndexMissing: Nothing has been indexed.
        StoreError: The index cannot be read.
    """
    with IndexReader(settings.index_dir) as reader:
        if values := reader.value_counts(key_of(storable(name))):
            return values
        raise unknown_property(name, reader.property_names())
