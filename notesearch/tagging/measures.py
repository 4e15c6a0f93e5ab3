"""Measures of suggestions: precision, recall, F1, calibration error, confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Chosen = NDArray[np.bool_]

_BINS = 10
_MOST_CONFUSIONS = 10


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
    """Expected calibration error (Naeini et al. 2015) over all but the lowest tenth, which nearly all probabilities are in."""
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
