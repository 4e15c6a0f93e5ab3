"""The files of TREC, which most tools for information retrieval read and write: judgements, topics, runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from notesearch.errors import UsageError
from notesearch.evaluation.lines import read_lines, read_numbered_jsonl

_QRELS = "A line is: query, iteration, document, relevance (TREC); or query, document, relevance, tabs between (BEIR)."
_TOPICS = 'It should hold TREC topics (<top>), lines of id, tab and text, or lines like {"_id": "1", "text": "…"}.'
_RUN = "A line is: query, Q0, document, rank, score, name of the run."

_TOPIC = re.compile(r"<top>(.*?)(?:</top>|(?=<top>)|\Z)", re.DOTALL | re.IGNORECASE)
_FIELD = re.compile(r"<(num|title|desc)>\s*(?:(?:number|topic|description)\s*:)?([^<]*)", re.IGNORECASE)


def read_qrels(path: Path) -> dict[str, dict[str, float]]:
    """Reads judgements, of TREC (four columns) or BEIR (three, tabs between, with a header or without).

    Returns:
        Query id → document id → gain; 0 or less for what is not relevant.

    Raises:
        UsageError: The file cannot be read, holds no judgement, or a line is none.
    """
    qrels: dict[str, dict[str, float]] = {}
    for place, (number, line) in enumerate(read_lines(path, _QRELS)):
        judgement = _judgement(line)
        if judgement:
            query_id, document_id, gain = judgement
            qrels.setdefault(query_id, {})[document_id] = gain
        elif place > 0 or not _columns(line, 3):  # the first line may be a header
            raise UsageError(f"{path}, line {number} is no judgement", _QRELS)
    if not qrels:
        raise UsageError(f"{path} holds no judgement", _QRELS)
    return qrels


def read_topics(path: Path) -> list[dict[str, Any]]:
    """Reads queries: TREC topics, lines of an id, a tab and a text, or JSON lines.

    Of a TREC topic, the title is the query; its description only where it has no title.

    Returns:
        Records with `_id` and `text`, and whatever else JSON lines say.

    Raises:
        UsageError: The file cannot be read, something in it is no query, or two queries have the same id.
    """
    records: dict[str, dict[str, Any]] = {}
    for place, record in _read_topics(path):
        query_id = str(record["_id"])
        if query_id in records:
            raise UsageError(f"{path}, {place} has the id {query_id} again", "Give each query an id of its own.")
        records[query_id] = record
    return list(records.values())


def read_run(path: Path) -> dict[str, list[str]]:
    """Reads a run, and ranks it as trec_eval does: by score, and documents with one score by id, descending.

    The column for the rank is not looked at.

    Returns:
        Query id → document ids, best first.

    Raises:
        UsageError: The file cannot be read, is empty, or a line is none of a run, or names a document again.
    """
    scores: dict[str, dict[str, float]] = {}
    for number, line in read_lines(path, _RUN):
        columns = _columns(line, 6) or line.split()
        try:
            query_id, _, document_id, _, score = columns[:5]
            value = float(score)
            if len(columns) != 6 or math.isnan(value):
                raise ValueError
        except ValueError as error:
            raise UsageError(f"{path}, line {number} is no line of a run", _RUN) from error
        of_query = scores.setdefault(query_id, {})
        if document_id in of_query:
            raise UsageError(
                f"{path}, line {number} names document {document_id} for query {query_id} again",
                "Leave each document of a query in once, with its best score.",
            )
        of_query[document_id] = value
    if not scores:
        raise UsageError(f"{path} is empty", _RUN)
    return {query_id: _ranked(of_query) for query_id, of_query in scores.items()}


def _read_topics(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Records, and where in the file each is."""
    lines = list(read_lines(path, _TOPICS))
    if not lines or lines[0][1].lstrip().startswith("{"):
        for number, record in read_numbered_jsonl(path, ("_id", "text"), _TOPICS):
            yield f"line {number}", record
    elif any("<top>" in line.lower() for _, line in lines):
        yield from _parse_topics(path, "\n".join(line for _, line in lines))
    else:
        for number, line in lines:
            query_id, tab, text = line.partition("\t")
            if not tab:
                raise UsageError(f"{path}, line {number} is no query", _TOPICS)
            yield f"line {number}", {"_id": query_id.strip(), "text": text.strip()}


def _judgement(line: str) -> tuple[str, str, float] | None:
    """Query, document and gain."""
    columns = _columns(line, 3) or _columns(line, 4) or line.split()
    if len(columns) != 4 and not _columns(line, 3):
        return None
    try:
        gain = float(columns[-1])
    except ValueError:
        return None
    return (columns[0], columns[-2], gain) if math.isfinite(gain) else None


def _columns(line: str, count: int) -> list[str]:
    """The columns between tabs, where there are so many: then an id may hold spaces."""
    columns = [column.strip() for column in line.split("\t")]
    return columns if len(columns) == count else []


def _parse_topics(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, topic in enumerate(_TOPIC.findall(text), start=1):
        fields = {name.lower(): " ".join(value.split()) for name, value in _FIELD.findall(topic)}
        if not fields.get("num"):
            raise UsageError(f"{path}: topic {number} has no <num>", _TOPICS)
        yield f"topic {number}", {"_id": fields["num"], "text": fields.get("title") or fields.get("desc", "")}


def _ranked(scores: dict[str, float]) -> list[str]:
    # trec_eval keeps a score as a 32-bit float: what differs further back is a tie.
    with np.errstate(over="ignore"):
        rounded = np.array(list(scores.values())).astype(np.float32).tolist()
    ranked = sorted(zip(rounded, scores, strict=True), reverse=True)
    return [document_id for _, document_id in ranked]
