"""From scores to probabilities, and from probabilities to suggestions: fitted out of fold, on examples not learnt from.

Labels share their calibration, since most have too few examples for one of their own: the probability of a label is a
logistic function (for exclusive labels, a softmax) of its score, of how frequent it is, and of what its name says. It
is Platt's scaling (1999) with more inputs: the frequency undoes least squares' shyness of rare labels, and the name
helps where examples are few.
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
    Hints = NDArray[np.float32]
    Chosen = NDArray[np.bool_]


_LEAST_FREQUENCY = 1e-4
# Of sharpness, rarity, prior, the two hints, and offset; a hint that is never given keeps the weight 0.
_FIRST_GUESS = (1.5, 0.2, 0.0, 0.0, 0.0, 0.0)
# A weak prior around it, or the probabilities of a few examples that are easy to tell apart would be 0 and 1.
_DOUBT = 0.1
# How many notes' worth the average label counts in the choice of a label's threshold.
_POOLED_NOTES = 300
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
    sharpness: float = 0.0
    rarity: float = 0.0
    prior: float = 0.0
    hints: tuple[float, float] = (0.0, 0.0)
    offset: float = 0.0

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
        scores, hints, targets = scores[counted], hints[counted], targets[counted]
        frequencies = tuple(float(share) for share in targets.mean(axis=0))
        uncalibrated = cls(exclusive, float(scores.std()) or 1.0, frequencies)

        def surprise(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            tried = uncalibrated._with(parameters)
            slopes = tried._slopes(scores, hints)
            excess = tried.probabilities(scores, hints) - targets
            off = parameters - np.array(_FIRST_GUESS)
            value = tried.surprise(scores, hints, targets) + _DOUBT * float(off @ off) / (2 * len(scores))
            return value, ((slopes * excess).sum(axis=(1, 2)) + _DOUBT * off) / len(scores)

        found = minimize(surprise, _FIRST_GUESS, jac=True, method="L-BFGS-B")
        return uncalibrated._with(found.x)

    def _with(self, parameters: NDArray[np.float64]) -> Calibration:
        sharpness, rarity, prior, closeness, occurrence, offset = map(float, parameters)
        hints = (closeness, occurrence)
        return replace(self, sharpness=sharpness, rarity=rarity, prior=prior, hints=hints, offset=offset)

    def _slopes(self, scores: Scores, hints: Hints) -> NDArray[np.float32]:
        """How the logits change with each parameter, `(6, n, labels)`."""
        logarithms = self._log_frequencies()
        scaled = scores * self._factors()
        constant = np.zeros_like(scaled) if self.exclusive else np.ones_like(scaled)
        prior = np.broadcast_to(logarithms, scaled.shape)
        return np.stack([scaled, -scaled * logarithms, prior, hints[:, :, 0], hints[:, :, 1], constant])

    def probabilities(self, scores: Scores, hints: Hints) -> Probabilities:
        """Maps scores `(n, labels)` and hints `(n, labels, 2)` to probabilities `(n, labels)`."""
        logits = self._logits(scores, hints)
        if self.exclusive:
            grown: Probabilities = np.exp(logits - logits.max(axis=1, keepdims=True)).astype(np.float32)
            grown /= grown.sum(axis=1, keepdims=True)
            return grown
        likely: Probabilities = np.exp(-np.logaddexp(0, -logits)).astype(np.float32)
        return likely

    def surprise(self, scores: Scores, hints: Hints, targets: NDArray[np.bool_]) -> float:
        """The mean negative log-likelihood of a note's labels, in nats."""
        logits = self._logits(scores, hints)
        if self.exclusive:
            top = logits.max(axis=1)
            of_all = np.log(np.exp(logits - top[:, np.newaxis]).sum(axis=1)) + top
            return float((of_all - (logits * targets).sum(axis=1)).mean())
        return float((np.logaddexp(0, logits) - targets * logits).sum(axis=1).mean())

    def _logits(self, scores: Scores, hints: Hints) -> Scores:
        logits: Scores = scores * self._factors() + np.float32(self.prior) * self._log_frequencies()
        logits += np.float32(self.offset)
        logits += hints @ np.array(self.hints, dtype=np.float32)
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


# How good suggestions are: precision, recall, F1, calibration error, confusions.

_BINS = 10
_MOST_CONFUSIONS = 10


@dataclass(frozen=True, slots=True)
class LabelMeasures:
    """How well one label is suggested.

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
    """Suggestions of like probability.

    Attributes:
        probability: Their mean probability.
        right: The share of them that is right.
        count: How many there are.
    """

    probability: float
    right: float
    count: int


def f1_scores(targets: Chosen, chosen: Chosen) -> tuple[float, float]:
    """Micro- and macro-F1 of suggestions `(n, labels)`.

    A label that is neither on any of the notes nor suggested for any says nothing, and does not count in the mean.
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
    """Groups all probabilities, of each note and label, by tenths, and says how many of each group are right."""
    flat, right = probabilities.ravel(), targets.ravel()
    places = np.minimum((flat * _BINS).astype(int), _BINS - 1)
    groups = [(flat[places == place], right[places == place]) for place in range(_BINS)]
    return tuple(Bin(float(own.mean()), float(hits.mean()), len(own)) for own, hits in groups if len(own))


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error (Naeini et al. 2015) over all but the lowest tenth, where nearly all labels are."""
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
