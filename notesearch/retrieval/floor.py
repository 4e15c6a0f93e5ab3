"""Where a list of hits ends: what speaks for a note being an answer at all, not only for its place among others."""

from __future__ import annotations

import math
from collections.abc import Sequence

from notesearch.retrieval.fusion import Candidate
from notesearch.retrieval.query import Query

# Fitted on queries of the open collections against queries of others (docs/decisions/0018-floor.md).
_MEANING, _LATE, _HELD = 0.84, 0.73, 0.52
# What the best hit needs, and those after it.
_FIRST, _FOLLOWING = 1.0, 0.7
# A note that holds all words of a query is one that was asked for.
_ALL_HELD = 0.999


def support(found: Candidate, query: Query, held: float, legible: float) -> float:
    """How much speaks for a note being an answer: from 1, it is taken for one.

    Args:
        found: The note with its scores.
        query: The query.
        held: How much of the query the note holds, its words weighted by their rarity, from 0 to 1.
        legible: How much of the query the model could read, from 0 to 1.

    Returns:
        Infinite where it was found by words alone, by a phrase or by a link between ideas, and so needs no support.
    """
    parts = found.contributions
    if not {"dense", "late"} <= parts.keys() or "concepts" in parts or query.phrases or held >= _ALL_HELD:
        return math.inf
    if query.strange:
        return 0.0
    return (_MEANING * parts["dense"] + _LATE * parts["late"] + _HELD * held) / max(legible, 1e-6)


def count_supported(supports: Sequence[float]) -> int:
    """How many of some hits, best first, are above the floor; those after them are weaker matches."""
    weaker = (place for place, own in enumerate(supports) if own < (_FOLLOWING if place else _FIRST))
    return next(weaker, len(supports))
