"""How sure a difference between two rankings is: intervals and tests over queries."""

from __future__ import annotations

from collections.abc import Sequence
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


# Which ranking serves a collection best, in one sentence.

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ranking = tuple[str, NDArray[np.float64], float | None]
    """Its name, nDCG@10 of each query, and milliseconds a query where they are known."""

_SURE = 0.05
_WORTH_TELLING_MS = 1.0


def give_verdict(rankings: Sequence[Ranking]) -> str:
    """Says which ranking is best and by how much, or which cannot be told from it.

    Args:
        rankings: At least one; with the queries in the same order.
    """
    best = max(rankings, key=lambda ranking: float(ranking[1].mean()))
    name, values, _ = best
    others = sorted((ranking for ranking in rankings if ranking is not best), key=lambda other: -other[1].mean())
    if not others:
        low, high = bootstrap_interval(values)
        return f"{name}: nDCG@10 {values.mean():.3f} (95 % interval {low:.3f} to {high:.3f})."
    outcomes = [compare(other[1], values) for other in others]
    alike = [(other, outcome) for other, outcome in zip(others, outcomes, strict=True) if outcome.p >= _SURE]
    if not alike:
        second, outcome = others[0], outcomes[0]
        return (
            f"{name} serves best: nDCG@10 {values.mean():.3f}, {outcome.difference:.3f} above {second[0]} "
            f"(95 % interval {outcome.low:.3f} to {outcome.high:.3f}, {shown_p(outcome.p)})."
        )
    rivals = " or ".join(f"{other[0]} ({shown_p(outcome.p)})" for other, outcome in alike)
    return (
        f"{name} scores highest, nDCG@10 {values.mean():.3f}, but it cannot be told that it is better than {rivals}"
        f"{_faster(best, [other for other, _ in alike])}."
    )


def shown_p(p: float) -> str:
    """A p-value as papers write it."""
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)


def _faster(best: Ranking, alike: Sequence[Ranking]) -> str:
    """What the fastest of those that are no worse would save."""
    timed = [(milliseconds, name) for name, _, milliseconds in alike if milliseconds is not None]
    if best[2] is None or not timed:
        return ""
    milliseconds, name = min(timed)
    saved = best[2] - milliseconds
    return f"; {name} takes {saved:.0f} ms a query less" if saved >= _WORTH_TELLING_MS else ""
