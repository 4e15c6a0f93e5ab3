"""A fair contest of learners: all are scored on the same folds, with the settings that serve each best."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from notesearch.tagging.calibration import Calibration, choose, choose_thresholds
from notesearch.tagging.learners import Learner, Material
from notesearch.tagging.measures import f1_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

# The slow learners are compared on the first folds only, with the others on the same ones.
_SLOW_FOLDS = 2
_ALL = 1_000
# Beyond this many examples, the settings that serve most collections have to do.
_MOST_EXAMPLES_TO_CHOOSE_BY = 3000

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How a learner fared.

    Attributes:
        learner: The learner, with the settings that served it best.
        micro: Micro-F1 of each fold.
        macro: Macro-F1 of each fold.
        surprise: See `Calibration.surprise`; the lower the better.
        calibration: What its scores mean.
        thresholds: From which probability on each label is suggested.
        seconds: Wall-clock time, trials of settings included.
    """

    learner: Learner
    micro: NDArray[np.float64]
    macro: NDArray[np.float64]
    surprise: float
    calibration: Calibration
    thresholds: NDArray[np.float32]
    seconds: float = 0.0

    @property
    def f1(self) -> NDArray[np.float64]:
        """What counts, for each fold: the mean of micro- and macro-F1, so that rare labels matter too."""
        means: NDArray[np.float64] = (self.micro + self.macro) / 2
        return means


@dataclass(frozen=True, slots=True)
class Contest:
    """How all learners fared.

    Attributes:
        entries: In the order of the learners.
        winner: The one to keep.
        interrupted: Whether it was ended before all had run.
    """

    entries: tuple[Entry, ...]
    winner: Entry
    interrupted: bool = False

    @property
    def runner_up(self) -> Entry | None:
        """The best of the others, if there are any."""
        others = [entry for entry in self.entries if entry is not self.winner]
        return max(others, key=lambda entry: entry.f1.mean(), default=None)


def lead(first: Entry, second: Entry) -> tuple[float, float]:
    """By how much one entry is ahead of another: mean and standard deviation of the difference, fold by fold."""
    folds = min(len(first.f1), len(second.f1))
    differences = first.f1[:folds] - second.f1[:folds]
    return float(differences.mean()), float(differences.std(ddof=1)) if folds > 1 else 0.0


def hold_contest(
    learners: Sequence[Learner], material: Material, rows: Rows, folds: NDArray[np.int64], progress: Progress
) -> Contest:
    """Cross-validates learners and chooses one.

    A slow learner must be ahead of the best fast one by more than the spread; fast ones just ahead.

    Args:
        learners: Those that compete; fast ones first.
        material: What they learn from.
        rows: The examples that take part.
        folds: The fold of each of these, `(len(rows),)`.
        progress: Told about each learner.

    Raises:
        KeyboardInterrupt: The user wanted to stop before any learner was done.
    """
    entries: list[Entry] = []
    interrupted = False
    for learner in learners:
        try:
            entries.append(_best_variant(learner, material, rows, folds, progress))
        except KeyboardInterrupt:
            if not entries:
                raise
            interrupted = True
            break
    return Contest(tuple(entries), _winner(entries), interrupted)


def _winner(entries: Sequence[Entry]) -> Entry:
    best = max(entries, key=lambda entry: entry.f1.mean() if not entry.learner.slow else -1)
    for entry in entries:
        if entry.learner.slow:
            margin, spread = lead(entry, best)
            if margin > spread:
                best = entry
    return best


def _best_variant(
    learner: Learner, material: Material, rows: Rows, folds: NDArray[np.int64], progress: Progress
) -> Entry:
    """Cross-validates a learner in each of its settings, and keeps those under which the labels are likeliest."""
    variants = learner.variants() if len(rows) <= _MOST_EXAMPLES_TO_CHOOSE_BY else (learner,)
    started = time.monotonic()
    entries = []
    for done, variant in enumerate(variants):
        progress(learner.name, done, len(variants))
        entries.append(cross_validate(variant, material, rows, folds))
    progress(learner.name, len(variants), len(variants))
    best = min(entries, key=lambda entry: entry.surprise)
    return replace(best, seconds=time.monotonic() - started)


def cross_validate(learner: Learner, material: Material, rows: Rows, folds: NDArray[np.int64]) -> Entry:
    """Scores each fold by what was learnt from the others, and finds the calibration and thresholds for these scores.

    Args:
        learner: The learner.
        material: What it learns from.
        rows: The examples that take part.
        folds: The fold of each of these, `(len(rows),)`.
    """
    count = min(int(folds.max()) + 1, _SLOW_FOLDS if learner.slow else _ALL)
    scores = np.zeros((len(rows), material.targets.shape[1]), dtype=np.float32)
    for fold in range(count):
        test = folds == fold
        scores[test] = learner.score(rows[~test], rows[test])
    scored = folds < count
    scores, own_folds, rows = scores[scored], folds[scored], rows[scored]
    targets, exclusive = material.targets[rows], material.examples.exclusive
    hints = material.hints[rows] * learner.hinted
    calibration = Calibration.fit(scores, hints, targets, exclusive=exclusive)
    probabilities = calibration.probabilities(scores, hints)
    thresholds = choose_thresholds(probabilities, targets, exclusive=exclusive)
    chosen = choose(probabilities, thresholds, exclusive=exclusive)
    f1 = np.array([f1_scores(targets[own_folds == fold], chosen[own_folds == fold]) for fold in range(count)])
    surprise = calibration.surprise(scores, hints, targets)
    return Entry(learner, f1[:, 0], f1[:, 1], surprise, calibration, thresholds)
