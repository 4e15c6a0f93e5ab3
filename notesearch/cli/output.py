"""Hits as text, for people and for programs: here is all of a format of output."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from notesearch.cli.options import flag
from notesearch.cli.terminal import (
    columns_of,
    fitted,
    harmless,
    json_text,
    paint,
    show,
    shown_path,
    width,
    wrapped,
    write,
)
from notesearch.file_kinds import is_document
from notesearch.records import Hit, as_json

if TYPE_CHECKING:
    from notesearch.retrieval.concepts import ConceptLink

Format = Literal["human", "json", "jsonl", "tsv", "files", "files0", "vimgrep", "trec"]
Result = tuple[str | None, Sequence[Hit]]
"""What a query has found, best first, and the id of the query in a batch."""
Reasons = Callable[[Any], Iterable[str]]
"""What a command can say to people about a hit, line by line."""

_TSV_COLUMNS = ("rank", "score", "path", "start_line", "end_line", "title", "heading", "snippet")
# Whatever a reader might take for the end of a line or of a column.
_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_LEAST_WIDTH = 24
_MOST_WIDTH = 100
_INDENT = "    "
# What the parts of a sum are called, and scores as they are.
_PARTS = {
    "lexical": "words",
    "dense": "meaning",
    "late": "words in context",
    "feedback": "feedback",
    "concepts": "concepts",
}
_SCORES = {
    "cross_encoder": "cross-encoder",
    "lexical": "BM25",
    "dense": "cosine",
    "late": "MaxSim",
    "concepts": "concepts",
}
_BAR_COLUMNS = 10
_LEAST_WIDTH_FOR_BARS = 40
_EIGHTHS = " ▏▎▍▌▋▊▉"
_WEAKER = "── weaker matches ──"
_STRONG, _FAIR = 0.75, 0.55


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How the hits of a command are printed."""

    format: Annotated[Format, flag("How to print the hits.", "--format")] = "human"
    json: Annotated[bool, flag("Short for --format json.", "--json")] = False
    jsonl: Annotated[bool, flag("Short for --format jsonl.", "--jsonl")] = False
    tsv: Annotated[bool, flag("Short for --format tsv.", "--tsv")] = False
    vimgrep: Annotated[bool, flag("Short for --format vimgrep.", "--vimgrep")] = False
    files: Annotated[bool, flag("Print paths only.", "--files")] = False
    files0: Annotated[bool, flag("Print paths only, each ended by NUL.", "-0")] = False
    explain: Annotated[bool, flag("Show what each score is made of.", "--explain")] = False

    @property
    def chosen(self) -> Format:
        """The format that was asked for: the first of the short options that was given, else that of --format."""
        return next((name for name in PROGRAM_FORMATS if getattr(self, name, False)), self.format)

    @property
    def for_people(self) -> bool:
        """Whether a person is to read the hits."""
        return self.chosen == "human"

    def write(self, results: Iterable[Result], reasons: Reasons | None = None) -> None:
        """Prints what queries have found, query by query."""
        if self.for_people:
            show(lines_for_people(results, width(), explain=self.explain, reasons=reasons))
        else:
            write(PROGRAM_FORMATS[self.chosen](results))


def lines_for_people(
    results: Iterable[Result], columns: int, *, explain: bool = False, reasons: Reasons | None = None
) -> Iterator[str]:
    """What a person reads of what queries have found.

    Args:
        results: The hits of each query.
        columns: Columns of the terminal.
        explain: Whether to tell what each score is made of.
        reasons: What else to tell of a hit.

    Yields:
        Coloured lines, as soon as they are known.
    """
    columns = max(_LEAST_WIDTH, min(columns, _MOST_WIDTH))
    for _, hits in results:
        above_line = True
        for hit in hits:
            if hit.weaker and above_line:
                above_line = False
                yield paint(_WEAKER, "dim")
                yield ""
            yield from _lines_of_hit(hit, columns)
            yield from explanation(hit, columns) if explain else ()
            for reason in reasons(hit) if reasons else ():
                yield from wrapped(reason, columns, _INDENT, style="dim")
            yield ""


def hit_as_dict(hit: Hit, query_id: str | None = None) -> dict[str, Any]:
    """A hit as the JSON formats print it."""
    values: dict[str, Any] = as_json(hit)
    return values if query_id is None else {"query_id": query_id} | values


def _json(results: Iterable[Result]) -> Iterator[str]:
    """One document, however many queries."""
    yield json_text([hit_as_dict(hit, query_id) for query_id, hits in results for hit in hits], indent=2) + "\n"


def _jsonl(results: Iterable[Result]) -> Iterator[str]:
    return (json_text(hit_as_dict(hit, query_id)) + "\n" for query_id, hits in results for hit in hits)


def _tsv(results: Iterable[Result]) -> Iterator[str]:
    for query_id, hits in results:
        for hit in hits:
            values = hit_as_dict(hit)
            columns = ([query_id] if query_id is not None else []) + [str(values[name]) for name in _TSV_COLUMNS]
            yield "\t".join(map(one_line, columns)) + "\n"


def _files(results: Iterable[Result], end: str) -> Iterator[str]:
    for _, hits in results:  # several passages of a note may be hits
        yield from (f"{path}{end}" for path in dict.fromkeys(hit.path for hit in hits))


def _vimgrep(results: Iterable[Result]) -> Iterator[str]:
    for _, hits in results:
        for hit in hits:
            yield one_line(f"{hit.path}:{hit.start_line}:1:{hit.title}: {hit.snippet}") + "\n"


def _trec(results: Iterable[Result]) -> Iterator[str]:
    for query_id, hits in results:
        for hit in hits:
            columns = (query_id or "0", "Q0", hit.path, str(hit.rank), f"{hit.score:.6f}", "notesearch")
            yield " ".join(map(_without_space, columns)) + "\n"


PROGRAM_FORMATS: dict[Format, Callable[[Iterable[Result]], Iterator[str]]] = {
    "json": _json,
    "jsonl": _jsonl,
    "tsv": _tsv,
    "vimgrep": _vimgrep,
    "trec": _trec,
    "files": partial(_files, end="\n"),
    "files0": partial(_files, end="\0"),
}


def write_columns(rows: Iterable[Iterable[object]]) -> None:
    """Writes rows for a pipe: a line each, tabs between columns, nothing in them that a terminal would obey."""
    write("\t".join(harmless(one_line(str(cell))) for cell in row) + "\n" for row in rows)


def one_line(text: str) -> str:
    """A text without anything that a reader might take for the end of a line or of a column."""
    return _BREAKS.sub(" ", text)


def _without_space(text: str) -> str:
    """White space written as in a URL, since a TREC run is cut at it."""
    return re.sub(r"[\s%]", lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), text)


def _lines_of_hit(hit: Hit, columns: int) -> Iterator[str]:
    number = f"{hit.rank:>2}. "
    indent = " " * len(number)
    heading = f" › {hit.heading}" if hit.heading else ""
    yield from wrapped(hit.title + heading, columns, number, indent, style="bold")
    more = f"  in {hit.collection}" if hit.collection else ""
    more += f"  (+{hit.more_passages} more)" if hit.more_passages else ""
    # A path is never broken over lines, so that it can be copied.
    place = shown_path(hit.path) + _place(hit)
    date = hit.date[:10]
    fits = columns_of(f"{indent}{place}{more}  {date}") <= columns
    yield indent + paint(place, "path") + paint(f"{more}  {date}" if fits else more, "dim")
    if not fits:
        yield indent + paint(date, "dim")
    if hit.tags:
        yield from wrapped(" ".join(f"#{tag}" for tag in hit.tags), columns, indent, style="tag")
    yield from _wrapped_snippet(hit, columns, indent)
    for each in hit.properties:
        yield from wrapped(f"{each.name}: {each.value}", columns, indent, style="dim")


def _place(hit: Hit) -> str:
    """Where in a note its passage stands: lines, or pages; a web page or a book has sections only, named above."""
    if hit.page and hit.end_page:
        return f" p. {hit.page}-{hit.end_page}" if hit.end_page > hit.page else f" p. {hit.page}"
    if is_document(hit.path):
        return ""
    return f":{hit.start_line}-{hit.end_line}" if hit.end_line > hit.start_line else f":{hit.start_line}"


def _wrapped_snippet(hit: Hit, columns: int, indent: str) -> Iterator[str]:
    """The snippet in lines, its matching words marked wherever the lines were broken."""
    snippet = harmless(hit.snippet)
    position = 0  # in the snippet, which holds the lines one after another, white space between them
    for line in wrapped(snippet, columns, indent) if snippet else ():
        text = line[len(indent) :]
        start = snippet.index(text, position)
        position = start + len(text)
        spans = [(a - start, b - start) for a, b in hit.highlights]
        yield indent + _marked(text, zip(spans, hit.strengths, strict=True))


def _marked(text: str, highlights: Iterable[tuple[tuple[int, int], float]]) -> str:
    parts = []
    position = 0
    for (span_start, span_end), strength in highlights:
        start, end = max(span_start, 0), min(span_end, len(text))
        if start < end:
            parts += [text[position:start], paint(text[start:end], shade(strength))]
            position = end
    return "".join([*parts, text[position:]])


def shade(strength: float) -> str:
    """The style of a match, by how strong it is."""
    return "strong" if strength >= _STRONG else "fair" if strength >= _FAIR else "weak"


def explanation(hit: Hit, columns: int) -> Iterator[str]:
    """Lines that say what a hit's score is made of, and which word meets each word of the query."""
    yield from wrapped(_sum(hit), columns, _INDENT, style="dim")
    bar_columns = _BAR_COLUMNS if columns >= _LEAST_WIDTH_FOR_BARS else 0
    # A word and what meets it share what the bar, the number and the gaps leave.
    room = (columns - len(_INDENT) - bar_columns - 8) // 2
    longest = max((columns_of(harmless(row.query_token)) for row in hit.evidence), default=0)
    for row in hit.evidence:
        style = shade(row.score)
        bar = ""
        if bar_columns:
            eighths = round(row.score * bar_columns * 8)
            bar = ("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()).ljust(bar_columns)
            bar = paint(bar, style) + " "
        met_by = paint(fitted(row.matched, room).rstrip(), style)
        yield f"{_INDENT}{fitted(row.query_token, min(longest, room))} {bar}{row.score:.2f} {met_by}"


def explain_concepts(links: Sequence[ConceptLink], columns: int) -> Iterator[str]:
    """Says which of the owner's links between ideas a query brought along, one a line; an empty line ends them."""
    for link in links:
        yield from wrapped(
            f"linked: {link.idea} ~ {link.linked} ({link.weight:.2f})", columns, "", _INDENT, style="dim"
        )
    if links:
        yield ""


def _sum(hit: Hit) -> str:
    """What a score is made of, in words."""
    if not hit.contributions:
        return ", ".join(f"{hit.scores[name]:.2f} {_SCORES[name]}" for name in _SCORES if name in hit.scores)
    parts = " + ".join(f"{value:.2f} {_PARTS[name]}" for name, value in hit.contributions.items()).replace("+ -", "- ")
    return f"{hit.score:.2f} = {parts}" if len(hit.contributions) > 1 else parts
