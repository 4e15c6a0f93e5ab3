"""What a bi-encoder is tuned on, and what it is judged by: notes are never in both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from notesearch.errors import UsageError
from notesearch.evaluation.known_items import KnownItem, path_digest
from notesearch.records import Note
from notesearch.tuning.pairs import Answers, TextPair, pairs_of_items, pairs_of_tags

Kind = TypeVar("Kind")

# Parts of the notes, in hundredths: to decide by, and to choose the strength of tuning by.
_TEST, _VALIDATION = 25, 15
# More would take longer than they are worth: so many are taken at random.
_MOST_PAIRS = 6_000
_MOST_ITEMS_JUDGED = 600
_MOST_RIVALS = 1_000
_LEAST_PAIRS, _LEAST_NOTES_JUDGED = 20, 10
_TOO_FEW = "Tune again when there are more notes, or give pairs of your own: --pairs FILE"


@dataclass(frozen=True, slots=True)
class Material:
    """Pairs to learn from, and known items of other notes.

    Attributes:
        notes: All notes.
        answers: What answers their known items.
        pairs: To learn from.
        validation: Known items to choose the strength by.
        rivals: Known items, of any notes, whose answers compete with those of the validation.
        test: Known items to decide by.
        learnt_from: Digests of the paths of all notes that were learnt from, here or by the encoder that is tuned.
    """

    notes: tuple[Note, ...]
    answers: Answers
    pairs: tuple[TextPair, ...]
    validation: tuple[KnownItem, ...]
    rivals: tuple[KnownItem, ...]
    test: tuple[KnownItem, ...]
    learnt_from: frozenset[str]

    def digest(self) -> str:
        """64 hex digits that say what is learnt."""
        parts = [(pair.query, pair.passage, pair.negative, sorted(pair.groups)) for pair in self.pairs]
        return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


def gather(
    notes: Sequence[Note],
    items: Sequence[KnownItem],
    given: Sequence[TextPair] = (),
    *,
    learnt_before: Set[str] = frozenset(),
    seed: int = 0,
) -> Material:
    """Divides notes, and makes pairs of those to learn from.

    A note's name and folder say to which part it belongs, so that it stays there when others come and go, and when all
    are moved; but what the owner has given pairs about is learnt from, and so is what was learnt from before.

    Args:
        notes: The notes.
        items: Their known items.
        given: Pairs that the owner has given.
        learnt_before: Digests of the paths of the notes that the encoder has learnt from already.
        seed: Of what is random.

    Raises:
        UsageError: There is too little to learn from or to judge by.
    """
    digests = [path_digest(note.path) for note in notes]
    about = {path for pair in given for path in pair.notes}
    settled = learnt_before | {path_digest(note.path) for note in notes if str(note.path) in about}
    parts = [100 if digest in settled else _part(note) for note, digest in zip(notes, digests, strict=True)]
    learnt = {number for number, part in enumerate(parts) if part >= _TEST + _VALIDATION}
    asked = {pair.query.casefold() for pair in given}
    judged = [item for item in items if item.query.casefold() not in asked]
    validation = [item for item in judged if _TEST <= parts[item.target] < _TEST + _VALIDATION]
    test = [item for item in judged if parts[item.target] < _TEST]
    answers = Answers(notes, items)
    own = [item for item in items if {item.source, item.target} <= learnt]
    random = np.random.default_rng(seed)
    pairs = _sample([*pairs_of_items(notes, own, answers), *pairs_of_tags(notes, learnt)], _MOST_PAIRS, random)
    validation = _sample(validation, _MOST_ITEMS_JUDGED, random)
    material = Material(
        notes=tuple(notes),
        answers=answers,
        pairs=(*pairs, *given),  # their owner took the trouble: all of them count
        validation=tuple(validation),
        rivals=(*validation, *_sample(items, _MOST_RIVALS, random)),
        test=tuple(_sample(test, _MOST_ITEMS_JUDGED, random)),
        learnt_from=frozenset(learnt_before | {digests[number] for number in learnt}),
    )
    _require_enough(material)
    return material


def _part(note: Note) -> int:
    return int(path_digest(Path(*note.path.parts[-2:])), 16) % 100


def _sample(values: Sequence[Kind], most: int, random: np.random.Generator) -> list[Kind]:
    """So many at most, taken at random, in the order in which they were."""
    chosen = random.permutation(len(values))[:most]
    return [values[place] for place in sorted(chosen.tolist())]


def _require_enough(material: Material) -> None:
    if len(material.pairs) < _LEAST_PAIRS:
        raise UsageError(f"too few pairs to learn from can be made of these notes ({len(material.pairs)})", _TOO_FEW)
    judged = min(len({item.target for item in items}) for items in (material.validation, material.test))
    if judged < _LEAST_NOTES_JUDGED:
        raise UsageError("too few queries can be made of these notes to judge a tuned model by", _TOO_FEW)
