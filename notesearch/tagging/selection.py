"""Model selection by cross-validation, and the training of what was selected."""

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
from notesearch.tagging.estimators import Heads, Learner, Material
from notesearch.tagging.labels import Examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]


def assign_folds(targets: NDArray[np.bool_], count: int, seed: int) -> NDArray[np.int64]:
    """Deals examples out to folds, the rarest label first (iterative stratification, Sechidis et al. 2011).

    Args:
        targets: `(n, labels)`.
        count: Folds, ≥ 1.
        seed: The same seed deals the same way.

    Returns:
        The fold of each example, int64 `(n,)`, from 0.
    """
    generator = np.random.default_rng(seed)
    folds = np.full(len(targets), -1, dtype=np.int64)
    # A label of all examples, and so the last one, stands for those that have no other.
    labels = np.column_stack([targets, np.ones(len(targets), dtype=bool)])
    held = np.zeros((count, labels.shape[1]), dtype=np.int64)
    for label in np.argsort(labels.sum(axis=0), kind="stable"):
        for row in generator.permutation(np.flatnonzero(labels[:, label] & (folds < 0))):
            # The fold that has the fewest of this label, among these the smallest, among these any.
            folds[row] = np.lexsort((generator.random(count), held[:, -1], held[:, label]))[0]
            held[folds[row]] += labels[row]
    return folds


# A fair contest of learners: all are scored on the same folds, with the settings that serve each best.

# Slow learners are compared on the first folds only, with the fast ones on the same folds;
_SLOW_FOLDS = 2
# and only on the first, where one trails by so much there.
_HOPELESS = 0.02
# What two folds say is not much: a slow learner must be ahead by more than this, too. Leads of .01 were not borne out
# on other notes, and a second encoder makes tagging take twice as long.
_LEAST_LEAD = 0.02
# Beyond this many examples, the settings that serve most collections have to do.
_MOST_EXAMPLES_TO_CHOOSE_BY = 3000

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How a learner fared.

    Attributes:
        learner: The learner, with the settings that served it best.
        scores: Out of fold, float32 `(n, labels)`.
        micro: Micro-F1 of each fold, by calibration and thresholds fitted on the others.
        macro: Macro-F1 of each fold, likewise.
        surprise: See `Calibration.surprise`; the lower the better.
        calibration: What its scores mean.
        thresholds: From which probability on each label is suggested.
        seconds: Wall-clock time, trials of settings included.
    """

    learner: Learner
    scores: NDArray[np.float32]
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
        runner_up: The best of the others, if there are any.
        lead: By how much the winner is ahead of it: mean of the difference in F1 over the folds that both ran on.
        lead_spread: The standard deviation of this difference.
        interrupted: Whether it was ended before all had run.
    """

    entries: tuple[Entry, ...]
    winner: Entry
    runner_up: Entry | None
    lead: float
    lead_spread: float
    interrupted: bool = False


def hold_contest(
    learners: Sequence[Learner], material: Material, rows: Rows, folds: NDArray[np.int64], progress: Progress
) -> Contest:
    """Cross-validates learners and chooses one.

    Of the fast learners that are within the spread of the best, the one with the likeliest labels wins; a slow learner
    must be ahead of it by more than the spread.

    Args:
        learners: Those that compete; fast ones first.
        material: What they learn from.
        rows: The examples that take part.
        folds: The fold of each of these, `(len(rows),)`.
        progress: Told about each learner.

    Raises:
        KeyboardInterrupt: The user wanted to stop before any learner was done.
    """
    arena = _Arena(material, rows, folds)
    entries: list[Entry] = []
    interrupted = False
    for learner in learners:
        fast = [entry for entry in entries if not entry.learner.slow]
        try:
            entries.append(arena.enter(learner, max(fast, key=_mean_f1, default=None), progress))
        except KeyboardInterrupt:
            if not entries:
                raise
            interrupted = True
            break
    winner = _winner(entries, arena)
    others = [entry for entry in entries if entry is not winner]
    runner_up = max(others, key=lambda entry: -arena.lead(winner, entry)[0], default=None)
    margin, spread = arena.lead(winner, runner_up) if runner_up else (0.0, 0.0)
    return Contest(tuple(entries), winner, runner_up, margin, spread, interrupted)


def cross_validate(learner: Learner, material: Material, rows: Rows, folds: NDArray[np.int64]) -> Entry:
    """Scores each fold by what was learnt from the others, and finds the calibration and thresholds for these scores.

    Args:
        learner: The learner.
        material: What it learns from.
        rows: The examples that take part.
        folds: The fold of each of these, `(len(rows),)`.
    """
    return _Arena(material, rows, folds).enter_fast(learner)


class _Arena:
    """The examples and folds on which learners compete."""

    def __init__(self, material: Material, rows: Rows, folds: NDArray[np.int64]) -> None:
        self._material = material
        self._rows = rows
        self._folds = folds
        self._count = int(folds.max()) + 1

    def enter(self, learner: Learner, rival: Entry | None, progress: Progress) -> Entry:
        """Cross-validates a learner in each of its settings, and keeps those under which the labels are likeliest.

        Args:
            learner: The learner.
            rival: The best fast one so far, which a slow one is compared with.
            progress: Told about the settings tried.
        """
        variants = learner.variants() if len(self._rows) <= _MOST_EXAMPLES_TO_CHOOSE_BY else (learner,)
        started = time.monotonic()
        entries = []
        for done, variant in enumerate(variants):
            progress(learner.name, done, len(variants))
            entries.append(self._enter_slow(variant, rival) if learner.slow else self.enter_fast(variant))
        progress(learner.name, len(variants), len(variants))
        most_folds = max(len(entry.micro) for entry in entries)
        best = min((e for e in entries if len(e.micro) == most_folds), key=lambda entry: entry.surprise)
        return replace(best, seconds=time.monotonic() - started)

    def enter_fast(self, learner: Learner) -> Entry:
        """Cross-validates a learner on all folds."""
        return self.assess(learner, self.score(learner, range(self._count)), self._count)

    def _enter_slow(self, learner: Learner, rival: Entry | None) -> Entry:
        scores = self.score(learner, range(1))
        entry = self.assess(learner, scores, 1)
        if rival is not None and self.lead(entry, rival)[0] < -_HOPELESS:
            return entry
        count = min(_SLOW_FOLDS, self._count)
        return self.assess(learner, scores + self.score(learner, range(1, count)), count)

    def score(self, learner: Learner, folds: range) -> NDArray[np.float32]:
        """Scores the examples in some folds by what was learnt from all others; the rest of the rows is 0."""
        scores = np.zeros((len(self._rows), self._material.targets.shape[1]), dtype=np.float32)
        for fold in folds:
            test = self._folds == fold
            scores[test] = learner.score(self._rows[~test], self._rows[test])
        return scores

    def assess(self, learner: Learner, scores: NDArray[np.float32], count: int) -> Entry:
        """Measures scores in the first folds: F1 in each by the calibration and thresholds that suit the others."""
        among = self._folds < count
        scored, folds, rows = scores[among], self._folds[among], self._rows[among]
        hints, targets = self._material.hints[rows] * learner.hinted, self._material.targets[rows]
        f1 = []
        for fold in range(count):
            test = folds == fold
            others = ~test if count > 1 else test
            calibration, thresholds = self._fit(scored[others], hints[others], targets[others])
            probabilities = calibration.probabilities(scored[test], hints[test])
            f1.append(f1_scores(targets[test], choose(probabilities, thresholds, exclusive=self._exclusive)))
        micro, macro = np.array(f1).T
        calibration, thresholds = self._fit(scored, hints, targets)
        surprise = calibration.surprise(scored, hints, targets)
        return Entry(learner, scores, micro, macro, surprise, calibration, thresholds)

    def lead(self, first: Entry, second: Entry) -> tuple[float, float]:
        """By how much one is ahead of another on the folds that both ran on: mean and standard deviation."""
        count = min(len(first.micro), len(second.micro))
        own, other = (
            entry if len(entry.micro) == count else self.assess(entry.learner, entry.scores, count)
            for entry in (first, second)
        )
        return _mean_and_spread(own.f1 - other.f1)

    @property
    def _exclusive(self) -> bool:
        return self._material.examples.exclusive

    def _fit(
        self, scores: NDArray[np.float32], hints: NDArray[np.float32], targets: NDArray[np.bool_]
    ) -> tuple[Calibration, NDArray[np.float32]]:
        calibration = Calibration.fit(scores, hints, targets, exclusive=self._exclusive)
        probabilities = calibration.probabilities(scores, hints)
        return calibration, choose_thresholds(probabilities, targets, exclusive=self._exclusive)


def _mean_and_spread(differences: NDArray[np.float64]) -> tuple[float, float]:
    return float(differences.mean()), float(differences.std(ddof=1)) if len(differences) > 1 else 0.0


def _mean_f1(entry: Entry) -> float:
    return float(entry.f1.mean())


def _winner(entries: Sequence[Entry], arena: _Arena) -> Entry:
    fast = [entry for entry in entries if not entry.learner.slow]
    if not fast:
        return max(entries, key=_mean_f1)
    best = max(fast, key=_mean_f1)
    # Where F1 does not tell which is best, likelihood does: it changes less from fold to fold.
    equals = [entry for entry in fast if operator.le(*arena.lead(best, entry))]
    best = min(equals, key=lambda entry: entry.surprise)
    for entry in entries:
        if entry.learner.slow and len(entry.micro) > 1:
            margin, spread = arena.lead(entry, best)
            if margin > max(spread, _LEAST_LEAD):
                best = entry
    return best


# From labelled notes to a classifier: contest, test on notes held out, and learning from all of them.


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
