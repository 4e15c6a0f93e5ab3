"""Hits as text: for people, and for programs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from notesearch.cli.explanation import explanation, shade
from notesearch.cli.terminal import harmless, json_text, paint, wrapped
from notesearch.file_kinds import is_document
from notesearch.records import Hit, as_json

_TSV_COLUMNS = ("rank", "score", "path", "start_line", "end_line", "title", "heading", "snippet")
# Whatever a reader might take for the end of a line or of a column.
_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_LEAST_WIDTH = 24
_MOST_WIDTH = 100


class Format(StrEnum):
    """How hits are printed."""

    HUMAN = "human"
    JSON = "json"
    JSONL = "jsonl"
    TSV = "tsv"
    FILES = "files"
    FILES0 = "files0"
    VIMGREP = "vimgrep"
    TREC = "trec"


def choose_format(
    output: Format, as_json: bool, as_jsonl: bool, as_tsv: bool, as_vimgrep: bool, files: bool, null: bool
) -> Format:
    """The format that was asked for: the first of the short options that was given, else `output`."""
    shortcuts = {
        Format.JSON: as_json,
        Format.JSONL: as_jsonl,
        Format.TSV: as_tsv,
        Format.VIMGREP: as_vimgrep,
        Format.FILES: files,
        Format.FILES0: null,
    }
    return next((kind for kind, chosen in shortcuts.items() if chosen), output)


def format_hits(
    hits: Sequence[Hit],
    kind: Format,
    *,
    query_id: str | None = None,
    colour: bool = False,
    width: int = 80,
    explain: bool = False,
) -> Iterator[str]:
    """Formats the hits of one query.

    Args:
        hits: Best first.
        kind: The format.
        query_id: Added to each hit of a batch.
        colour: Whether to colour what a person reads.
        width: Columns to fit what a person reads into.
        explain: Whether a person is told what each score is made of; programs always are.

    Yields:
        Pieces of output, line ends included.
    """
    if kind is Format.JSON:
        yield json_list([hit_as_dict(hit, query_id) for hit in hits])
    elif kind is Format.JSONL:
        for hit in hits:
            yield json_text(hit_as_dict(hit, query_id)) + "\n"
    elif kind is Format.HUMAN:
        columns = max(_LEAST_WIDTH, min(width, _MOST_WIDTH))
        for hit in hits:
            lines = list(_lines_for_people(hit, colour, columns))
            lines += explanation(hit, colour, columns) if explain else []
            yield "\n".join(lines) + "\n\n"
    elif kind in (Format.FILES, Format.FILES0):
        # Once each, where several passages of a note are hits.
        end = "\n" if kind is Format.FILES else "\0"
        yield from (f"{path}{end}" for path in dict.fromkeys(hit.path for hit in hits))
    else:
        yield from (_LINES[kind](hit, query_id) for hit in hits)


def hit_as_dict(hit: Hit, query_id: str | None = None) -> dict[str, Any]:
    """A hit as the JSON formats print it."""
    values: dict[str, Any] = as_json(hit)
    return values if query_id is None else {"query_id": query_id} | values


def json_list(values: Sequence[dict[str, object]]) -> str:
    """Hits as one JSON document."""
    return json_text(values, indent=2) + "\n"


def _tsv(hit: Hit, query_id: str | None) -> str:
    values = hit_as_dict(hit)
    columns = ([query_id] if query_id is not None else []) + [str(values[name]) for name in _TSV_COLUMNS]
    return "\t".join(one_line(column) for column in columns) + "\n"


def _vimgrep(hit: Hit, query_id: str | None) -> str:
    return one_line(f"{hit.path}:{hit.start_line}:1:{hit.title}: {hit.snippet}") + "\n"


def _trec(hit: Hit, query_id: str | None) -> str:
    columns = (query_id or "0", "Q0", hit.path, str(hit.rank), f"{hit.score:.6f}", "notesearch")
    return " ".join(map(_without_space, columns)) + "\n"


def one_line(text: str) -> str:
    """A text without anything that a reader might take for the end of a line or of a column."""
    return _BREAKS.sub(" ", text)


def _without_space(text: str) -> str:
    """White space written as in a URL, since a TREC run is cut at it."""
    return re.sub(r"[\s%]", lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), text)


_LINES = {
    Format.TSV: _tsv,
    Format.VIMGREP: _vimgrep,
    Format.TREC: _trec,
}


def _lines_for_people(hit: Hit, colour: bool, width: int) -> Iterator[str]:
    number = f"{hit.rank:>2}. "
    indent = " " * len(number)
    heading = f" › {hit.heading}" if hit.heading else ""
    title = wrapped(harmless(hit.title + heading), width, number, indent)
    yield from (paint(line, "bold", colour=colour) for line in title)
    collection = getattr(hit, "collection", "")  # of a CollectionHit, whose import would cost every search
    more = f"  in {collection}" if collection else ""
    more += f"  (+{hit.more_passages} more)" if hit.more_passages else ""
    # A path is never broken over lines, so that it can be copied.
    yield (
        indent
        + paint(harmless(shown_path(hit.path)) + _place(hit), "path", colour=colour)
        + paint(more, "dim", colour=colour)
    )
    if hit.tags:
        tags = " ".join(f"#{tag}" for tag in hit.tags)
        yield from (paint(line, "tag", colour=colour) for line in wrapped(harmless(tags), width, indent, indent))
    yield from _wrapped_snippet(hit, colour, width, indent)


def _place(hit: Hit) -> str:
    """Where in a note its passage stands: lines, or pages; a web page or a book has sections only, named above."""
    if hit.page and hit.end_page:
        return f" p. {hit.page}-{hit.end_page}" if hit.end_page > hit.page else f" p. {hit.page}"
    if is_document(hit.path):
        return ""
    return f":{hit.start_line}-{hit.end_line}" if hit.end_line > hit.start_line else f":{hit.start_line}"


def _wrapped_snippet(hit: Hit, colour: bool, width: int, indent: str) -> Iterator[str]:
    """The snippet in lines, its matching words marked wherever the lines were broken."""
    position = 0  # in the snippet, which holds the lines one after another, white space between them
    for line in wrapped(hit.snippet, width, indent, indent) if hit.snippet else ():
        text = line[len(indent) :]
        start = hit.snippet.index(text, position)
        position = start + len(text)
        spans = [(a - start, b - start) for a, b in hit.highlights]
        yield indent + _marked(text, zip(spans, hit.strengths, strict=True), colour)


def _marked(text: str, highlights: Iterable[tuple[tuple[int, int], float]], colour: bool) -> str:
    parts = []
    position = 0
    for (span_start, span_end), strength in highlights:
        start, end = max(span_start, 0), min(span_end, len(text))
        if start < end:
            match = paint(harmless(text[start:end]), shade(strength), colour=colour)
            parts += [harmless(text[position:start]), match]
            position = end
    return "".join([*parts, harmless(text[position:])])


def shown_path(path: str) -> str:
    """A path relative to the working directory or to the home directory, where that is shorter."""
    folders = []
    with suppress(OSError):  # it may be gone
        folders.append((f"{Path.cwd()}{os.sep}", ""))
    with suppress(RuntimeError):  # a user may have none
        folders.append((f"{Path.home()}{os.sep}", f"~{os.sep}"))
    for folder, short in folders:
        if path.startswith(folder):
            return short + path[len(folder) :]
    return path
