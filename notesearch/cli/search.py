"""`notesearch search`: find notes."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from notesearch.cli.last_search import remember_search
from notesearch.cli.options import (
    ALL,
    ConceptsFile,
    CrossEncoderName,
    FilterOptions,
    IndexDir,
    Limit,
    MessageOptions,
    complete_collection,
    flag,
    option,
)
from notesearch.cli.output import OutputOptions, Result, explain_concepts
from notesearch.cli.terminal import is_terminal, read_stdin, show, width
from notesearch.errors import NOTHING_FOUND, UsageError
from notesearch.files import read_lines
from notesearch.records import Hit, Mode, Place, Rerank

if TYPE_CHECKING:
    from notesearch.library.collections import Collections
    from notesearch.library.query_line import QueryLine
    from notesearch.library.search import Index


def search(
    query: Annotated[
        list[str] | None, typer.Argument(metavar="[QUERY|-]…", help="Words or a question; - is stdin.")
    ] = None,
    limit: Limit = 10,
    mode: Annotated[Mode, typer.Option(help="By words, by meaning, or by both.")] = "hybrid",
    rerank: Annotated[
        Rerank | None, typer.Option(help="What scores the best hits again. Default: maxsim in hybrid mode, else none.")
    ] = None,
    cross_encoder: CrossEncoderName = None,
    concepts: ConceptsFile = None,
    no_concepts: Annotated[bool, flag("Search without links between ideas.", "--no-concepts")] = False,
    *,
    filters: FilterOptions,
    output: OutputOptions,
    queries: Annotated[Path | None, option("FILE", 'A batch: JSON lines with "_id" and "text"; - is stdin.')] = None,
    every_hit: Annotated[bool, flag("Take weaker matches for hits, as --queries does.", "--all")] = False,
    min_score: Annotated[
        float | None, typer.Option(help="Hits with a lower score are weaker matches, others are not.")
    ] = None,
    open_best: Annotated[bool, flag("Open the best hit in the editor; print nothing.", "--open")] = False,
    collection: Annotated[
        list[str] | None,
        option(
            "NAME",
            "A collection of the settings; may be repeated.",
            "--collection",
            "-c",
            autocompletion=complete_collection,
        ),
    ] = None,
    index_dir: IndexDir = None,
    messages: MessageOptions,
) -> None:
    """Find the notes that answer a query, best first.

    Words in double quotes must occur as they stand. -word leaves notes out; tag:T, path:P, title:W, since:D and
    until:D may stand among the words. A lone -- ends both; another one before the query tells the shell that no
    option follows. Below a line stand weaker matches: the notes hardly say more about it; programs get them only with
    --all. Exits with 1 when nothing else is found.

    Example: notesearch search "how to trade off consistency vs partition tolerance"
    """
    if queries is None:
        gc.disable()  # one query is over before garbage matters, yet collecting it takes a tenth of the time
    if concepts and no_concepts:
        raise UsageError("--concepts and --no-concepts were both given", "Give one of them.")
    if open_best and (queries is not None or not output.for_people):
        raise UsageError("--open was given, and nothing is printed where a hit is opened", "Give a query alone.")
    batch = [_read_query(query or [])] if queries is None else list(_read_queries(queries, query))
    reranking = rerank or ("cross-encoder" if cross_encoder else None)
    options = {"limit": limit or ALL, "mode": mode, "rerank": reranking, **filters.arguments()}
    for remark in (remark for _, line in batch for remark in line.remarks):
        messages.tell(remark)
    best: list[Hit] = []  # of each query
    weaker: list[Hit] = []

    def results() -> Iterator[Result]:
        for query_id, line in batch:
            hits = index.search(line.text, **line.arguments(options))
            if min_score is not None:
                hits = [replace(hit, weaker=hit.score < min_score) for hit in hits]
            strong = hits if every_hit or queries is not None else [hit for hit in hits if not hit.weaker]
            best.extend(strong[:1])
            weaker.extend(hits[len(strong) :])
            if output.for_people:
                if also := sorted({word for hit in hits for word in hit.also}):
                    messages.tell(f"also: {', '.join(also)}")
            else:
                hits = strong
            if queries is None and (open_best or is_terminal(sys.stdout)):
                remember_search(line.text, hits)
            if hits and output.explain and output.for_people and not open_best:
                show(explain_concepts(index.concepts_of(line.text), width()))
            yield query_id, hits

    with _opened(index_dir, collection, cross_encoder, concepts or not no_concepts) as index:
        messages.tell_of_unfinished(index.unfinished())
        if open_best:
            list(results())
        else:
            output.write(results())
    if not best:
        if output.for_people:
            messages.tell("Nothing found but weaker matches." if weaker else "Nothing found.")
            if not messages.quiet:
                _tell_why_nothing(index_dir, collection, [line for _, line in batch], options, messages)
        raise typer.Exit(NOTHING_FOUND)
    if open_best:
        from notesearch.cli.editors import open_in_editor

        open_in_editor(Place(Path(best[0].path), best[0].start_line))


def _tell_why_nothing(
    index_dir: Path | None,
    collections: list[str] | None,
    lines: list[QueryLine],
    options: dict[str, Any],
    messages: MessageOptions,
) -> None:
    from notesearch.library.nothing import why_nothing
    from notesearch.settings import load_settings

    names: list[str | None] = [*(collections or [])] or [None]
    settings = [load_settings(collection=name, index_dir=index_dir) for name in names]
    reasons = [reason for line in lines for reason in why_nothing(settings, line.text, line.arguments(options))]
    for reason in dict.fromkeys(reasons):
        messages.tell(reason)


def _opened(
    index_dir: Path | None, collections: list[str] | None, cross_encoder: str | None, concepts: Path | bool
) -> Index | Collections:
    if collections:
        from notesearch.library.collections import open_collections

        return open_collections(collections, index_dir=index_dir, cross_encoder=cross_encoder, concepts=concepts)
    from notesearch.library.search import open_index

    return open_index(index_dir, cross_encoder=cross_encoder, concepts=concepts)


def _read_query(words: list[str]) -> tuple[None, QueryLine]:
    from notesearch.library.query_line import parse_query_line

    typed = read_stdin("the query").decode("utf-8-sig", "replace") if words == ["-"] else " ".join(words)
    return None, parse_query_line(typed, now=datetime.now())


def _read_queries(path: Path, query: list[str] | None) -> Iterator[tuple[str, QueryLine]]:
    """Reads a batch: ids and texts, in which nothing has a meaning of its own but quotation marks.

    Raises:
        UsageError: It cannot be read, a line is not as it should be, or has an id again; or there is a query beside it.
    """
    from notesearch.library.query_line import QueryLine
    from notesearch.retrieval.query import parse_query

    if query:
        raise UsageError("a query and --queries were both given", "Give one of them.")
    known: set[str] = set()
    data = read_stdin("queries") if str(path) == "-" else None
    for number, written in read_lines(path, "Give a file of JSON lines, or - for stdin.", data):
        try:
            record = json.loads(written)
            query_id, text = str(record["_id"]), record["text"]
            parse_query(text)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError) as error:
            raise UsageError(
                f"{path}, line {number} is not a query", 'Each line should be like {"_id": "1", "text": "cap theorem"}.'
            ) from error
        if query_id in known:
            raise UsageError(f"{path}, line {number} has the id {query_id} again", "Give each query an id of its own.")
        known.add(query_id)
        yield query_id, QueryLine(text)
