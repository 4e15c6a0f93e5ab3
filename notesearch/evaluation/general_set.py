"""A small general set of queries and passages, to see whether an encoder still reads ordinary English as before.

It was written for notesearch, and nothing was ever trained on it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from notesearch.errors import ModelError
from notesearch.records import Note


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


# Which notes a model was tuned on: queries that ask for them would flatter it.

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
