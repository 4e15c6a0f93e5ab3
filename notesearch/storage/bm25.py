"""BM25 as FTS5's fts5_aux.c computes it, for those who compute it again."""

from __future__ import annotations

import math

K1 = 1.2
B = 0.75
_LEAST_IDF = 1e-6


def idf(notes: int, holding: int) -> float:
    """How much a word tells: greater than 0, also for one that most notes hold.

    Args:
        notes: How many notes there are.
        holding: How many of them hold the word.
    """
    return max(math.log((notes - holding + 0.5) / (holding + 0.5)), _LEAST_IDF)
