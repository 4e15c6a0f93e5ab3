"""Collections to measure on: documents, queries, and which documents answer which query."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from notesearch.errors import UsageError

_LAYOUTS = (
    "It should hold corpus.jsonl, queries.jsonl and qrels.tsv (BEIR), "
    'or notes and a queries.jsonl with lines like {"_id": "1", "text": "…", "relevant": ["folder/note.md"]}.'
)


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection with judgements.

    Attributes:
        queries: Query id → text; judged queries only.
        qrels: Query id → document id → gain, greater than 0.
        grades: Query id → the kind of query that it is; empty where nobody said.
        notes_dir: The notes themselves, where the collection is a folder of notes; documents are their paths below it.
        corpus_file: Else, the documents as JSON lines with `_id`, `title` and `text`.
    """

    queries: dict[str, str]
    qrels: dict[str, dict[str, float]]
    grades: dict[str, str]
    notes_dir: Path | None
    corpus_file: Path | None

    def sampled(self, most: int) -> Collection:
        """The same collection with every n-th query, so that no more than `most` remain; with all where `most` is 0."""
        step = math.ceil(len(self.queries) / most) if most else 1
        kept = dict.fromkeys(list(self.queries)[::step])
        return replace(
            self,
            queries={query_id: self.queries[query_id] for query_id in kept},
            qrels={query_id: self.qrels[query_id] for query_id in kept},
            grades={query_id: grade for query_id, grade in self.grades.items() if query_id in kept},
        )

    def qrels_of(self, grade: str) -> dict[str, dict[str, float]]:
        """The judgements of the queries of one grade."""
        return {query_id: gains for query_id, gains in self.qrels.items() if self.grades.get(query_id) == grade}


def read_collection(directory: Path) -> Collection:
    """Reads a collection, in either layout.

    Raises:
        UsageError: A file is missing, or a line of it is not as it should be.
    """
    if not (directory / "queries.jsonl").is_file():
        raise UsageError(f"no queries.jsonl in {directory}", _LAYOUTS)
    records = list(_read_jsonl(directory / "queries.jsonl", ("_id", "text")))
    corpus_file = directory / "corpus.jsonl"
    if corpus_file.is_file():
        qrels = _read_qrels(directory / "qrels.tsv")
    else:
        qrels = {str(r["_id"]): {str(path): 1.0 for path in _relevant(r)} for r in records}
    qrels = {query_id: gains for query_id, gains in qrels.items() if gains}
    queries = {str(r["_id"]): str(r["text"]) for r in records if str(r["_id"]) in qrels}
    qrels = {query_id: qrels[query_id] for query_id in queries}
    if not queries:
        raise UsageError(f"{directory} has no judged query", _LAYOUTS)
    return Collection(
        queries=queries,
        qrels=qrels,
        grades={str(r["_id"]): str(r["grade"]) for r in records if "grade" in r and str(r["_id"]) in qrels},
        notes_dir=None if corpus_file.is_file() else directory,
        corpus_file=corpus_file if corpus_file.is_file() else None,
    )


def write_corpus_as_notes(corpus_file: Path, folder: Path) -> dict[str, str]:
    """Writes each document of a BEIR corpus as a Markdown note, in the place of what was written there before.

    Returns:
        File name → document id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = {}
    for number, record in enumerate(_read_jsonl(corpus_file, ("_id", "text"))):
        title = re.sub(r"\s+", " ", str(record.get("title") or "")).strip()
        name = f"{number:06d}.md"
        heading = f"# {title}\n\n" if title else ""
        (folder / name).write_text(f"{heading}{record['text']}\n", encoding="utf-8", errors="replace")
        names[name] = str(record["_id"])
    surplus = len(names)
    while (left := folder / f"{surplus:06d}.md").exists():  # of a larger corpus, the last time
        left.unlink()
        surplus += 1
    return names


def _relevant(record: dict[str, Any]) -> list[Any]:
    relevant = record.get("relevant", [])
    if not isinstance(relevant, list):
        raise UsageError(f'query {record["_id"]}: "relevant" is no list of notes', _LAYOUTS)
    return relevant


def _read_qrels(path: Path) -> dict[str, dict[str, float]]:
    qrels: dict[str, dict[str, float]] = {}
    for number, line in enumerate(_read_lines(path), start=1):
        columns = line.rstrip("\n").split("\t")
        try:
            query_id, document_id, gain = columns[0], columns[1], float(columns[2])
        except (IndexError, ValueError) as error:
            if number == 1:  # the header
                continue
            raise UsageError(
                f"{path}, line {number} is no judgement", "query id, document id, score; tabs between"
            ) from error
        if gain > 0:
            qrels.setdefault(query_id, {})[document_id] = gain
    return qrels


def _read_jsonl(path: Path, keys: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{path}, line {number} is not JSON: {error}", _LAYOUTS) from error
        if not isinstance(record, dict) or any(key not in record for key in keys):
            raise UsageError(f"{path}, line {number} lacks {' or '.join(keys)}", _LAYOUTS)
        yield record


def _read_lines(path: Path) -> Iterator[str]:
    # Not splitlines(): a text may hold U+2028, which ends no line of JSON.
    try:
        with path.open(encoding="utf-8") as file:
            yield from file
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}", _LAYOUTS) from error
