"""`notesearch similar`: notes that are related to a note."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from notesearch.cli.last_search import remember_search
from notesearch.cli.options import ALL, FilterOptions, IndexOptions, Limit, MessageOptions, flag
from notesearch.cli.output import OutputOptions
from notesearch.cli.terminal import is_terminal
from notesearch.errors import NOTHING_FOUND, UsageError

if TYPE_CHECKING:
    from notesearch.retrieval.similar import SimilarHit

_MEETING_WORDS = 12
_LINKS = {
    ("to",): "linked from the note",
    ("from",): "links to the note",
    ("to", "from"): "linked with the note, both ways",
}


def similar(
    note: Annotated[str, typer.Argument(metavar="NOTE", help="A note; - for a text on stdin, in Markdown.")],
    limit: Limit = 10,
    unlinked: Annotated[
        bool, flag("Only notes that no link joins to it yet, in either direction.", "--unlinked")
    ] = False,
    *,
    filters: FilterOptions,
    output: OutputOptions,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Find the notes that are related to a note, and say why.

    What the index knows of the note is taken from there; a note that is new or has changed is read. Exits with 1 when
    no note is more similar to it than notes are on average.

    Example: notesearch similar --unlinked ~/notes/cap-theorem.md
    """
    gc.disable()  # the command is over before garbage matters
    from notesearch.library.similar import find_similar

    options: dict[str, Any] = {
        "limit": limit or ALL,
        "unlinked": unlinked,
        **filters.arguments(),
        "index_dir": index.index_dir,
        "collection": index.collection,
    }
    hits = find_similar(None, text=_text_of_stdin(), **options) if note == "-" else find_similar(note, **options)
    if is_terminal(sys.stdout):
        remember_search(note, hits)
    output.write([(None, hits)], _reasons)
    if not hits:
        if output.for_people:
            messages.tell("Nothing found.")
        raise typer.Exit(NOTHING_FOUND)


def _reasons(hit: SimilarHit) -> Iterator[str]:
    """Why a note is a hit: the lines that meet, the note's own first; tags; links."""
    for meeting in hit.meetings:
        own, other = (
            f"p. {page}" if page else f"{first}-{last}" if last > first else str(first)
            for page, first, last in (
                (meeting.page, meeting.start_line, meeting.end_line),
                (meeting.hit_page, meeting.hit_start_line, meeting.hit_end_line),
            )
        )
        begin = " ".join(meeting.snippet.split()[:_MEETING_WORDS])
        yield f"{own} meets {other}: {begin}"
    facts = [f"both: {' '.join(f'#{tag}' for tag in hit.shared_tags)}"] if hit.shared_tags else []
    facts += [_LINKS[hit.links]] if hit.links else []
    if facts:
        yield "; ".join(facts)


def _text_of_stdin() -> bytes:
    if sys.stdin is None or is_terminal(sys.stdin):
        raise UsageError("no text came on stdin", "Pipe it in: notesearch similar - < draft.md")
    return sys.stdin.buffer.read()
