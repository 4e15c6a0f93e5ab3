"""`notesearch search`: find notes."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from notesearch.cli.editors import open_in_editor
from notesearch.cli.explanation import explain_concepts
from notesearch.cli.formats import Format, choose_format, format_hits, hit_as_dict, json_list
from notesearch.cli.last_search import remember_search
from notesearch.cli.options import (
    AsJson,
    AsJsonl,
    AsTsv,
    AsVimgrep,
    CollectionNames,
    ConceptsFile,
    CrossEncoderName,
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
from notesearch.cli.terminal import is_terminal, uses_colour, warn, width, write
from notesearch.errors import UsageError
from notesearch.records import Place

if TYPE_CHECKING:
    from notesearch.library.collections import Collections
    from notesearch.library.search import Index


class Mode(StrEnum):
    """Which retrievers take part."""

    HYBRID = "hybrid"
    DENSE = "dense"
    LEXICAL = "lexical"


class Rerank(StrEnum):
    """What the best candidates are scored again by."""

    NONE = "none"
    MAXSIM = "maxsim"
    CROSS_ENCODER = "cross-encoder"


def search(
    query: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Argument(metavar="[QUERY]…", help="Words or a question.", show_default=False),
    ] = None,
    limit: Limit = 10,
    mode: Annotated[Mode, typer.Option(help="By words, by meaning, or by both.")] = Mode.HYBRID,
    rerank: Annotated[
        Optional[Rerank],  # noqa: UP045
        typer.Option(
            help="What scores the best hits again. Default: maxsim in hybrid mode, else none.", show_default=False
        ),
    ] = None,
    cross_encoder: CrossEncoderName = None,
    concepts: ConceptsFile = None,
    no_concepts: Annotated[bool, typer.Option("--no-concepts", help="Search without links between ideas.")] = False,
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
    queries: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help='A batch: JSON lines with "_id" and "text"; - is stdin.', show_default=False),
    ] = None,
    open_best: Annotated[bool, typer.Option("--open", help="Open the best hit in the editor; print nothing.")] = False,
    collection: CollectionNames = [],  # noqa: B006
    index_dir: IndexDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Find the notes that answer a query, best first.

    Words in double quotes must occur as they stand. Exits with 1 when nothing is found.

    Example: notesearch search "how to trade off consistency vs partition tolerance"
    """
    if queries is None:
        gc.disable()  # one query is over before garbage matters, yet collecting it takes a tenth of the time
    if concepts and no_concepts:
        raise UsageError("--concepts and --no-concepts were both given", "Give one of them.")
    kind = choose_format(output, as_json, as_jsonl, as_tsv, as_vimgrep, files, null)
    if open_best and (queries is not None or kind is not Format.HUMAN):
        raise UsageError("--open was given, and nothing is printed where a hit is opened", "Give a query alone.")
    options: dict[str, Any] = {
        "limit": limit,
        "mode": mode.value,
        "rerank": rerank.value if rerank else "cross-encoder" if cross_encoder else None,
        **filters_as_typed(tag, not_tag, path, since, until),
    }
    batch = [(None, " ".join(query or []))] if queries is None else list(_read_queries(queries, query))
    found = False
    as_one_list: list[dict[str, object]] = []
    colour, columns = uses_colour(sys.stdout), width()
    with _opened(index_dir, collection, cross_encoder, concepts or not no_concepts) as index:
        for query_id, text in batch:
            hits = index.search(text, **options)
            found = found or bool(hits)
            if queries is None and (open_best or is_terminal(sys.stdout)):
                remember_search(text, hits)
            if open_best:
                continue
            if kind is Format.JSON:  # one document, however many queries
                as_one_list += [hit_as_dict(hit, query_id) for hit in hits]
            else:
                if explain and kind is Format.HUMAN and hits:
                    write(explain_concepts(index.concepts_of(text), colour, columns))
                write(format_hits(hits, kind, query_id=query_id, colour=colour, width=columns, explain=explain))
    if kind is Format.JSON:
        write([json_list(as_one_list)])
    if not found:
        if kind is Format.HUMAN and not quiet:
            warn("Nothing found.")
        raise typer.Exit(1)
    if open_best:
        open_in_editor(Place(Path(hits[0].path), hits[0].start_line))


def _opened(
    index_dir: Path | None, collections: list[str], cross_encoder: str | None, concepts: Path | bool
) -> Index | Collections:
    if collections:
        from notesearch.library.collections import open_collections

        return open_collections(collections, index_dir=index_dir, cross_encoder=cross_encoder, concepts=concepts)
    from notesearch.library.search import open_index

    return open_index(index_dir, cross_encoder=cross_encoder, concepts=concepts)


def _read_queries(path: Path, query: list[str] | None) -> Iterator[tuple[str, str]]:
    """Reads a batch: ids and texts.

    Raises:
        UsageError: It cannot be read, a line is not as it should be, or there is a query beside it.
    """
    from notesearch.retrieval.query import parse_query

    if query:
        raise UsageError("a query and --queries were both given", "Give one of them.")
    try:
        lines = (sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise UsageError(f"cannot read {path}: {reason}", "Give a file of JSON lines, or - for stdin.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            parse_query(record["text"])
            yield str(record["_id"]), record["text"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError) as error:
            raise UsageError(
                f"{path}, line {number} is no query", 'Each line should be like {"_id": "1", "text": "cap theorem"}.'
            ) from error
