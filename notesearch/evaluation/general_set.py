"""A small general set of queries and passages, to see whether an encoder still reads ordinary English as before.

It was written for notesearch, and nothing was ever trained on it. And which notes a model was tuned on: queries that
ask for them would flatter it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from notesearch.errors import ModelError
from notesearch.evaluation.measures import ndcg
from notesearch.records import Note

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankingTask:
    """Queries that are to be answered by vectors alone.

    Attributes:
        queries: The queries.
        passages: The passages of all documents.
        documents: Of which document each passage is.
        relevant: For each query the documents that answer it; not empty.
    """

    queries: tuple[str, ...]
    passages: tuple[str, ...]
    documents: tuple[str, ...]
    relevant: tuple[frozenset[str], ...]

    def half(self, first: int) -> RankingTask:
        """The same with every second query, from the first (0) or the second (1) on."""
        return replace(self, queries=self.queries[first::2], relevant=self.relevant[first::2])

    def with_prompts(self, query: str, passage: str) -> RankingTask:
        """The same with a prompt before each query, and one before each passage."""
        queries = tuple(query + text for text in self.queries)
        return replace(self, queries=queries, passages=tuple(passage + text for text in self.passages))

    def ndcg(self, queries: Vectors, passages: Vectors) -> Values:
        """nDCG@10 of each query, float64 `(n,)`; documents rank by their passage that is most similar to it.

        Args:
            queries: float32 `(n, dim)`, of length 1.
            passages: float32 `(m, dim)`, of length 1.
        """
        ranked = np.asarray(self.documents)[np.argsort(-(queries @ passages.T), axis=1, kind="stable")]
        found = (list(dict.fromkeys(row)) for row in ranked.tolist())
        gains = (dict.fromkeys(documents, 1.0) for documents in self.relevant)
        return np.array([ndcg(*pair, 10) for pair in zip(found, gains, strict=True)])


def general_set() -> RankingTask:
    """Reads the general set that comes with notesearch."""
    passages, queries = (_read(f"general_{kind}.jsonl") for kind in ("passages", "queries"))
    return RankingTask(
        queries=tuple(query["text"] for query in queries),
        passages=tuple(passage["text"] for passage in passages),
        documents=tuple(passage["_id"] for passage in passages),
        relevant=tuple(frozenset(query["relevant"]) for query in queries),
    )


def _read(name: str) -> list[dict[str, str]]:
    text = files("notesearch.evaluation").joinpath(name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


# What a tuned model's directory says about its tuning; under `learnt_from`, digests of paths.
TUNING_RECORD = "tuning.json"


def path_digest(path: Path) -> str:
    """32 hex digits of a path, by which it is known again and does not give its name away."""
    return hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest()


def read_learnt_from(model: Path) -> frozenset[str]:
    """Reads digests of the paths of the notes that a model has learnt from; none for one that was not tuned here.

    Args:
        model: The model's directory.

    Raises:
        ModelError: What it says about its tuning cannot be read.
    """
    record = model / TUNING_RECORD
    try:
        return frozenset(map(str, json.loads(record.read_text(encoding="utf-8"))["learnt_from"]))
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"cannot read {record}: {error!r}", "Tune the model anew.") from error


def find_learnt(notes: Sequence[Note], model: Path) -> frozenset[int]:
    """The numbers of the notes that a model was tuned on.

    Raises:
        ModelError: See `read_learnt_from`.
    """
    digests = read_learnt_from(model)
    return frozenset(number for number, note in enumerate(notes) if path_digest(note.path) in digests)
