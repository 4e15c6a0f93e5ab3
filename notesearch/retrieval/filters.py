"""Filters of a search, from what somebody wrote."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from notesearch.errors import UsageError
from notesearch.records import Filters
from notesearch.words import storable

_MOST_PATH_CHARS = 10_000


def make_filters(
    tags: Sequence[str], not_tags: Sequence[str], path: str, since: datetime | None, until: datetime | None
) -> Filters:
    """Makes filters; what no tag or path can hold is replaced, so that it matches none.

    Args:
        tags: Tags that a note must have, all of them.
        not_tags: Tags that a note must not have.
        path: Glob for the note's path, absolute or below its indexed folder.
        since: Earliest date of a note, inclusive, local time.
        until: Latest date of a note, inclusive, local time.

    Raises:
        UsageError: The path is too long.
    """
    if len(path) > _MOST_PATH_CHARS:
        raise UsageError(f"the path has {len(path):,} characters", f"Give {_MOST_PATH_CHARS:,} at most.")
    return Filters(tuple(map(storable, tags)), tuple(map(storable, not_tags)), storable(path), since, until)
