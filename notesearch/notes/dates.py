"""The date of a note: as many programs write it, under the keys that they have for it and in names of files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from notesearch.notes.structure import one_line
from notesearch.notes.tags import NOTHING

# In the order in which they count, without what stands between their words: `created_at`, `Date created`, `pubDate`.
_KEYS = (
    *("date", "created", "createdat", "createdtime", "createdon", "createddate", "datecreated"),
    *("creationdate", "creationtime", "dateadded", "datetime"),
    *("published", "publishedat", "publisheddate", "publishdate", "datepublished", "pubdate", "pubdatetime"),
)
_BETWEEN_WORDS = re.compile(r"[\s_-]+")
# `published: true` says whether, not when.
_NO_DATES = (*NOTHING, "true", "false", "yes", "no")


def date_of(values: Mapping[str, Any], path: Path) -> tuple[datetime | None, str]:
    """The date of a note, naive local time (None where it has none), and what is wrong with it.

    Where its keys hold none, the name of its file may give it, or the folders that it is in: `2025/01/04.md`.
    """
    problem = ""
    for key, value in sorted(((key, values[key]) for key in values if is_date_key(key)), key=_rank):
        while isinstance(value, list) and len(value) == 1:  # `[[2025-01-04]]` without quotation marks
            value = value[0]
        if value is None or str(value).strip().lower() in _NO_DATES:
            continue
        try:
            return _local(value if isinstance(value, date) else _read(str(value))), problem
        except (ValueError, OverflowError, OSError):
            problem = problem or f"{key}: {one_line(str(value))!r} is not a date"
    try:
        named = _in_path(path)
    except ValueError:  # 2025-13-45
        named = None
    return named, problem


def is_date_key(key: str) -> bool:
    """Whether the value under a key is the date of a note."""
    return _BETWEEN_WORDS.sub("", key.lower()) in _KEYS


def date_in(written: str) -> datetime | None:
    """The date that a text begins with, as a program writes it, naive local time; None where it is none."""
    try:
        return _read(written)
    except (ValueError, OverflowError, OSError):
        return None


def _rank(entry: tuple[str, Any]) -> int:
    return _KEYS.index(_BETWEEN_WORDS.sub("", entry[0].lower()))


def _local(moment: date) -> datetime:
    if not isinstance(moment, datetime):
        return datetime(moment.year, moment.month, moment.day)
    return moment.astimezone().replace(tzinfo=None) if moment.tzinfo else moment


# A date as text. Whatever is none raises ValueError or OverflowError.

_NUMBER = re.compile(r"(\d+)(\.\d+)?")
_COMPACT = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d)(?:(\d\d)(\d{3})?)?)?")
# Seconds, milliseconds, microseconds and nanoseconds since 1970, by the number of digits: from 1973 to 2286.
_SECONDS_A_UNIT = {**dict.fromkeys((9, 10), 1.0), **dict.fromkeys((12, 13), 1e-3)}
_SECONDS_A_UNIT |= {**dict.fromkeys((15, 16), 1e-6), **dict.fromkeys((18, 19), 1e-9)}

# `2025-01-04`, `20250104T…`; a link to the note of a day may have folders before that. No part of `2025.1.4.5`.
_DAY = re.compile(
    r"(?:[^\W\d][\w ]*/)*"
    r"(?:(\d{4})([-/._])(\d{1,2})\2(\d{1,2})|((?:19|20)\d\d)(\d\d)(\d\d)(?=[Tt]))(?!\d|\.\d)"
)
_WEEK = re.compile(r"(\d{4})-?[Ww](\d\d)(?:-?([1-7]))?(?!\d)")
_MONTH = re.compile(r"(\d{4})[-/](\d{1,2})")
_ZONE = r"(?P<zone>Z\b|(?:UTC|GMT|UT)?[+-]\d{1,2}(?::?\d\d)?(?!\d)|(?:UTC|GMT|UT)\b)?"
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?(?!\d)"
    rf"\s*(?P<half>[AaPp]\.?[Mm]\b\.?)?\s*{_ZONE}"
)
_COMPACT_CLOCK = re.compile(
    rf"[Tt](?P<hour>\d\d)(?:(?P<minute>\d\d)(?P<second>\d\d)?)?(?![\d:])(?P<half>)(?P<fraction>)\s*{_ZONE}"
)
_TO_CLOCK = re.compile(r"[Tt\s,]*(?:(?!at\b)(?P<weekday>[^\W\d]{2,10})\.?,?\s+)?(?:at\s+)?")
_MONTHS = "january february march april may june july august september october november december".split()
# Weekdays and names of zones, which differ from country to country.
_UNTOLD = re.compile(r"(?i:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*|at|of|on|the)|[A-Z]{3,4}")


def _read(written: str) -> datetime:
    """Reads a date as ISO 8601, Org, mails, JavaScript and people write it, or as the time since 1970."""
    text = written.strip().strip("<>[]\"'").partition("|")[0].strip()
    if number := _NUMBER.fullmatch(text):
        return _read_number(number[1], number[2] or "")
    if day := _DAY.match(text):
        year, month, day_of_month = (int(part) for part in (*day.group(1, 3, 4), *day.group(5, 6, 7)) if part)
        return _read_clock(date(year, month, day_of_month), text[day.end() :])
    if week := _WEEK.fullmatch(text):
        return _local(date.fromisocalendar(int(week[1]), int(week[2]), int(week[3] or 1)))
    if whole_month := _MONTH.fullmatch(text):
        return datetime(int(whole_month[1]), int(whole_month[2]), 1)
    return _read_words(text)


def _read_number(digits: str, fraction: str) -> datetime:
    """`20250104`, with a time or without; else the time since 1970, as whose unit the number of digits tells."""
    if (compact := _COMPACT.fullmatch(digits)) and not fraction:
        try:
            year, month, day, hour, minute, second, thousandths = (int(part or 0) for part in compact.groups())
            # Only TiddlyWiki writes thousandths, and always UTC.
            zone = UTC if compact[7] else None
            return _local(datetime(year, month, day, hour, minute, second, thousandths * 1000, zone))
        except ValueError:  # milliseconds of 1980, say
            pass
    if digits.startswith("0") or len(digits) not in _SECONDS_A_UNIT:
        raise ValueError(digits)
    return datetime.fromtimestamp(float(digits + fraction) * _SECONDS_A_UNIT[len(digits)])


def _read_clock(day: date, rest: str) -> datetime:
    """A day with the time that a text begins with, if it does."""
    if compact := _COMPACT_CLOCK.match(rest):
        return _at(day, compact)
    before = _TO_CLOCK.match(rest)
    clock = _CLOCK.match(rest, before.end()) if before else None
    if clock is None:
        if re.match(r"[Tt]\d", rest):
            raise ValueError(rest)
        return _local(day)
    # After a weekday, Org writes a time until which something takes: `Thu 10:00-11:00`.
    return _at(day, clock, has_zone=not (before and before["weekday"]))


def _at(day: date, clock: re.Match[str], *, has_zone: bool = True) -> datetime:
    hour, minute, second = (int(clock[name] or 0) for name in ("hour", "minute", "second"))
    if half := clock["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + (12 if half[0] in "Pp" else 0)
    moment = datetime(
        day.year, day.month, day.day, hour, minute, second, int((clock["fraction"] or "")[:6].ljust(6, "0"))
    )
    zone = clock["zone"] if has_zone else None
    return _local(moment.replace(tzinfo=_zone(zone)) if zone else moment)


def _zone(written: str) -> timezone:
    """A zone from `Z`, `+1`, `-0330` or `GMT+01:00`."""
    offset = written.lstrip("ZUTGMC")
    digits = offset[1:].replace(":", "")
    hours, minutes = (digits, "0") if len(digits) <= 2 else (digits[:-2], digits[-2:])
    away = timedelta(hours=int(hours or 0), minutes=int(minutes))
    return timezone(-away if offset.startswith("-") else away)


def _read_words(text: str) -> datetime:
    """`March 4, 2021 10:11 AM`, `Thu, 4 Mar 2021 10:11:12 +0100`, `Mar 4th, 2021`."""
    text = re.sub(r"\([^()]*\)", " ", text)
    clock = _CLOCK.search(text)
    year, month, day = 0, 0, 0
    for word in re.findall(r"\w+", text[: clock.start()] + " " + text[clock.end() :] if clock else text):
        if re.fullmatch(r"[12]\d{3}", word) and not year:
            year = int(word)
        elif (number := re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?", word)) and not day:
            day = int(number[1])
        elif not month and (named := _month(word.lower())):
            month = named
        elif not _UNTOLD.fullmatch(word):
            raise ValueError(word)
    return _at(date(year, month, day), clock) if clock else datetime(year, month, day)


def _month(word: str) -> int:
    word = "sep" if word == "sept" else word
    return next((number for number, name in enumerate(_MONTHS, 1) if len(word) > 2 and name.startswith(word)), 0)


# A date in the name of a file, or of the folders that it is in.

_BEGINNING = r"(?:^|(?<=[^\W\d][._-]))"
# Denote and org-roam add a time, and so does Dendron: `journal.2025.01.04.101112`. No part of `2025.01.04.5`.
_NAMED_DAY = re.compile(
    rf"{_BEGINNING}(?:((?:1\d|20)\d\d)([-_.])(\d\d)\2(\d\d)(?:T(\d\d)[-_.:]?(\d\d)(?:[-_.:]?(\d\d))?|\.(\d\d)(\d\d)(\d\d))?"
    r"|((?:19|20)\d\d)(\d\d)(\d\d)(?:T?(\d\d)(\d\d)(\d\d)?)?)(?!\d|\.\d)"
)
_NAMED_WEEK = re.compile(rf"{_BEGINNING}(\d{{4}})-?[Ww](\d\d)(?!\d)")
_NAMED_MONTH = re.compile(r"(\d{4})[-_](\d\d)")
_FOLDERS = re.compile(r"(?:.*/)?(\d{4})/(\d\d)/(\d\d)", re.DOTALL)


def _in_path(path: Path) -> datetime | None:
    """The first moment of the day, week or month that the note is of.

    Raises:
        ValueError: There is no such day.
    """
    if day := _NAMED_DAY.search(path.stem):
        parts = [int(part) for part in (day[1], *day.groups()[2:]) if part]
        year, month_of_year, day_of_month, hour, minute, second = (*parts, 0, 0, 0)[:6]
        return datetime(year, month_of_year, day_of_month, hour, minute, second)
    if week := _NAMED_WEEK.search(path.stem):
        return _local(date.fromisocalendar(int(week[1]), int(week[2]), 1))
    if month := _NAMED_MONTH.fullmatch(path.stem):
        return datetime(int(month[1]), int(month[2]), 1)
    if folders := _FOLDERS.fullmatch(path.with_suffix("").as_posix()):
        year, month_of_year, day_of_month = map(int, folders.groups())
        return datetime(year, month_of_year, day_of_month)
    return _read_words(path.stem)
