"""From labelled notes to a classifier: model selection, a test on notes held out, and a last fit to all notes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from notesearch.tagging.calibration import Calibration, choose
from notesearch.tagging.contest import CrossValidation, Progress, Selection, cross_validate, select
from notesearch.tagging.folds import assign_folds
from notesearch.tagging.heads import Heads
from notesearch.tagging.labels import Examples
from notesearch.tagging.learners import Estimator, Features
from notesearch.tagging.measures import (
    Bin,
    LabelMeasures,
    calibration_bins,
    calibration_error,
    f1_scores,
    find_confusions,
    measure_labels,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

TestSplit = Literal["random", "time"]

_FOLDS = 5
# One in so many notes is held out for the test.
_TEST_SHARE = 5


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
