"""`notesearch similar`: notes that are related to a note."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from notesearch.cli.formats import Format, choose_format, format_hits
from notesearch.cli.last_search import remember_search
from notesearch.cli.options import (
    AsJson,
    AsJsonl,
    AsTsv,
    AsVimgrep,
    CollectionName,
    Explain,
    IndexDir,
    Limit,
    NotTags,
    OnlyFiles,
    OnlyFiles0,
    Output,
    PathGlob,
    Quiet,
    Since,
    Tags,
    Until,
    Verbose,
    filters_as_typed,
)
from notesearch.cli.terminal import harmless, is_terminal, paint, uses_colour, warn, width, wrapped, write
from notesearch.errors import NOTHING_FOUND, UsageError

if TYPE_CHECKING:
    from notesearch.retrieval.similar import SimilarHit

_INDENT = "    "
_MOST_WIDTH = 100
_MEETING_WORDS = 12
_LINKS = {
    ("to",): "linked from the note",
    ("from",): "links to the note",
    ("to", "from"): "linked with the note, both ways",
}


def similar(
    note: Annotated[
        str, typer.Argument(metavar="NOTE", help="A note; - for a text on stdin, in Markdown.", show_default=False)
    ],
    limit: Limit = 10,
    unlinked: Annotated[
        bool, typer.Option("--unlinked", help="Only notes that no link joins to it yet, in either direction.")
    ] = False,
    explain: Explain = False,
    tag: Tags = [],  # noqa: B006
    not_tag: NotTags = [],  # noqa: B006
    path: PathGlob = "",
    since: Since = "",
    until: Until = "",
    output: Output = Format.HUMAN,
    as_json: AsJson = False,
    as_jsonl: AsJsonl = False,
    as_tsv: AsTsv = False,
    as_vimgrep: AsVimgrep = False,
    files: OnlyFiles = False,
    null: OnlyFiles0 = False,
    collection: CollectionName = None,
    index_dir: IndexDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Find the notes that are related to a note, best first, and say why.

    What the index knows of the note is taken from there; a note that is new or has changed is read. Exits with 1 when
    no note is closer to it than notes are on average.

    Example: notesearch similar --unlinked ~/notes/cap-theorem.md
    """
    gc.disable()  # the command is over before garbage matters
    from notesearch.library.similar import find_similar

    kind = choose_format(output, as_json, as_jsonl, as_tsv, as_vimgrep, files, null)
    options: dict[str, Any] = {
        "limit": limit,
        "unlinked": unlinked,
        **filters_as_typed(tag, not_tag, path, since, until),
        "index_dir": index_dir,
        "collection": collection,
    }
    hits = find_similar(None, text=_text_of_stdin(), **options) if note == "-" else find_similar(note, **options)
    if is_terminal(sys.stdout):
        remember_search(note, hits)
    colour, columns = uses_colour(sys.stdout), width()
    if kind is Format.HUMAN:
        write(_for_people(hits, colour, columns, explain))
    else:
        write(format_hits(hits, kind))
    if not hits:
        if kind is Format.HUMAN and not quiet:
            warn("Nothing found.")
        raise typer.Exit(NOTHING_FOUND)


def _for_people(hits: Sequence[SimilarHit], colour: bool, columns: int, explain: bool) -> Iterator[str]:
    """Hits as those of a search, each with why it is one."""
    for hit in hits:
        (shown,) = format_hits([hit], Format.HUMAN, colour=colour, width=columns, explain=explain)
        reasons = [
            paint(line, "dim", colour=colour)
            for reason in _reasons(hit)
            for line in wrapped(harmless(reason), min(columns, _MOST_WIDTH), _INDENT, _INDENT)
        ]
        yield "\n".join([shown.rstrip("\n"), *reasons]) + "\n\n"


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
