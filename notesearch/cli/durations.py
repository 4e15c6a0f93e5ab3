"""Spans of time as people type them."""

from __future__ import annotations

import re
from datetime import timedelta

from notesearch.errors import UsageError

_DURATION = re.compile(r"(\d{1,6})\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(written: str) -> timedelta:
    """Reads `90s`, `10m`, `24h`, `7d`, `2w` or `0`.

    Raises:
        UsageError: It is none of these.
    """
    text = written.strip().lower()
    if text == "0":
        return timedelta()
    match = _DURATION.fullmatch(text)
    if not match:
        raise UsageError(f"{written!r} is no span of time", "Write 90s, 10m, 24h or 7d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
