"""Intervals and significance tests over queries: whether one ranking is better than another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Ranking = tuple[str, Values, float | None]
    """Its name, nDCG@10 of each query, and milliseconds a query where they are known."""

_RESAMPLES = 2_000
_PERMUTATIONS = 10_000
# Resamples held in memory at once, each as long as the list of queries.
_BATCH = 200
# Smaller differences come from rounding.
_TINY = 1e-9
# A difference with a smaller p-value is significant.
_SURE = 0.05
_WORTH_TELLING_MS = 1.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """One ranking compared with another on the same queries.

    Attributes:
        difference: Mean over queries, after − before.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p: The probability of so large a difference, either way, if the two were equally good.
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


def give_verdict(rankings: Sequence[Ranking]) -> str:
    """Says which ranking is best and by how much, or which are not significantly worse.

    Args:
        rankings: At least one; with the queries in the same order.
    """
    best, *others = sorted(rankings, key=lambda ranking: -ranking[1].mean())
    name, values, best_ms = best
    if not others:
        low, high = bootstrap_interval(values)
        return f"{name}: nDCG@10 {values.mean():.3f} (95 % interval {low:.3f} to {high:.3f})."
    compared = [(other, compare(other[1], values)) for other in others]
    alike = [(other, outcome) for other, outcome in compared if outcome.p >= _SURE]
    if not alike:
        second, outcome = compared[0]
        return (
            f"{name} is best: nDCG@10 {values.mean():.3f}, {outcome.difference:.3f} above {second[0]} "
            f"(95 % interval {outcome.low:.3f} to {outcome.high:.3f}, {shown_p(outcome.p)})."
        )
    rivals = " or ".join(f"{other[0]} ({shown_p(outcome.p)})" for other, outcome in alike)
    faster = ""
    timed = [(ms, other) for (other, _, ms), _ in alike if ms is not None]
    if best_ms is not None and timed and best_ms - min(timed)[0] >= _WORTH_TELLING_MS:
        ms, other = min(timed)
        faster = f"; {other} takes {best_ms - ms:.0f} ms less a query"
    return f"{name} scores highest, nDCG@10 {values.mean():.3f}, but it may be no better than {rivals}{faster}."


def shown_p(p: float) -> str:
    """A p-value as papers write it."""
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)
