"""How sure a difference between two rankings is: intervals and tests over queries."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

_RESAMPLES = 2_000
_FLIPS = 10_000
# With so few differences, all ways to flip their signs are gone through.
_MOST_ENUMERATED = 12
# Rounding makes no difference.
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Comparison:
    """One ranking compared with another on the same queries.

    Attributes:
        difference: Mean over queries, after − before.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p: How likely so large a difference would be, either way, if the two were equally good.
        wins: Queries that are better after.
        ties: Queries that are the same.
        losses: Queries that are worse.
    """

    difference: float
    low: float
    high: float
    p: float
    wins: int
    ties: int
    losses: int


def bootstrap_interval(values: Values, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of a mean: percentiles of its bootstrap distribution (Efron and Tibshirani, 1993)."""
    dice = np.random.default_rng(seed)
    count = len(values)
    means = [values[dice.integers(0, count, count)].mean() for _ in range(_RESAMPLES)]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def compare(before: Values, after: Values, seed: int = 0) -> Comparison:
    """Compares two rankings by a measure of each query, in the same order.

    The interval is that of a paired bootstrap, p that of a paired randomisation test (Smucker, Allan and Carterette,
    2007).
    """
    differences = after - before
    differences[np.abs(differences) < _TINY] = 0.0
    low, high = bootstrap_interval(differences, seed)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return Comparison(
        difference=float(differences.mean()),
        low=low,
        high=high,
        p=_randomisation_test(differences[differences != 0], seed),
        wins=wins,
        ties=len(differences) - wins - losses,
        losses=losses,
    )


def _randomisation_test(differences: Values, seed: int) -> float:
    """Part of the ways to flip the signs of the differences that give a sum as far from 0, or further."""
    count = len(differences)
    observed = abs(differences.sum()) - _TINY
    if count <= _MOST_ENUMERATED:
        sums = np.array(list(product((1.0, -1.0), repeat=count))) @ differences
        return float((np.abs(sums) >= observed).mean())
    dice = np.random.default_rng(seed)
    signs = np.array([1.0, -1.0])
    extreme = sum(abs(signs[dice.integers(0, 2, count)] @ differences) >= observed for _ in range(_FLIPS))
    return (int(extreme) + 1) / (_FLIPS + 1)
