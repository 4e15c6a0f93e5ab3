"""From scores to probabilities, and from probabilities to suggestions: fitted out of fold, on examples not learnt from.

Labels share their calibration, since most have too few examples for one of their own: the probability of a label is a
logistic function (for exclusive labels, a softmax) of its score, of how frequent it is, and of what its name says. It
is Platt's scaling (1999) with more inputs: the frequency undoes least squares' shyness of rare labels, and the name
helps where examples are few.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]
    Probabilities = NDArray[np.float32]
    Hints = NDArray[np.float32]

_LEAST_FREQUENCY = 1e-4
# Of sharpness, rarity, prior, the two hints, and offset.
_FIRST_GUESS = (1.5, 0.2, 0.0, 0.0, 0.0, -2.0)
_MOST_STEPS = 1500
_GREATEST_LOGIT = 60
# How many notes' worth the average label counts in the choice of a label's threshold.
_POOLED_NOTES = 10
_GRID = np.linspace(0.02, 0.9, 89).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What scores mean.

    Attributes:
        exclusive: Whether a note has exactly one label.
        unit: The spread of the scores, which they are divided by.
        frequencies: The share of examples with each label.
        sharpness: Logarithm of the factor on a score.
        rarity: The power of a label's frequency by which its scores are divided.
        prior: Weight of the logarithm of a label's frequency.
        hints: Weights of what a label's name says, see `names.name_hints`.
        offset: Constant; 0 for exclusive labels, where it would make no difference.
    """

    exclusive: bool
    unit: float
    frequencies: tuple[float, ...]
    sharpness: float
    rarity: float
    prior: float
    hints: tuple[float, float]
    offset: float

    @classmethod
    def fit(cls, scores: Scores, hints: Hints, targets: NDArray[np.bool_], *, exclusive: bool) -> Calibration:
        """Finds the calibration under which the targets are likeliest.

        Args:
            scores: Out of fold, `(n, labels)`.
            hints: `(n, labels, 2)`.
            targets: `(n, labels)`.
            exclusive: Whether a note has exactly one label; examples without any then do not count.
        """
        from scipy.optimize import minimize

        counted = targets.any(axis=1) if exclusive else np.ones(len(targets), dtype=bool)
        frequencies = tuple(float(share) for share in targets.mean(axis=0))
        unit = float(scores[counted].std()) or 1.0
        first = cls(exclusive, unit, frequencies, *_FIRST_GUESS[:3], _FIRST_GUESS[3:5], _FIRST_GUESS[5])

        def surprise(parameters: NDArray[np.float64]) -> float:
            return first._with(parameters).surprise(scores[counted], hints[counted], targets[counted])

        start = _FIRST_GUESS[:-1] if exclusive else _FIRST_GUESS
        found = minimize(surprise, start, method="Nelder-Mead", options={"maxiter": _MOST_STEPS, "adaptive": True})
        fitted = first._with(found.x)
        # Where no hints were given, any weight of theirs fits.
        return fitted if hints.any() else replace(fitted, hints=(0.0, 0.0))

    def _with(self, parameters: NDArray[np.float64]) -> Calibration:
        sharpness, rarity, prior, closeness, occurrence, *rest = map(float, parameters)
        offset = rest[0] if rest else 0.0
        hints = (closeness, occurrence)
        return replace(self, sharpness=sharpness, rarity=rarity, prior=prior, hints=hints, offset=offset)

    def probabilities(self, scores: Scores, hints: Hints) -> Probabilities:
        """Maps scores `(n, labels)` and hints `(n, labels, 2)` to probabilities `(n, labels)`."""
        logits = self._logits(scores, hints)
        if self.exclusive:
            grown = np.exp(logits - logits.max(axis=1, keepdims=True))
            return (grown / grown.sum(axis=1, keepdims=True)).astype(np.float32)
        return (1 / (1 + np.exp(-logits))).astype(np.float32)

    def surprise(self, scores: Scores, hints: Hints, targets: NDArray[np.bool_]) -> float:
        """The mean negative log-likelihood of a note's labels, in nats."""
        logits = self._logits(scores, hints)
        if self.exclusive:
            top = logits.max(axis=1)
            of_all = np.log(np.exp(logits - top[:, np.newaxis]).sum(axis=1)) + top
            return float((of_all - (logits * targets).sum(axis=1)).mean())
        return float((np.logaddexp(0, logits) - targets * logits).sum(axis=1).mean())

    def _logits(self, scores: Scores, hints: Hints) -> Scores:
        frequencies = np.maximum(np.array(self.frequencies, dtype=np.float32), _LEAST_FREQUENCY)
        factors = np.exp(np.float32(self.sharpness)) / self.unit * frequencies ** np.float32(-self.rarity)
        logits: Scores = scores * factors + self.prior * np.log(frequencies) + self.offset
        logits += hints @ np.array(self.hints, dtype=np.float32)
        bounded: Scores = np.clip(logits, -_GREATEST_LOGIT, _GREATEST_LOGIT).astype(np.float32)
        return bounded


def choose_thresholds(
    probabilities: Probabilities, targets: NDArray[np.bool_], *, exclusive: bool
) -> NDArray[np.float32]:
    """Chooses for each label the probability from which on it is suggested: where F1 is highest, out of fold.

    A label's own counts are joined by those of the average label, so that one with few examples gets about the
    threshold of all.

    Args:
        probabilities: Out of fold, `(n, labels)`.
        targets: `(n, labels)`.
        exclusive: Whether only a note's best label is ever suggested.

    Returns:
        float32 `(labels,)`.
    """
    candidates = probabilities >= probabilities.max(axis=1, keepdims=True) if exclusive else np.True_
    taken = [(probabilities >= threshold) & candidates for threshold in _GRID]
    suggested = np.stack([chosen.sum(axis=0) for chosen in taken]).astype(np.float64)
    right = np.stack([(chosen & targets).sum(axis=0) for chosen in taken]).astype(np.float64)
    wanted = targets.sum(axis=0).astype(np.float64)
    share = _POOLED_NOTES / max(1.0, wanted.sum())
    f1 = (right + share * right.sum(axis=1, keepdims=True)) / np.maximum(
        suggested + wanted + share * (suggested.sum(axis=1, keepdims=True) + wanted.sum()), 1e-9
    )
    best: NDArray[np.float32] = _GRID[f1.argmax(axis=0)]
    return best


def choose(probabilities: Probabilities, thresholds: NDArray[np.float32], *, exclusive: bool) -> NDArray[np.bool_]:
    """Which labels are suggested, bool `(n, labels)`: none where the best is below its threshold."""
    suggested: NDArray[np.bool_] = probabilities >= thresholds
    if exclusive:
        best = np.zeros_like(suggested)
        best[np.arange(len(best)), probabilities.argmax(axis=1)] = True
        suggested &= best
    return suggested
