"""`notesearch rerank`: put in order what another program has found."""

from __future__ import annotations

import sys
from enum import StrEnum
from itertools import chain
from typing import Annotated, Optional

import typer

from notesearch.cli.formats import Format, choose_format, format_hits
from notesearch.cli.last_search import remember_search
from notesearch.cli.options import (
    AsJson,
    AsJsonl,
    AsTsv,
    AsVimgrep,
    CollectionName,
    CrossEncoderName,
    Explain,
    IndexDir,
    OnlyFiles,
    OnlyFiles0,
    Output,
    Quiet,
    Verbose,
)
from notesearch.cli.places import lines_of_stdin, read_places
from notesearch.cli.progress import progress_bar
from notesearch.cli.terminal import is_terminal, uses_colour, warn, warn_of_skipped, width, write
from notesearch.errors import UsageError
from notesearch.records import Place, Skipped


class Method(StrEnum):
    """What the candidates are scored by."""

    MAXSIM = "maxsim"
    DENSE = "dense"
    CROSS_ENCODER = "cross-encoder"


def rerank(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Words or a question.", show_default=False)],
    files: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Argument(metavar="[FILE…|-]", help="Candidates; with none, or -, they come from stdin."),
    ] = None,
    method: Annotated[
        Optional[Method],  # noqa: UP045
        typer.Option(
            help="Score by late interaction, embeddings, or a cross-encoder. Default: cross-encoder if one is given, "
            "else maxsim.",
            show_default=False,
        ),
    ] = None,
    cross_encoder: CrossEncoderName = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", help="The most hits; 0: all.", min=0)] = 10,
    output: Output = Format.HUMAN,
    as_json: AsJson = False,
    as_jsonl: AsJsonl = False,
    as_tsv: AsTsv = False,
    as_vimgrep: AsVimgrep = False,
    only_files: OnlyFiles = False,
    null: OnlyFiles0 = False,
    explain: Explain = False,
    collection: CollectionName = None,
    index_dir: IndexDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Put in order what another program has found, best first.

    Candidates are paths, the lines that rg -n and grep -n print, or hits of search --jsonl. What the index knows is
    not read again, and no index is needed. Exits with 1 when there is nothing to rank.

    Example: notesearch rerank "when is the rent due" ~/docs/*.txt

    Behind rg: rg -l invoice ~/docs | notesearch rerank "when is the rent due"
    """
    from notesearch.library.search import rerank_places

    kind = choose_format(output, as_json, as_jsonl, as_tsv, as_vimgrep, only_files, null)
    places: list[Place] = []
    unreadable: list[Skipped] = []
    for place in read_places(_candidates(files or ["-"])):
        if isinstance(place, Place):
            places.append(place)
        else:
            unreadable.append(place)
    with progress_bar("Reading", shown=not quiet and is_terminal(sys.stderr), unit="passages") as progress:
        hits, skipped = rerank_places(
            query,
            places,
            method=method.value if method else "cross-encoder" if cross_encoder else "maxsim",
            limit=limit or max(1, len(places)),
            index_dir=index_dir,
            cross_encoder=cross_encoder,
            collection=collection,
            progress=progress,
        )
    if is_terminal(sys.stdout):
        remember_search(query, hits)
    write(format_hits(hits, kind, colour=uses_colour(sys.stdout), width=width(), explain=explain))
    unread_paths = {entry.path for entry in skipped}
    unread_count = len(unreadable) + sum(str(place.path) in unread_paths for place in places)
    unreadable += skipped
    if unreadable and (not quiet or not hits):
        warn_of_skipped(unreadable, everything=verbose)
        warn(f"{unread_count:,} of {len(places) + len(unreadable) - len(skipped):,} candidates could not be read.")
    if not hits:
        if kind is Format.HUMAN and not quiet and not unreadable:
            warn("Nothing to rank.")
        raise typer.Exit(2 if unreadable else 1)


def _candidates(files: list[str]) -> chain[str]:
    """Candidates that were named, and in the place of - those from stdin."""
    if "-" in files and is_terminal(sys.stdin):
        raise UsageError("no candidates were given", 'Name files, or pipe some in: rg -l rent | notesearch rerank "…"')
    return chain.from_iterable(lines_of_stdin() if file == "-" else (file,) for file in files)
