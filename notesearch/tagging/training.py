"""From labelled notes to a classifier: contest, test on notes held out, and learning from all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from notesearch.tagging.calibration import Calibration, choose
from notesearch.tagging.contest import Contest, Entry, Progress, cross_validate, hold_contest
from notesearch.tagging.folds import assign_folds
from notesearch.tagging.heads import Heads
from notesearch.tagging.labels import Examples
from notesearch.tagging.learners import Learner, Material
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
# One in so many notes is held out to test on.
_TEST_SHARE = 5


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How good the winner is on notes that nothing was learnt from, chosen by or fitted to.

    Attributes:
        split: How they were chosen: at random, or the newest.
        notes: How many there are.
        micro_f1: Over all suggestions.
        macro_f1: Mean over the labels.
        precision: The share of suggestions that are right.
        recall: The share of labels that are suggested.
        untagged: The share of notes that no label is suggested for.
        calibration_error: See `measures.calibration_error`.
        labels: Each label by itself.
        bins: See `measures.calibration_bins`.
        confusions: See `measures.find_confusions`.
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
    """A classifier just trained.

    Attributes:
        heads: What was learnt from all examples.
        calibration: What its scores mean.
        thresholds: From which probability on each label is suggested, float32 `(labels,)`.
        contest: How it was chosen.
        held_out: How good it is.
        seconds: Wall-clock time.
    """

    heads: Heads
    calibration: Calibration
    thresholds: NDArray[np.float32]
    contest: Contest
    held_out: HeldOut
    seconds: float


def train(
    learners: Sequence[Learner], material: Material, *, test_split: TestSplit, seed: int, progress: Progress
) -> Trained:
    """Chooses among learners by cross-validation, tests the best, and lets it learn from all examples.

    Args:
        learners: Those that compete, fast ones first.
        material: What to learn from.
        test_split: Whether the notes to test on are chosen at random or are the newest.
        seed: Of all that is random.
        progress: Told what is being done.

    Raises:
        KeyboardInterrupt: The user wanted to stop before any learner was done.
    """
    started = time.monotonic()
    targets = material.targets
    every = np.arange(len(targets))
    test = _test_rows(material.examples, test_split, seed)
    rest = np.setdiff1d(every, test)
    contest = hold_contest(learners, material, rest, _folds(targets[rest], seed), progress)
    winner = contest.winner
    held_out = _test(winner, material, rest, test, test_split)
    heads = winner.learner.learn(every)
    # The notes held out have done their duty: now they count, too.
    final = winner if winner.learner.slow else cross_validate(winner.learner, material, every, _folds(targets, seed))
    return Trained(heads, final.calibration, final.thresholds, contest, held_out, time.monotonic() - started)


def _folds(targets: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    return assign_folds(targets, min(_FOLDS, len(targets)), seed)


def _test_rows(examples: Examples, split: TestSplit, seed: int) -> Rows:
    if split == "random":
        return np.flatnonzero(assign_folds(examples.targets, min(_TEST_SHARE, len(examples.targets)), seed) == 0)
    dates = [content.date for content in examples.contents]
    newest = sorted(range(len(dates)), key=lambda row: (dates[row], row), reverse=True)
    return np.array(sorted(newest[: max(1, len(dates) // _TEST_SHARE)]), dtype=np.int64)


def _test(winner: Entry, material: Material, rest: Rows, test: Rows, split: TestSplit) -> HeldOut:
    examples, targets = material.examples, material.targets[test]
    scores = winner.learner.score(rest, test)
    probabilities = winner.calibration.probabilities(scores, material.hints[test] * winner.learner.hinted)
    chosen = choose(probabilities, winner.thresholds, exclusive=examples.exclusive)
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
        labels=measure_labels(examples.labels, targets, chosen, winner.thresholds),
        bins=bins,
        confusions=find_confusions(examples.labels, targets, chosen),
    )
