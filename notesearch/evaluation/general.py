"""A small general set of queries and passages, to see whether an encoder still reads ordinary English as before.

It was written for notesearch, and nothing was ever trained on it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class GeneralSet:
    """Queries, passages, and which answer which.

    Attributes:
        queries: The queries.
        passages: The passages, each a document of its own.
        relevant: For each query the numbers of the passages that answer it.
    """

    queries: tuple[str, ...]
    passages: tuple[str, ...]
    relevant: tuple[frozenset[int], ...]


def general_set() -> GeneralSet:
    """Reads the general set that comes with notesearch."""
    passages, queries = (_read(f"general_{kind}.jsonl") for kind in ("passages", "queries"))
    numbers = {passage["_id"]: number for number, passage in enumerate(passages)}
    return GeneralSet(
        queries=tuple(query["text"] for query in queries),
        passages=tuple(passage["text"] for passage in passages),
        relevant=tuple(frozenset(numbers[name] for name in query["relevant"]) for query in queries),
    )


def _read(name: str) -> list[dict[str, str]]:
    text = files("notesearch.evaluation").joinpath(name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]
