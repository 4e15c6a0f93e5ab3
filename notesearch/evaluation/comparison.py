"""How sure a difference between two rankings is: intervals and tests over queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

_RESAMPLES = 2_000
_PERMUTATIONS = 10_000
# So many at once are held in memory, each as long as there are queries.
_BATCH = 200
# Smaller differences come from rounding.
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
    from scipy.stats import bootstrap

    if len(values) < 2:
        return float(values[0]), float(values[0])
    dice = np.random.default_rng(seed)
    found = bootstrap((values,), np.mean, method="percentile", n_resamples=_RESAMPLES, batch=_BATCH, rng=dice)
    low, high = found.confidence_interval
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
    """The share of ways to flip the signs of the differences (all, or a sample) whose sum is as far from 0."""
    if len(differences) < 2:  # both ways to flip the sign of one are as far from 0
        return 1.0
    from scipy.stats import permutation_test

    found = permutation_test(
        (differences,),
        lambda sample, axis: np.abs(sample.sum(axis=axis)),
        permutation_type="samples",
        alternative="greater",
        n_resamples=_PERMUTATIONS,
        batch=_BATCH,
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)
