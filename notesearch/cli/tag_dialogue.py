"""Asking about suggestions note by note."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from notesearch.cli.formats import shown_path
from notesearch.cli.tag_formats import lines_of_suggestions
from notesearch.cli.terminal import warn, width
from notesearch.notes import unique_tags
from notesearch.records import Suggestions

_QUESTION = "[a]ccept, [r]eject, [e]dit, [s]kip, [q]uit? "
_EDIT = "Tags, with commas between (none: leave the note alone): "
_ANSWERS = {
    name[:length]: name[0] for name in ("accept", "reject", "edit", "skip", "quit") for length in (1, len(name))
}

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
            warn("")
            warn(f"{number}/{len(suggestions)}  {shown_path(entry.path)}")
            for line in lines_of_suggestions(entry, [tag for tag in entry.tags if not tag.present], width()):
                warn(line)
            answer = _answer()
            if answer == "q":
                break
            if answer == "a":
                accepted[entry.path] = entry.new_tags
            elif answer == "r":
                rejected[entry.path] = entry.new_tags
            elif answer == "e":
                wanted = _typed_tags()
                if wanted:
                    kept = {tag.casefold() for tag in wanted}
                    accepted[entry.path] = wanted
                    rejected[entry.path] = tuple(tag for tag in entry.new_tags if tag.casefold() not in kept)
    except (EOFError, KeyboardInterrupt):
        warn("")
    return accepted, {path: tags for path, tags in rejected.items() if tags}


def _typed_tags() -> tuple[str, ...]:
    return unique_tags(_read(_EDIT).split(","))


def _answer() -> str:
    while True:
        typed = _read(_QUESTION).strip().lower()
        if typed in _ANSWERS:
            return _ANSWERS[typed]


def _read(question: str) -> str:
    if sys.stderr is not None:
        sys.stderr.write(question)
        sys.stderr.flush()
    line = sys.stdin.readline() if sys.stdin else ""
    if not line:
        raise EOFError
    return line
