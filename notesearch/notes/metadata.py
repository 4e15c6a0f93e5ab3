"""What a note says about itself in keys and values: its title, tags and date."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from notesearch.notes.structure import one_line
from notesearch.records import Block, TitleSource
from notesearch.words import storable

_TAG_KEYS = ("tags", "tag", "keywords", "topics")
_DATE_KEYS = ("date", "created", "created_at")
_NOTHING = ("", "~", "null", "none")
_NAME_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?!\d)")
_DATE = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})"
    r"(?:[Tt ,]*(?:[^\W\d]{2,10}\.?[ ]+)?(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?"
    r"[ ]*(Z|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?)?)?"
)


def title_of(values: Mapping[str, Any], blocks: Iterable[Block], path: Path) -> tuple[str, TitleSource]:
    """The title of a note, and where it comes from."""
    written = values.get("title")
    if isinstance(written, str | int | float | date) and one_line(str(written)):
        return one_line(str(written)), "front_matter"
    for block in blocks:
        if block.title:
            return block.title, "heading"
    return storable(path.stem), "file_name"


def written_tags(values: Mapping[str, Any]) -> Iterator[str]:
    """The tags under the keys for them, as they stand there: a list, or text with commas or spaces between."""
    for key in _TAG_KEYS:
        value = values.get(key)
        if isinstance(value, list):
            for item in value:
                if isinstance(item, str | int | float | date):
                    yield _scalar(item)
        elif isinstance(value, str):
            yield from value.split("," if "," in value else None)
        elif isinstance(value, int | float | date):
            yield _scalar(value)


def _scalar(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def unique_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags without `#`, each once in the spelling that comes first; upper and lower case are the same."""
    found: dict[str, str] = {}
    for tag in tags:
        clean = storable(" ".join(tag.split()).lstrip("#").strip())
        if clean.casefold() not in _NOTHING:
            found.setdefault(clean.casefold(), clean)
    return tuple(found.values())


def date_of(values: Mapping[str, Any], path: Path) -> tuple[datetime | None, str]:
    """The date of a note, naive local time (None where it has none), and what is wrong with it.

    A file name that begins with a date (`2025-01-04.md`, `2025-01-04 dentist.md`) gives it where the note does not.
    """
    problem = ""
    for key in _DATE_KEYS:
        value = values.get(key)
        if value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING):
            continue
        try:
            return _local(value if isinstance(value, date) else _parse_date(str(value))), problem
        except (ValueError, OverflowError):
            problem = problem or f"{key}: {one_line(str(value))!r} is not a date"
    if named := _NAME_DATE.match(path.name):
        try:
            return datetime.fromisoformat(named.group()), problem
        except ValueError:  # 2025-13-45
            pass
    return None, problem


def _parse_date(written: str) -> datetime:
    """Read a date as ISO 8601, YAML and Org write it: `2024-02-03`, `2024/2/3 4:05`, `<2024-02-03 Sat 4:05>`."""
    words = written.strip().strip("<>[]")
    try:
        return datetime.fromisoformat(words)
    except ValueError:
        match = _DATE.match(words)
        if match is None:
            raise
    year, month, day, hour, minute, second, zone = match.groups()
    moment = f"{year}-{month:0>2}-{day:0>2}T{hour or '0':0>2}:{minute or '00'}:{second or '00'}"
    return datetime.fromisoformat(moment + _iso_zone(zone or ""))


def _iso_zone(zone: str) -> str:
    if zone[:1] not in ("+", "-"):
        return "+00:00" if zone else ""
    hours, _, minutes = zone[1:].partition(":")
    if len(hours) > 2:
        hours, minutes = hours[:-2], hours[-2:]
    return f"{zone[0]}{hours:0>2}:{minutes or '00'}"


def _local(moment: date) -> datetime:
    if not isinstance(moment, datetime):
        return datetime(moment.year, moment.month, moment.day)
    return moment.astimezone().replace(tzinfo=None) if moment.tzinfo else moment
