"""What a check says, and how one is made that says something whatever it meets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from notesearch.errors import NotesearchError

State = Literal["ok", "warning", "wrong"]
REPAIR = "Mend it: notesearch doctor --repair"


@dataclass(frozen=True, slots=True)
class Check:
    """What a check has found.

    Attributes:
        check: What was checked.
        state: `wrong` where something does not work as it should, `warning` where it may soon not.
        message: One line on what is the matter.
        hint: One line on what to do; empty where there is nothing to do.
    """

    check: str
    state: State
    message: str
    hint: str = ""


def guarded(name: str, checks: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Makes checks; what stops them is a finding too.

    Args:
        name: What is checked.
        checks: Gives what it finds.
    """
    try:
        yield from checks()
    except NotesearchError as error:
        yield Check(name, "wrong", error.message, error.hint)
    except Exception as error:  # noqa: BLE001 - damaged files go through libraries that raise whatever they like
        yield Check(name, "wrong", f"could not be looked at: {type(error).__name__}: {one_line(str(error))}")


def one_line(text: str) -> str:
    """A message of another program, short enough to be read."""
    text = " ".join(text.split())
    return text if len(text) <= _MOST_CHARS else text[: _MOST_CHARS - 1] + "…"


_MOST_CHARS = 200
