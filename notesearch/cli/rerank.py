"""`notesearch rerank`: rank what another program has found."""

from __future__ import annotations

import sys
from itertools import chain
from typing import Annotated

import typer

from notesearch.cli.last_search import remember_search
from notesearch.cli.options import CrossEncoderName, IndexOptions, MessageOptions, option
from notesearch.cli.output import OutputOptions
from notesearch.cli.places import lines_of_stdin, paths_of_counts, read_places
from notesearch.cli.terminal import is_terminal, warn
from notesearch.errors import ERROR, NOTHING_FOUND, UsageError
from notesearch.records import Place, RerankMethod, Skipped


def rerank(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Words or a question.")],
    candidates: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE…|-]", help="Candidates; with none, or -, they come from stdin.")
    ] = None,
    method: Annotated[
        RerankMethod | None,
        typer.Option(
            help="Score by late interaction, embeddings, or a cross-encoder. Default: cross-encoder if one is given, "
            "else maxsim."
        ),
    ] = None,
    cross_encoder: CrossEncoderName = None,
    limit: Annotated[int, option("N", "The most hits; 0: all.", "--limit", "-n", min=0)] = 10,
    *,
    output: OutputOptions,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Rank what another program has found.

    Candidates are paths, the lines that rg -n, rg --json and grep -n print, or hits of search --jsonl. What the
    index knows is not read again, and no index is needed. Exits with 1 when there is nothing to rank.

    Example: notesearch rerank "when is the rent due" ~/docs/*.txt

    Behind rg: rg -l invoice ~/docs | notesearch rerank "when is the rent due"
    """
    from notesearch.library.search import rerank_places

    if "-" in (candidates or ["-"]) and is_terminal(sys.stdin):
        raise UsageError("no candidates were given", 'Name files, or pipe some in: rg -l rent | notesearch rerank "…"')
    named = chain.from_iterable(
        paths_of_counts(lines_of_stdin()) if file == "-" else (file,) for file in candidates or ["-"]
    )
    found = list(read_places(named))
    places = [place for place in found if isinstance(place, Place)]
    with messages.progress("Reading passages") as progress:
        hits, skipped = rerank_places(
            query,
            places,
            method=method or ("cross-encoder" if cross_encoder else "maxsim"),
            limit=limit or max(1, len(places)),
            index_dir=index.index_dir,
            cross_encoder=cross_encoder,
            collection=index.collection,
            progress=progress,
        )
    if is_terminal(sys.stdout):
        remember_search(query, hits)
    output.write([(None, hits)])
    unread_paths = {entry.path for entry in skipped}
    unread_count = sum(not isinstance(place, Place) or str(place.path) in unread_paths for place in found)
    unread = [place for place in found if isinstance(place, Skipped)] + skipped
    if unread and not (messages.quiet and hits):
        messages.tell_of_skipped(unread)
        warn(f"{unread_count:,} of {len(found):,} candidates could not be read.")
    if not hits:
        if output.for_people and not unread:
            messages.tell("Nothing to rank.")
        raise typer.Exit(ERROR if unread else NOTHING_FOUND)
