"""`notesearch search`: find notes."""

from __future__ import annotations

import gc
import json
import os
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from notesearch.cli.dates import parse_date
from notesearch.cli.explanation import explain_concepts
from notesearch.cli.formats import Format, choose_format, format_hits, hit_as_dict, json_list
from notesearch.cli.options import (
    AsJson,
    AsJsonl,
    AsTsv,
    AsVimgrep,
    ConceptsFile,
    CrossEncoderName,
    Explain,
    IndexDir,
    OnlyFiles,
    OnlyFiles0,
    Output,
    Quiet,
    Verbose,
)
from notesearch.cli.terminal import uses_colour, warn, width, write
from notesearch.errors import UsageError

_MOST_HITS = 10_000


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
    limit: Annotated[int, typer.Option("--limit", "-n", help="The most hits.", min=1, max=_MOST_HITS)] = 10,
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
    tag: Annotated[list[str], typer.Option(help="Only notes with this tag; again for more.")] = [],  # noqa: B006
    not_tag: Annotated[list[str], typer.Option(help="Only notes without this tag.")] = [],  # noqa: B006
    path: Annotated[str, typer.Option(metavar="GLOB", help="Only notes whose path matches.", show_default=False)] = "",
    since: Annotated[str, typer.Option(metavar="DATE", help='Not older: 2024-05-17, "2 weeks ago".')] = "",
    until: Annotated[str, typer.Option(metavar="DATE", help="Not newer.")] = "",
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
    from notesearch.api import open_index

    if concepts and no_concepts:
        raise UsageError("--concepts and --no-concepts were both given", "Give one of them.")
    kind = choose_format(output, as_json, as_jsonl, as_tsv, as_vimgrep, files, null)
    now = datetime.now()
    options: dict[str, Any] = {
        "limit": limit,
        "mode": mode.value,
        "rerank": rerank.value if rerank else "cross-encoder" if cross_encoder else None,
        "tags": tag,
        "not_tags": not_tag,
        "path": _resolved_glob(path),
        "since": parse_date(since, now=now, end=False) if since else None,
        "until": parse_date(until, now=now, end=True) if until else None,
    }
    batch = [(None, " ".join(query or []))] if queries is None else list(_read_queries(queries, query))
    found = False
    as_one_list: list[dict[str, object]] = []
    colour, columns = uses_colour(sys.stdout), width()
    with open_index(index_dir, cross_encoder=cross_encoder, concepts=concepts or not no_concepts) as index:
        for query_id, text in batch:
            hits = index.search(text, **options)
            found = found or bool(hits)
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


def _resolved_glob(glob: str) -> str:
    """Resolves the part of a glob before its first wildcard as indexed folders are, where it begins like a path."""
    if not glob.startswith(("/", "~", "./", "../")):
        return glob
    wildcard = re.search(r"[*?\[]", glob)
    # Where there is a wildcard, the part before it may end within a name.
    literal, rest = glob, ""
    if wildcard:
        literal, slash, name = glob[: wildcard.start()].rpartition("/")
        rest = slash + name + glob[wildcard.start() :]
    return os.path.realpath(os.path.expanduser(literal or "/")).rstrip("/") + rest  # noqa: PTH111


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
        raise UsageError(f"cannot read {path}: {error}", "Give a file of JSON lines, or - for stdin.") from error
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
