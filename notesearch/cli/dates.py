"""Dates as people type them."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, time, timedelta

from notesearch.errors import UsageError

_AGO = re.compile(r"(\d+|a|an|one)\s*(minute|min|hour|h|day|d|week|w|month|m|year|y)s?(?:\s+ago)?")
_DAYS = {"day": 1, "d": 1, "week": 7, "w": 7}
_MONTHS = {"month": 1, "m": 1, "year": 12, "y": 12}
_MINUTES = {"minute": 1, "min": 1, "hour": 60, "h": 60}
_LONGEST_DATE_CHARS = 10
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?")


def parse_date(written: str, *, now: datetime, end: bool) -> datetime:
    """Reads `2024`, `2024-05`, `2024-05-17`, an ISO date and time, `today`, `yesterday`, or `2 weeks ago` (`2w`).

    Args:
        written: The date.
        now: The present, naive local time.
        end: Whether the end of the period is meant, rather than its start.

    Raises:
        UsageError: It is none of these.
    """
    words = " ".join(written.lower().split())
    days_ago = {"today": 0, "yesterday": 1}
    if words in days_ago:
        return _edge(now - timedelta(days=days_ago[words]), end)
    try:
        if match := _AGO.fullmatch(words):
            return _ago(match, now, end)
        if match := _DATE.fullmatch(words):
            return _period(match, end)
        moment = datetime.fromisoformat(written.strip())
        if len(words) <= _LONGEST_DATE_CHARS:  # 20240517, 2024-W20-5: a day, written otherwise
            return _edge(moment, end)
        return moment.astimezone().replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{written!r} is not a date", "Write 2024-05-17, 2024-05, yesterday or 2 weeks ago."
        ) from error


def _ago(match: re.Match[str], now: datetime, end: bool) -> datetime:
    count = int(match[1]) if match[1].isdigit() else 1
    unit = match[2]
    if unit in _MINUTES:
        return now - timedelta(minutes=count * _MINUTES[unit])
    if unit in _DAYS:
        return _edge(now - timedelta(days=count * _DAYS[unit]), end)
    months = now.year * 12 + now.month - 1 - count * _MONTHS[unit]
    first = now.replace(year=months // 12, month=months % 12 + 1, day=1)
    return _edge(first.replace(day=min(now.day, _last_of_month(first).day)), end)


def _period(match: re.Match[str], end: bool) -> datetime:
    year, month, day = match.groups()
    first = datetime(int(year), int(month or 1), int(day or 1))
    if not end or day:
        return _edge(first, end)
    last = _last_of_month(first) if month else first.replace(month=12, day=31)
    return _edge(last, end)


def _last_of_month(first: datetime) -> datetime:
    """The last day of the month whose first day is given."""
    return first.replace(day=monthrange(first.year, first.month)[1])


def _edge(day: datetime, end: bool) -> datetime:
    return datetime.combine(day.date(), time.max if end else time.min)
