"""Training: model selection by cross-validation, a test on notes held out, and a last fit to all notes."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from notesearch.records import TestSplit
from notesearch.tagging.calibration import (
    Bin,
    Calibration,
    LabelMeasures,
    calibration_bins,
    calibration_error,
    choose,
    choose_thresholds,
    f1_scores,
    find_confusions,
    measure_labels,
)
from notesearch.tagging.estimators import Estimator, Features, Heads
from notesearch.tagging.labels import Examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is to do."""
_FOLDS = 5
# One in so many notes is held out for the test.
_TEST_SHARE = 5
# Slow estimators are cross-validated on the first folds only, and compared with the fast ones on the same folds;
_SLOW_FOLDS = 2
# and only on the first fold, where their F1 is so much lower there.
_HOPELESS = 0.02
# Two folds are little evidence: a slow estimator must be better by more than this, too. Differences of .01 did not hold
# on other notes, and a second encoder doubles the time of tagging.
_LEAST_GAIN = 0.02
# With more examples than this, hyperparameters are not tuned; the defaults suit most collections.
_MOST_EXAMPLES_TO_TUNE_ON = 3000


def assign_folds(targets: NDArray[np.bool_], count: int, seed: int) -> NDArray[np.int64]:
    """Assigns examples to folds, those of the rarest label first (iterative stratification, Sechidis et al. 2011).

    Args:
        targets: `(n, labels)`.
        count: Folds, ≥ 1.
        seed: The same seed gives the same folds.

    Returns:
        The fold of each example, int64 `(n,)`, from 0.
    """
    generator = np.random.default_rng(seed)
    folds = np.full(len(targets), -1, dtype=np.int64)
    # One more label that all examples have, and that is the last, is for those that have no other.
    labels = np.column_stack([targets, np.ones(len(targets), dtype=bool)])
    held = np.zeros((count, labels.shape[1]), dtype=np.int64)
    for label in np.argsort(labels.sum(axis=0), kind="stable"):
        for row in generator.permutation(np.flatnonzero(labels[:, label] & (folds < 0))):
            # The fold that has the fewest of this label; among these the smallest; among these any.
            folds[row] = np.lexsort((generator.random(count), held[:, -1], held[:, label]))[0]
            held[folds[row]] += labels[row]
    return folds


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """The result of an estimator.

    Attributes:
        estimator: The estimator, with the best of its hyperparameters.
        scores: Out of fold, float32 `(n, labels)`.
        micro: Micro-F1 of each fold, by calibration and thresholds fitted on the others, float64 `(folds,)`.
        macro: Macro-F1 of each fold, likewise.
        log_loss: See `Calibration.log_loss`.
        calibration: Fitted on the scores of all folds.
        thresholds: From which probability on each label is suggested, float32 `(labels,)`.
        seconds: Wall-clock time, including that for hyperparameters that were not chosen.
    """

    estimator: Estimator
    scores: NDArray[np.float32]
    micro: NDArray[np.float64]
    macro: NDArray[np.float64]
    log_loss: float
    calibration: Calibration
    thresholds: NDArray[np.float32]
    seconds: float = 0.0

    @property
    def f1(self) -> NDArray[np.float64]:
        """Of each fold, the mean of micro- and macro-F1, so that rare labels matter too."""
        means: NDArray[np.float64] = (self.micro + self.macro) / 2
        return means


@dataclass(frozen=True, slots=True)
class Selection:
    """The results of all estimators, and which was chosen.

    Attributes:
        results: In the order of the estimators.
        best: The chosen one.
        runner_up: The best of the others, if there are any.
        lead: By how much the F1 of the chosen one is higher than its: mean over the folds that both ran on.
        lead_spread: The standard deviation of this difference.
        interrupted: Whether the user stopped it before all estimators had run.
    """

    results: tuple[CrossValidation, ...]
    best: CrossValidation
    runner_up: CrossValidation | None
    lead: float
    lead_spread: float
    interrupted: bool = False


def select(
    estimators: Sequence[Estimator], features: Features, rows: Rows, folds: NDArray[np.int64], progress: Progress
) -> Selection:
    """Cross-validates estimators and chooses one.

    Among the fast estimators whose F1 is within one standard deviation of the best, that with the lowest log-loss is
    chosen. A slow one is chosen if its F1 is higher than that by more than the standard deviation.

    Args:
        estimators: The candidates, fast ones first.
        features: Of the examples.
        rows: The examples to use.
        folds: The fold of each of these, `(len(rows),)`.
        progress: Told about each estimator.

    Raises:
        KeyboardInterrupt: The user wanted to stop before the first estimator was done.
    """
    validator = _Validator(features, rows, folds)
    results: list[CrossValidation] = []
    interrupted = False
    try:
        for estimator in estimators:
            fast = [result for result in results if not result.estimator.slow]
            results.append(validator.tune(estimator, max(fast, key=_mean_f1, default=None), progress))
    except KeyboardInterrupt:
        if not results:
            raise
        interrupted = True
    best = _choose(results, validator)
    others = [result for result in results if result is not best]
    runner_up = min(others, key=lambda result: validator.difference(best, result)[0], default=None)
    lead, spread = validator.difference(best, runner_up) if runner_up else (0.0, 0.0)
    return Selection(tuple(results), best, runner_up, lead, spread, interrupted)


def cross_validate(estimator: Estimator, features: Features, rows: Rows, folds: NDArray[np.int64]) -> CrossValidation:
    """Scores each fold by an estimator fitted to the others; then fits calibration and thresholds to these scores.

    Args:
        estimator: The estimator.
        features: Of the examples.
        rows: The examples to use.
        folds: The fold of each of these, `(len(rows),)`.
    """
    return _Validator(features, rows, folds).validate(estimator)


class _Validator:
    """The examples and folds on which estimators are compared."""

    def __init__(self, features: Features, rows: Rows, folds: NDArray[np.int64]) -> None:
        self._features = features
        self._exclusive = features.examples.exclusive
        self._rows = rows
        self._folds = folds
        self._count = int(folds.max()) + 1

    def tune(self, estimator: Estimator, rival: CrossValidation | None, progress: Progress) -> CrossValidation:
        """Cross-validates an estimator with each setting of its hyperparameters; the lowest log-loss is the best.

        Args:
            estimator: The estimator.
            rival: The best fast estimator so far, with which a slow one is compared.
            progress: Told the settings tried.
        """
        variants = estimator.variants() if len(self._rows) <= _MOST_EXAMPLES_TO_TUNE_ON else (estimator,)
        started = time.monotonic()
        results = []
        for done, variant in enumerate(variants):
            progress(estimator.name, done, len(variants))
            results.append(self._validate_slow(variant, rival) if estimator.slow else self.validate(variant))
        progress(estimator.name, len(variants), len(variants))
        best = min(results, key=lambda result: (-len(result.micro), result.log_loss))
        return replace(best, seconds=time.monotonic() - started)

    def validate(self, estimator: Estimator) -> CrossValidation:
        """Cross-validates an estimator on all folds."""
        return self._measure(estimator, self._score(estimator, range(self._count)), self._count)

    def _validate_slow(self, estimator: Estimator, rival: CrossValidation | None) -> CrossValidation:
        scores = self._score(estimator, range(1))
        first = self._measure(estimator, scores, 1)
        if rival is not None and self.difference(first, rival)[0] < -_HOPELESS:
            return first
        count = min(_SLOW_FOLDS, self._count)
        return self._measure(estimator, scores + self._score(estimator, range(1, count)), count)

    def difference(self, first: CrossValidation, second: CrossValidation) -> tuple[float, float]:
        """By how much the F1 of the first is higher, on the folds that both ran on: mean and standard deviation."""
        count = min(len(first.micro), len(second.micro))
        own, other = (
            result if len(result.micro) == count else self._measure(result.estimator, result.scores, count)
            for result in (first, second)
        )
        return _mean_and_spread(own.f1 - other.f1)

    def _score(self, estimator: Estimator, folds: range) -> NDArray[np.float32]:
        """Scores the examples of some folds, each by all others; the rows of other folds are 0."""
        scores = np.zeros((len(self._rows), self._features.targets.shape[1]), dtype=np.float32)
        for fold in folds:
            test = self._folds == fold
            scores[test] = estimator.score(self._rows[~test], self._rows[test])
        return scores

    def _measure(self, estimator: Estimator, scores: NDArray[np.float32], count: int) -> CrossValidation:
        """Measures the scores of the first folds: F1 in each by calibration and thresholds fitted on the others."""
        among = self._folds < count
        scored, folds, rows = scores[among], self._folds[among], self._rows[among]
        names, targets = self._features.names[rows] * estimator.uses_names, self._features.targets[rows]
        f1 = []
        for fold in range(count):
            test = folds == fold
            others = ~test if count > 1 else test
            calibration, thresholds = self._fit(scored[others], names[others], targets[others])
            probabilities = calibration.probabilities(scored[test], names[test])
            f1.append(f1_scores(targets[test], choose(probabilities, thresholds, exclusive=self._exclusive)))
        micro, macro = np.array(f1).T
        calibration, thresholds = self._fit(scored, names, targets)
        log_loss = calibration.log_loss(scored, names, targets)
        return CrossValidation(estimator, scores, micro, macro, log_loss, calibration, thresholds)

    def _fit(
        self, scores: NDArray[np.float32], names: NDArray[np.float32], targets: NDArray[np.bool_]
    ) -> tuple[Calibration, NDArray[np.float32]]:
        calibration = Calibration.fit(scores, names, targets, exclusive=self._exclusive)
        probabilities = calibration.probabilities(scores, names)
        return calibration, choose_thresholds(probabilities, targets, exclusive=self._exclusive)


def _mean_and_spread(differences: NDArray[np.float64]) -> tuple[float, float]:
    return float(differences.mean()), float(differences.std(ddof=1)) if len(differences) > 1 else 0.0


def _mean_f1(result: CrossValidation) -> float:
    return float(result.f1.mean())


def _choose(results: Sequence[CrossValidation], validator: _Validator) -> CrossValidation:
    fast = [result for result in results if not result.estimator.slow]
    if not fast:
        return max(results, key=_mean_f1)
    best = max(fast, key=_mean_f1)
    # Where F1 does not tell which is best, log-loss does: it varies less from fold to fold.
    equals = [result for result in fast if operator.le(*validator.difference(best, result))]
    best = min(equals, key=lambda result: result.log_loss)
    for result in results:
        if result.estimator.slow and len(result.micro) > 1:
            lead, spread = validator.difference(result, best)
            if lead > max(spread, _LEAST_GAIN):
                best = result
    return best


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The quality on notes that took no part in training, model selection or calibration.

    Attributes:
        split: How they were chosen: at random, or the newest.
        notes: How many there are.
        micro_f1: Over all suggestions.
        macro_f1: Mean over the labels.
        precision: The share of suggestions that are right.
        recall: The share of labels that are suggested.
        untagged: The share of notes that no label is suggested for.
        calibration_error: See `calibration_error`.
        labels: Each label by itself.
        bins: See `calibration_bins`.
        confusions: See `find_confusions`.
    """

    split: TestSplit
    notes: int
    micro_f1: float
    macro_f1: float
    precision: float
    recall: float
    untagged: float
    calibration_error: float
    labels: tuple[LabelMeasures, ...]
    bins: tuple[Bin, ...]
    confusions: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class Trained:
    """The result of training.

    Attributes:
        heads: Fitted to all examples.
        calibration: Of their scores.
        thresholds: From which probability on each label is suggested, float32 `(labels,)`.
        selection: How the estimator was chosen.
        held_out: How good it is.
        seconds: Wall-clock time.
    """

    heads: Heads
    calibration: Calibration
    thresholds: NDArray[np.float32]
    selection: Selection
    held_out: HeldOut
    seconds: float


def train(
    estimators: Sequence[Estimator], features: Features, *, test_split: TestSplit, seed: int, progress: Progress
) -> Trained:
    """Chooses an estimator by cross-validation, tests it, and fits it to all examples.

    Args:
        estimators: The candidates, fast ones first.
        features: Of the examples.
        test_split: Whether the notes of the test are chosen at random or are the newest.
        seed: Of all random numbers.
        progress: Told what is being done.

    Raises:
        KeyboardInterrupt: The user wanted to stop before the first estimator was done.
    """
    started = time.monotonic()
    targets = features.targets
    every = np.arange(len(targets))
    test = _test_rows(features.examples, test_split, seed)
    rest = np.setdiff1d(every, test)
    selection = select(estimators, features, rest, _folds(targets[rest], seed), progress)
    best = selection.best
    held_out = _test(best, features, rest, test, test_split)
    heads = best.estimator.fit(every)
    if not best.estimator.slow:  # the test is over, so calibration may use the notes held out
        best = cross_validate(best.estimator, features, every, _folds(targets, seed))
    return Trained(heads, best.calibration, best.thresholds, selection, held_out, time.monotonic() - started)


def _folds(targets: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    return assign_folds(targets, min(_FOLDS, len(targets)), seed)


def _test_rows(examples: Examples, split: TestSplit, seed: int) -> Rows:
    if split == "random":
        return np.flatnonzero(assign_folds(examples.targets, min(_TEST_SHARE, len(examples.targets)), seed) == 0)
    dates = [content.date for content in examples.contents]
    newest = sorted(range(len(dates)), key=lambda row: (dates[row], row), reverse=True)
    return np.array(sorted(newest[: max(1, len(dates) // _TEST_SHARE)]), dtype=np.int64)


def _test(best: CrossValidation, features: Features, rest: Rows, test: Rows, split: TestSplit) -> HeldOut:
    examples, targets = features.examples, features.targets[test]
    scores = best.estimator.score(rest, test)
    probabilities = best.calibration.probabilities(scores, features.names[test] * best.estimator.uses_names)
    chosen = choose(probabilities, best.thresholds, exclusive=examples.exclusive)
    micro, macro = f1_scores(targets, chosen)
    right = int((targets & chosen).sum())
    bins = calibration_bins(probabilities, targets)
    return HeldOut(
        split=split,
        notes=len(test),
        micro_f1=micro,
        macro_f1=macro,
        precision=right / max(1, int(chosen.sum())),
        recall=right / max(1, int(targets.sum())),
        untagged=float((~chosen.any(axis=1)).mean()),
        calibration_error=calibration_error(bins),
        labels=measure_labels(examples.labels, targets, chosen, best.thresholds),
        bins=bins,
        confusions=find_confusions(examples.labels, targets, chosen),
    )
