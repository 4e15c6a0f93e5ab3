"""`notesearch accept`: remember which notes answered a query."""

from __future__ import annotations

from typing import Annotated

import typer

from notesearch.cli.options import IndexOptions, MessageOptions
from notesearch.cli.places import lines_of_stdin, read_places
from notesearch.errors import NOTHING_FOUND, UsageError
from notesearch.records import Place, Skipped


def accept(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What was asked.")],
    places: Annotated[list[str], typer.Argument(metavar="PATH[:LINE]…|-", help="What answers it; - reads stdin.")],
    *,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Remember which notes answered a query.

    `notesearch tune` learns from them. They are kept beside the index, in accepted.jsonl, and nowhere else. Exits with
    1 where no note could be read.

    Example: notesearch accept "nothing lasts forever" notes/buddhism/impermanence.md:12
    """
    from notesearch.library.tune import Accepted, add_accepted

    asked = " ".join(query.encode("utf-8", "replace").decode("utf-8").split())
    if not asked:
        raise UsageError("the query is empty", "Say what was asked, then what answers it.")
    named = read_places(lines_of_stdin() if places == ["-"] else places)
    found = [_file_or_skipped(place) for place in named]
    accepted = [Accepted(asked, str(place.path), place.line or 0) for place in found if isinstance(place, Place)]
    if accepted:
        add_accepted(index.settings().index_dir, accepted)
    if not messages.quiet:
        messages.tell_of_skipped([place for place in found if isinstance(place, Skipped)])
    messages.tell(f"{len(accepted)} accepted.")
    if not accepted:
        raise typer.Exit(NOTHING_FOUND)


def _file_or_skipped(place: Place | Skipped) -> Place | Skipped:
    if isinstance(place, Place) and not place.path.is_file():
        return Skipped(str(place.path), "not a file")
    return place
