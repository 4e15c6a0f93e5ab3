"""From scores to probabilities, from probabilities to suggestions, and measures of these.

Calibration and thresholds are fitted out of fold, to scores of examples that the estimator was not fitted to.

Labels share their calibration, since most have too few examples for one of their own: the probability of a label is a
logistic function (for exclusive labels, a softmax) of its score, its frequency, and what its name says. It is Platt's
scaling (1999) with more inputs: the frequency makes up for the low scores that least squares gives to rare labels, and
the name helps where examples are few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]
    Probabilities = NDArray[np.float32]
    Names = NDArray[np.float32]
    Chosen = NDArray[np.bool_]


_LEAST_FREQUENCY = 1e-4
# The means of the parameters' prior: sharpness, rarity, prior, two for the name, and offset.
_PRIOR_MEANS = np.array([1.5, 0.2, 0.0, 0.0, 0.0, 0.0])
# A weak one, without which the probabilities of a few examples that are easy to tell apart would be 0 and 1.
_PRIOR_PRECISION = 0.1
# For how many notes the average label counts when the threshold of one label is chosen.
_POOLED_NOTES = 300
_GRID = np.linspace(0.02, 0.9, 89).astype(np.float32)

_BINS = 10
_MOST_CONFUSIONS = 10


@dataclass(frozen=True, slots=True)
class Calibration:
    """Maps scores to probabilities.

    Attributes:
        exclusive: Whether a note has exactly one label.
        unit: The standard deviation of the scores, by which they are divided.
        frequencies: The share of examples with each label.
        sharpness: Logarithm of the factor on a score.
        rarity: The power of a label's frequency by which its scores are divided.
        prior: Weight of the logarithm of a label's frequency.
        names: Weights of what a label's name says, see `name_features`.
        offset: Constant; 0 for exclusive labels, where it would make no difference.
    """

    exclusive: bool
    unit: float
    frequencies: tuple[float, ...]
    sharpness: float = 0.0
    rarity: float = 0.0
    prior: float = 0.0
    names: tuple[float, float] = (0.0, 0.0)
    offset: float = 0.0

    @classmethod
    def fit(cls, scores: Scores, names: Names, targets: NDArray[np.bool_], *, exclusive: bool) -> Calibration:
        """Minimises the log-loss.

        Args:
            scores: Out of fold, `(n, labels)`.
            names: See `name_features`, `(n, labels, 2)`.
            targets: `(n, labels)`.
            exclusive: Whether a note has exactly one label; examples without any then do not count.
        """
        from scipy.optimize import minimize

        counted = targets.any(axis=1) if exclusive else np.ones(len(targets), dtype=bool)
        scores, names, targets = scores[counted], names[counted], targets[counted]
        frequencies = tuple(float(share) for share in targets.mean(axis=0))
        uncalibrated = cls(exclusive, float(scores.std()) or 1.0, frequencies)

        def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            tried = uncalibrated._with(parameters)
            error = tried.probabilities(scores, names) - targets
            gradient = (tried._gradients(scores, names) * error).sum(axis=(1, 2))
            off = parameters - _PRIOR_MEANS
            penalty = _PRIOR_PRECISION * float(off @ off) / (2 * len(scores))
            value = tried.log_loss(scores, names, targets) + penalty
            return value, (gradient + _PRIOR_PRECISION * off) / len(scores)

        found = minimize(loss, _PRIOR_MEANS, jac=True, method="L-BFGS-B")
        return uncalibrated._with(found.x)

    def _with(self, parameters: NDArray[np.float64]) -> Calibration:
        sharpness, rarity, prior, similarity, occurrence, offset = map(float, parameters)
        names = (similarity, occurrence)
        return replace(self, sharpness=sharpness, rarity=rarity, prior=prior, names=names, offset=offset)

    def _gradients(self, scores: Scores, names: Names) -> NDArray[np.float32]:
        """The derivatives of the logits by each parameter, `(6, n, labels)`."""
        logarithms = self._log_frequencies()
        scaled = scores * self._factors()
        constant = np.zeros_like(scaled) if self.exclusive else np.ones_like(scaled)
        prior = np.broadcast_to(logarithms, scaled.shape)
        return np.stack([scaled, -scaled * logarithms, prior, names[:, :, 0], names[:, :, 1], constant])

    def probabilities(self, scores: Scores, names: Names) -> Probabilities:
        """Maps scores `(n, labels)` and name features `(n, labels, 2)` to probabilities `(n, labels)`."""
        logits = self._logits(scores, names)
        if self.exclusive:
            softmax: Probabilities = np.exp(logits - logits.max(axis=1, keepdims=True)).astype(np.float32)
            softmax /= softmax.sum(axis=1, keepdims=True)
            return softmax
        logistic: Probabilities = np.exp(-np.logaddexp(0, -logits)).astype(np.float32)
        return logistic

    def log_loss(self, scores: Scores, names: Names, targets: NDArray[np.bool_]) -> float:
        """The mean negative log-likelihood of a note's labels, in nats; the lower the better."""
        logits = self._logits(scores, names)
        if self.exclusive:
            top = logits.max(axis=1)
            of_all = np.log(np.exp(logits - top[:, np.newaxis]).sum(axis=1)) + top
            return float((of_all - (logits * targets).sum(axis=1)).mean())
        return float((np.logaddexp(0, logits) - targets * logits).sum(axis=1).mean())

    def _logits(self, scores: Scores, names: Names) -> Scores:
        logits: Scores = scores * self._factors() + np.float32(self.prior) * self._log_frequencies()
        logits += np.float32(self.offset)
        logits += names @ np.array(self.names, dtype=np.float32)
        return logits

    def _factors(self) -> Scores:
        factors: Scores = np.exp(self.sharpness - self.rarity * self._log_frequencies()) / np.float32(self.unit)
        return factors

    def _log_frequencies(self) -> Scores:
        frequencies = np.array(self.frequencies, dtype=np.float32)
        logarithms: Scores = np.log(np.maximum(frequencies, np.float32(_LEAST_FREQUENCY)))
        return logarithms


def choose_thresholds(
    probabilities: Probabilities, targets: NDArray[np.bool_], *, exclusive: bool
) -> NDArray[np.float32]:
    """Chooses for each label the threshold with the highest F1, out of fold.

    The counts of a label are pooled with those of the average label, so that the threshold of one with few examples is
    about that of all.

    Args:
        probabilities: Out of fold, `(n, labels)`.
        targets: `(n, labels)`.
        exclusive: Whether only a note's best label can be suggested.

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


@dataclass(frozen=True, slots=True)
class LabelMeasures:
    """How good the suggestions of one label are.

    Attributes:
        label: The label.
        precision: The share of its suggestions that are right; 0 where there are none.
        recall: The share of the notes with it that it is suggested for; 0 where there are none.
        f1: Their harmonic mean.
        support: Notes with it.
        threshold: The probability from which on it is suggested.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    threshold: float


@dataclass(frozen=True, slots=True)
class Bin:
    """The scores between two bounds.

    Attributes:
        probability: Their mean.
        right: The share of them whose note has the label.
        count: How many there are.
    """

    probability: float
    right: float
    count: int


def f1_scores(targets: Chosen, chosen: Chosen) -> tuple[float, float]:
    """Micro- and macro-F1 of suggestions `(n, labels)`.

    A label that is neither on any of the notes nor suggested for any does not count in the mean.
    """
    right, both = (targets & chosen).sum(axis=0), targets.sum(axis=0) + chosen.sum(axis=0)
    counted = both > 0
    if not counted.any():
        return 0.0, 0.0
    return float(2 * right.sum() / both.sum()), float((2 * right[counted] / both[counted]).mean())


def measure_labels(
    labels: Sequence[str], targets: Chosen, chosen: Chosen, thresholds: NDArray[np.float32]
) -> tuple[LabelMeasures, ...]:
    """Measures each label by itself."""
    right, suggested, support = (targets & chosen).sum(axis=0), chosen.sum(axis=0), targets.sum(axis=0)
    return tuple(
        LabelMeasures(
            label=label,
            precision=float(right[row] / max(1, suggested[row])),
            recall=float(right[row] / max(1, support[row])),
            f1=float(2 * right[row] / max(1, suggested[row] + support[row])),
            support=int(support[row]),
            threshold=float(thresholds[row]),
        )
        for row, label in enumerate(labels)
    )


def calibration_bins(probabilities: NDArray[np.float32], targets: Chosen) -> tuple[Bin, ...]:
    """Groups the probabilities of all notes and labels by tenths."""
    flat, right = probabilities.ravel(), targets.ravel()
    places = np.minimum((flat * _BINS).astype(int), _BINS - 1)
    groups = [(flat[places == place], right[places == place]) for place in range(_BINS)]
    return tuple(Bin(float(own.mean()), float(hits.mean()), len(own)) for own, hits in groups if len(own))


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error (Naeini et al. 2015) without the lowest tenth, which holds nearly all."""
    shown = [entry for entry in bins if entry.probability >= 1 / _BINS]
    total = sum(entry.count for entry in shown)
    return sum(abs(entry.probability - entry.right) * entry.count for entry in shown) / max(1, total)


def find_confusions(labels: Sequence[str], targets: Chosen, chosen: Chosen) -> tuple[tuple[str, str, int], ...]:
    """The pairs (label of the note, label suggested in its place) that occur at least twice, most frequent first."""
    pairs = Counter(
        (labels[wanted], labels[given])
        for missed, wrong in zip(targets & ~chosen, chosen & ~targets, strict=True)
        for wanted in np.flatnonzero(missed).tolist()
        for given in np.flatnonzero(wrong).tolist()
    )
    return tuple((*pair, count) for pair, count in pairs.most_common(_MOST_CONFUSIONS) if count > 1)
