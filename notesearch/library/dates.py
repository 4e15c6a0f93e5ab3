"""Dates as people say them: `2025-03`, `jan 2025`, `last week`, `3 days ago`; most are periods."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta

from notesearch.errors import UsageError

Period = tuple[date, date]
"""The first day and the last."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_UNIT = r"(?P<unit>minute|min|hour|h|day|d|week|w|month|m|quarter|year|y)s?"
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAY = (
    r"(?P<weekday>mon(?:day)?|tue(?:s|sday)?|wed(?:nesday)?|thu(?:r|rs|rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)"
)
_YEAR = r"(?P<year>\d{4})"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_COUNT = rf"(?P<count>\d+|an?|{'|'.join(_NUMBERS)}|a couple(?: of)?)"
_NO_MATTER = re.compile(r"(?:in|on|from|since|until|the)\s+(?=\S)")
_LONGEST_DATE_CHARS = 10
_MONTHS_OF = {"month": 1, "m": 1, "quarter": 3, "year": 12, "y": 12}
_DAYS_OF = {"day": 1, "d": 1, "week": 7, "w": 7}
_MINUTES_OF = {"minute": 1, "min": 1, "hour": 60, "h": 60}


def parse_date(written: str, *, now: datetime, end: bool) -> datetime:
    """Reads a date as people say it, in English; one without a year is the last one that has begun.

    Among what is read: `2024`, `2024-05`, `2024-05-17`, ISO dates and times, `17 may 2024`, `jan 2025`, `march`,
    `2025 q1`, `monday`, `today`, `yesterday`, `this year`, `last week`, `last 3 days`, `2 weeks ago` (`2w`).

    Args:
        written: The date.
        now: The present, naive local time.
        end: Whether the end of the period is meant, rather than its start.

    Raises:
        UsageError: It is none of these.
    """
    words = _NO_MATTER.sub("", " ".join(written.lower().replace(",", " ").split()))
    try:
        if moment := _moment_ago(words, now):
            return moment
        for pattern, period in _FORMS:
            if match := pattern.fullmatch(words):
                return _edge(period(match.groupdict(), now.date()), end)
        moment = datetime.fromisoformat(written.strip())
        if len(words) <= _LONGEST_DATE_CHARS:  # 20240517, 2024-W20-5: a day, written otherwise
            return _edge((moment.date(), moment.date()), end)
        return moment.astimezone().replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{written!r} is not a date", "Write 2024-05-17, 2024-05, jan 2025, yesterday, last week or 2 weeks ago."
        ) from error


def _moment_ago(words: str, now: datetime) -> datetime | None:
    """What is counted in hours or minutes is no period of days."""
    match = _AGO.fullmatch(words)
    if words == "now" or not match or match["unit"] not in _MINUTES_OF:
        return now if words == "now" else None
    return now - timedelta(minutes=_count(match["count"]) * _MINUTES_OF[match["unit"]])


def _edge(period: Period, end: bool) -> datetime:
    return datetime.combine(period[1], time.max) if end else datetime.combine(period[0], time.min)


def _count(written: str) -> int:
    if written.isdigit():
        return int(written)
    return 2 if "couple" in written else _NUMBERS.index(written) if written in _NUMBERS else 1


def _days_before(today: date, count: int) -> Period:
    day = today - timedelta(days=count)
    return day, day


def _back(today: date, count: int, unit: str) -> date:
    """The day so many units ago; the last of the month where that has no such day."""
    if unit in _DAYS_OF:
        return today - timedelta(days=count * _DAYS_OF[unit])
    month = today.year * 12 + today.month - 1 - count * _MONTHS_OF[unit]
    first, last = _month(month // 12, month % 12 + 1)
    return first.replace(day=min(today.day, last.day))


def _month(year: int, month: int, months: int = 1) -> Period:
    last = month + months - 1
    return date(year, month, 1), date(year, last, monthrange(year, last)[1])


def _unit_around(day: date, unit: str) -> Period:
    """The day, week, month, quarter or year that a day is in; weeks begin on Monday."""
    if unit in _DAYS_OF:
        first = day - timedelta(days=day.weekday() if unit in ("week", "w") else 0)
        return first, first + timedelta(days=_DAYS_OF[unit] - 1)
    months = _MONTHS_OF[unit]
    return _month(day.year, (day.month - 1) // months * months + 1, months)


def _ago(said: Mapping[str, str], today: date) -> Period:
    day = _back(today, _count(said["count"]), said["unit"])
    return day, day


def _last_several(said: Mapping[str, str], today: date) -> Period:
    return _back(today, _count(said["count"]), said["unit"]), today


def _this_or_last(said: Mapping[str, str], today: date) -> Period:
    this = _unit_around(today, said["unit"])
    return this if said["which"] == "this" else _unit_around(this[0] - timedelta(days=1), said["unit"])


def _weekday(said: Mapping[str, str], today: date) -> Period:
    back = (today.weekday() - _DAYS.index(said["weekday"][:3])) % 7
    return _days_before(today, back or 7 if said["which"] == "last" else back)


def _named_month(said: Mapping[str, str], today: date) -> Period:
    month = _MONTHS.index(said["month"][:3]) + 1
    year = int(said["year"] or today.year)
    if not said["year"] and (month > today.month or (said["which"] == "last" and month == today.month)):
        year -= 1
    return _month(year, month)


def _named_day(said: Mapping[str, str], today: date) -> Period:
    month, day = _MONTHS.index(said["month"][:3]) + 1, int(said["day"])
    year = int(said["year"] or today.year)
    if not said["year"] and (month, day) > (today.month, today.day):
        year -= 1
    return date(year, month, day), date(year, month, day)


def _numbered(said: Mapping[str, str | None], today: date) -> Period:
    year, month, day = int(said["year"] or 0), int(said.get("month") or 0), int(said.get("day") or 0)
    if day:
        return date(year, month, day), date(year, month, day)
    return _month(year, month) if said.get("month") else _month(year, 1, 12)


def _week_of_year(said: Mapping[str, str], today: date) -> Period:
    first = date.fromisocalendar(int(said["year"] or today.year), int(said["week"]), 1)
    return first, first + timedelta(days=6)


def _quarter(said: Mapping[str, str], today: date) -> Period:
    return _month(int(said["year"] or today.year), 3 * int(said["quarter"]) - 2, 3)


_AGO = re.compile(rf"{_COUNT}\s*{_UNIT}(?:\s+ago)?")
_WHICH = r"(?P<which>this|last|past|previous)"
_OPTIONAL_WHICH = r"(?:(?P<which>this|last)\s+)?"
_FORMS: tuple[tuple[re.Pattern[str], Callable[..., Period]], ...] = tuple(
    (re.compile(pattern), period)
    for pattern, period in (
        (r"today", lambda said, today: (today, today)),
        (r"yesterday", lambda said, today: _days_before(today, 1)),
        (r"day before yesterday", lambda said, today: _days_before(today, 2)),
        (_AGO.pattern, _ago),
        (rf"(?:last|past)\s+{_COUNT}\s*{_UNIT}", _last_several),
        (rf"{_WHICH}\s+(?P<unit>day|week|month|quarter|year)", _this_or_last),
        (rf"{_OPTIONAL_WHICH}{_WEEKDAY}", _weekday),
        (rf"{_OPTIONAL_WHICH}{_MONTH}(?:\s+(?:of\s+)?{_YEAR})?", _named_month),
        (rf"{_YEAR}\s+(?P<which>){_MONTH}", _named_month),
        (rf"{_DAY}\.?\s+(?:of\s+)?{_MONTH}(?:\s+{_YEAR})?", _named_day),
        (rf"{_MONTH}\s+{_DAY}(?:\s+{_YEAR})?", _named_day),
        (rf"{_YEAR}\s+{_MONTH}\s+{_DAY}", _named_day),
        (rf"{_YEAR}(?:(?P<sign>[-/.])(?P<month>\d{{1,2}})(?:(?P=sign)(?P<day>\d{{1,2}}))?)?", _numbered),
        (rf"(?P<day>\d{{1,2}})\.\s?(?P<month>\d{{1,2}})\.\s?{_YEAR}", _numbered),
        (rf"(?P<month>\d{{1,2}})[/.]{_YEAR}", _numbered),
        (rf"{_YEAR}-?\s?w(?P<week>\d{{1,2}})", _week_of_year),
        (rf"week\s+(?P<week>\d{{1,2}})(?:\s+(?:of\s+)?{_YEAR})?", _week_of_year),
        (rf"{_YEAR}[-\s]?q(?P<quarter>[1-4])", _quarter),
        (rf"q(?P<quarter>[1-4])(?:[-\s/]{_YEAR})?", _quarter),
    )
)
