"""`notesearch accept`: remember which notes answered a query."""

from __future__ import annotations

from typing import Annotated

import typer

from notesearch.cli.options import CollectionName, IndexDir, Quiet, Verbose
from notesearch.cli.places import lines_of_stdin, read_places
from notesearch.cli.terminal import warn, warn_of_skipped
from notesearch.errors import UsageError
from notesearch.records import Place, Skipped


def accept(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What was asked.", show_default=False)],
    places: Annotated[
        list[str], typer.Argument(metavar="PATH[:LINE]…|-", help="What answers it; - reads stdin.", show_default=False)
    ],
    collection: CollectionName = None,
    index_dir: IndexDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Remember which notes answered a query, for `notesearch tune` to learn from.

    Kept beside the index, in accepted.jsonl, and nowhere else. Exits with 1 where no place could be read.

    Example: notesearch accept "nothing lasts forever" notes/buddhism/impermanence.md:12
    """
    from notesearch.library.tune import Accepted, add_accepted
    from notesearch.settings import load_settings

    asked = " ".join(query.encode("utf-8", "replace").decode("utf-8").split())
    if not asked:
        raise UsageError("the query is empty", "Say what was asked, then what answers it.")
    found = list(read_places(lines_of_stdin() if places == ["-"] else places))
    found = [_file_or_skipped(place) for place in found]
    accepted = [Accepted(asked, str(place.path), place.line or 0) for place in found if isinstance(place, Place)]
    if accepted:
        add_accepted(load_settings(collection=collection, index_dir=index_dir).index_dir, accepted)
    if not quiet:
        warn_of_skipped([place for place in found if isinstance(place, Skipped)], everything=verbose)
        warn(f"{len(accepted)} accepted.")
    if not accepted:
        raise typer.Exit(1)


def _file_or_skipped(place: Place | Skipped) -> Place | Skipped:
    if isinstance(place, Place) and not place.path.is_file():
        return Skipped(str(place.path), "no file")
    return place
