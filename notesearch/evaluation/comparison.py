"""How sure a difference between two rankings is: intervals and tests over queries."""

from __future__ import annotations

from collections.abc import Sequence
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
