"""Which ranking serves a collection best, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from notesearch.evaluation.comparison import bootstrap_interval, compare

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
