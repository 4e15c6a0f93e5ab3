"""What a bi-encoder is tuned on, and what it is judged by: notes are never in both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from notesearch.errors import UsageError
from notesearch.notes import KnownItem
from notesearch.records import Note
from notesearch.tuning.pairs import TextPair, pairs_of_items, pairs_of_tags

# Parts of the notes: to choose the strength of tuning by, and to decide on it.
_VALIDATION, _TEST = 0.15, 0.25
# More would take longer than they are worth: so many are taken at random.
_MOST_PAIRS = 6_000
_MOST_ITEMS_JUDGED = 600
_LEAST_PAIRS, _LEAST_ITEMS_JUDGED = 20, 10
_TOO_FEW = "Tune again when there are more notes, or give pairs of your own: --pairs FILE"


@dataclass(frozen=True, slots=True)
class Material:
    """Pairs to learn from, and known items of other notes.

    Attributes:
        notes: All notes.
        items: All known items of theirs.
        pairs: To learn from.
        validation: Known items to choose the strength by.
        test: Known items to decide by.
    """

    notes: tuple[Note, ...]
    items: tuple[KnownItem, ...]
    pairs: tuple[TextPair, ...]
    validation: tuple[KnownItem, ...]
    test: tuple[KnownItem, ...]

    def digest(self) -> str:
        """64 hex digits that say what is learnt from."""
        parts = ((pair.query, pair.passage, pair.negative) for pair in self.pairs)
        return hashlib.sha256(repr(list(parts)).encode("utf-8", "surrogatepass")).hexdigest()


def gather(notes: Sequence[Note], items: Sequence[KnownItem], given: Iterable[TextPair], seed: int) -> Material:
    """Divides notes, and makes pairs of those to learn from.

    Args:
        notes: The notes.
        items: Their known items.
        given: Pairs that the owner has given.
        seed: Of what is random.

    Raises:
        UsageError: There is too little to learn from or to judge by.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(notes)).tolist()
    tested = round(_TEST * len(notes))
    validated = round(_VALIDATION * len(notes))
    test, validation = set(order[:tested]), set(order[tested : tested + validated])
    learnt = set(order[tested + validated :])
    owned = [item for item in items if {item.source, item.target} <= learnt]
    pairs = [*pairs_of_items(notes, owned), *pairs_of_tags(notes, learnt)]
    if len(pairs) > _MOST_PAIRS:
        pairs = [pairs[place] for place in sorted(random.permutation(len(pairs))[:_MOST_PAIRS].tolist())]
    pairs += given  # its owner took the trouble: all of them count
    material = Material(
        notes=tuple(notes),
        items=tuple(items),
        pairs=tuple(pairs),
        validation=_sample([item for item in items if item.target in validation], random),
        test=_sample([item for item in items if item.target in test], random),
    )
    if len(material.pairs) < _LEAST_PAIRS:
        raise UsageError(f"these notes make only {len(material.pairs)} pairs to learn from: too few", _TOO_FEW)
    if min(len(material.validation), len(material.test)) < _LEAST_ITEMS_JUDGED:
        raise UsageError("too few queries can be made of these notes to judge a tuned model by", _TOO_FEW)
    return material


def _sample(items: Sequence[KnownItem], random: np.random.Generator) -> tuple[KnownItem, ...]:
    chosen = random.permutation(len(items))[:_MOST_ITEMS_JUDGED]
    return tuple(items[place] for place in sorted(chosen.tolist()))
