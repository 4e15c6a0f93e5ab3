"""Asking about suggestions note by note."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from notesearch.cli.formats import shown_path
from notesearch.cli.terminal import warn
from notesearch.records import Suggestions

_QUESTION = "[a]ccept, [r]eject, [e]dit, [s]kip, [q]uit? "
_EDIT = "Tags, with commas between: "

Decided = dict[str, tuple[str, ...]]


def ask_about(suggestions: Sequence[Suggestions]) -> tuple[Decided, Decided]:
    """Asks on stderr, and reads answers from stdin; its end, or Ctrl-C, is as good as "quit".

    Returns:
        The tags that were accepted, and those that were rejected, by the path of the note.
    """
    accepted: Decided = {}
    rejected: Decided = {}
    try:
        for number, entry in enumerate(suggestions, start=1):
            warn(f"\n{number}/{len(suggestions)}  {shown_path(entry.path)}\n  {', '.join(entry.new_tags)}")
            answer = _answer(_QUESTION, "aresq")
            if answer == "q":
                break
            if answer == "a":
                accepted[entry.path] = entry.new_tags
            elif answer == "r":
                rejected[entry.path] = entry.new_tags
            elif answer == "e":
                wanted = _typed_tags()
                kept = {tag.casefold() for tag in wanted}
                if wanted:
                    accepted[entry.path] = wanted
                rejected[entry.path] = tuple(tag for tag in entry.new_tags if tag.casefold() not in kept)
    except (EOFError, KeyboardInterrupt):
        warn("")
    return accepted, {path: tags for path, tags in rejected.items() if tags}


def _typed_tags() -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag.strip().lstrip("#") for tag in _read(_EDIT).split(",") if tag.strip()))


def _answer(question: str, letters: str) -> str:
    while True:
        typed = _read(question).strip().lower()[:1]
        if typed and typed in letters:
            return typed


def _read(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline() if sys.stdin else ""
    if not line:
        raise EOFError
    return line
