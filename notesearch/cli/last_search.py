"""What the last search in this terminal found, so that `notesearch open 2` knows what 2 is."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from notesearch.errors import UsageError
from notesearch.files import make_private_folder, private_opener
from notesearch.records import Hit, Place
from notesearch.settings import cache_dir

# Searches are private, so they are kept no longer than somebody may want to open a hit.
_KEPT_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class LastSearch:
    """A search, and what it found.

    Attributes:
        query: As it was typed; of `similar`, the note.
        places: The passages found, best first.
    """

    query: str
    places: tuple[Place, ...]


def remember_search(query: str, hits: Sequence[Hit]) -> None:
    """Remembers a search for those that follow in this terminal; where that cannot be, it is left."""
    record = {"query": query, "places": [[hit.path, hit.start_line] for hit in hits]}
    file = _file_of_terminal()
    with suppress(OSError):
        make_private_folder(file.parent)
        _delete_old(file.parent)
        with open(file, "w", encoding="ascii", opener=private_opener) as stream:
            json.dump(record, stream)


def recall_search() -> LastSearch | None:
    """The last search in this terminal; `None` where none is remembered."""
    file = _file_of_terminal()
    try:
        if _is_old(file):
            return None
        record = json.loads(file.read_text(encoding="ascii"))
        places = tuple(Place(Path(path), int(line)) for path, line in record["places"])
        return LastSearch(str(record["query"]), places)
    except (OSError, ValueError, TypeError, KeyError):  # nothing, or nothing that can be read: it is a mere convenience
        return None


def place_of_hit(number: int) -> Place:
    """The place of a hit of the last search in this terminal, counted from 1.

    Raises:
        UsageError: There is no such hit.
    """
    last = recall_search()
    if last is None:
        raise UsageError("no search in this terminal is remembered", "Search first: notesearch search QUERY")
    if not last.places:
        raise UsageError("the last search in this terminal found nothing", "Search for something else.")
    if not 1 <= number <= len(last.places):
        raise UsageError(
            f"the last search in this terminal has no hit {number}", f"Give a number from 1 to {len(last.places)}."
        )
    return last.places[number - 1]


def _file_of_terminal() -> Path:
    """A file for this terminal: its name may be given to another one, but not in the same session."""
    return cache_dir() / "last-searches" / f"{os.getsid(0)}-{_terminal_name().replace(os.sep, '-')}.json"


def _terminal_name() -> str:
    """The name of the terminal that a standard stream belongs to; that of none, with cron say, is empty."""
    for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        with suppress(OSError, ValueError, AttributeError):  # no terminal, closed, or not there at all
            return os.ttyname(stream.fileno())  # type: ignore[union-attr]
    return ""


def _delete_old(folder: Path) -> None:
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process was faster
            if _is_old(path):
                path.unlink()


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _KEPT_S
