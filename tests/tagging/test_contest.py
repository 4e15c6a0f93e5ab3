from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from notesearch.tagging.calibration import Calibration
from notesearch.tagging.estimators import Heads, Material
from notesearch.tagging.features import Content
from notesearch.tagging.labels import Labelled, choose_labels
from notesearch.tagging.selection import Contest, hold_contest

pytest_plugins = ["tagging_fixtures"]
pytestmark = pytest.mark.usefixtures("one_thread")

ROWS = np.arange(100)
FOLDS = ROWS % 5


@pytest.fixture(scope="module")
def material() -> Material:
    """Notes in five folds of twenty, each with ten of `a` and ten of `b`."""
    notes = [Labelled(Content("", "", "", (), "", ()), ("ab"[row // 5 % 2],)) for row in ROWS]
    return Material(choose_labels(notes, 2), np.ones((100, 1), dtype=np.float32), np.ones((2, 1), dtype=np.float32))


@dataclass(frozen=True, eq=False)
class Oracle:
    """Knows the labels of all notes, but is wrong about so many of each fold.

    It is as sure as `sure` says about these and as many others.
    """

    material: Material
    wrong: tuple[int, ...]
    name: str = "oracle"
    slow: bool = False
    others: tuple["Oracle", ...] = ()
    interrupted: bool = False
    sure: float = 1.0
    hinted = False

    def variants(self) -> Sequence["Oracle"]:
        return (self, *self.others)

    def score(self, train: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[np.float32]:
        if self.interrupted:
            raise KeyboardInterrupt
        assert not set(train) & set(test)
        wrong = np.array(self.wrong)[test % 5]
        is_wrong, is_unsure = test // 5 < wrong, test // 5 < 2 * wrong
        scores = (self.material.targets[test] != is_wrong[:, np.newaxis]).astype(np.float32)
        return np.where(is_unsure[:, np.newaxis], scores * np.float32(self.sure), scores)

    def learn(self, train: NDArray[np.int64]) -> Heads:
        raise AssertionError("a contest learns nothing for good")


def nothing_told(what: str, done: int, total: int) -> None:
    pass


def held(*learners: Oracle) -> Contest:
    return hold_contest(learners, learners[0].material, ROWS, FOLDS, nothing_told)


def test_a_lead_is_a_mean_and_a_spread_over_the_folds(material: Material) -> None:
    contest = held(Oracle(material, wrong=(4, 4, 6, 6, 8)), Oracle(material, wrong=(2,) * 5))
    # F1 is 0.9 in each fold against 0.8, 0.8, 0.7, 0.7, 0.6.
    assert contest.lead == pytest.approx(0.18, abs=0.01)
    assert contest.lead_spread == pytest.approx(np.std([0.1, 0.1, 0.2, 0.2, 0.3], ddof=1), abs=0.01)


def test_f1_of_each_fold_is_that_of_suggestions_made_out_of_fold(material: Material) -> None:
    (only,) = held(Oracle(material, wrong=(0, 2, 4, 6, 8))).entries
    np.testing.assert_allclose(only.micro, [1, 0.9, 0.8, 0.7, 0.6])
    np.testing.assert_allclose(only.macro, [1, 0.9, 0.8, 0.7, 0.6], atol=0.01)
    right = only.calibration.probabilities(np.eye(2, dtype=np.float32), np.zeros((2, 2, 2), dtype=np.float32))
    np.testing.assert_allclose(right.diagonal(), 0.8, atol=0.01)
    assert only.seconds > 0


@pytest.mark.parametrize(
    ("slow", "wrong", "wins"),
    [
        (True, (2, 2, 2, 2, 2), True),
        (True, (0, 6, 1, 6, 2), False),
        (False, (0, 6, 1, 6, 2), True),
        (True, (6, 6, 6, 6, 6), False),
        (False, (6, 6, 6, 6, 6), False),
        (False, (4, 4, 4, 4, 4), False),
    ],
)
def test_a_slow_learner_must_be_ahead_by_more_than_the_spread(
    material: Material, slow: bool, wrong: tuple[int, ...], wins: bool
) -> None:
    first, second = Oracle(material, wrong=(4,) * 5), Oracle(material, wrong, slow=slow)
    contest = held(first, second)
    assert [own.learner for own in contest.entries] == [first, second]
    assert contest.winner.learner is (second if wins else first)
    assert contest.runner_up is not None and contest.runner_up.learner is (first if wins else second)
    assert not contest.interrupted


def test_a_slow_learner_is_held_against_the_slow_one_that_leads(material: Material) -> None:
    fast, better, hardly_better = (
        Oracle(material, wrong, slow=slow)
        for wrong, slow in (((6,) * 5, False), ((2,) * 5, True), ((0, 3, 0, 3, 3), True))
    )
    assert held(fast, better, hardly_better).winner.learner is better


@pytest.mark.parametrize(("ahead", "wins"), [((1, 2, 2, 2, 2), False), ((1,) * 5, True)])
def test_of_fast_learners_that_f1_does_not_tell_apart_the_one_with_the_likeliest_labels_wins(
    material: Material, ahead: tuple[int, ...], wins: bool
) -> None:
    doubtful, confident = Oracle(material, (2, 3, 2, 1, 2), sure=0.2), Oracle(material, ahead)
    for learners in ((doubtful, confident), (confident, doubtful)):
        contest = held(*learners)
        surprise = {own.learner: own.surprise for own in contest.entries}
        assert surprise[doubtful] < surprise[confident]
        assert contest.winner.learner is (confident if wins else doubtful)
        assert (contest.lead > 0) == wins, "the winner need not be the one of the highest F1"


def test_a_slow_learner_must_be_ahead_by_more_than_a_trifle(
    material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast, slow = Oracle(material, wrong=(4,) * 5), Oracle(material, wrong=(3,) * 5, slow=True)
    assert held(fast, slow).winner.learner is slow
    monkeypatch.setattr("notesearch.tagging.selection._LEAST_LEAD", 0.06)
    assert held(fast, slow).winner.learner is fast


@pytest.mark.parametrize(("wrong", "folds"), [((4, 0, 0, 0, 0), 2), ((5, 0, 0, 0, 0), 1)])
def test_a_slow_learner_without_hope_on_the_first_fold_is_tried_on_no_other(
    material: Material, wrong: tuple[int, ...], folds: int
) -> None:
    best, worse = Oracle(material, wrong=(4,) * 5), Oracle(material, wrong=(10,) * 5)
    slow = Oracle(material, wrong, slow=True)
    contest = held(best, worse, slow)
    assert [len(own.f1) for own in contest.entries] == [5, 5, folds]
    assert contest.winner.learner is best
    # What is held against nothing is tried on both folds.
    assert len(held(slow).winner.f1) == 2


def test_a_slow_learner_is_tried_on_the_first_folds_only_and_so_is_what_it_is_held_against(material: Material) -> None:
    fast, slow = Oracle(material, wrong=(6, 6, 0, 0, 0)), Oracle(material, wrong=(2, 2, 20, 20, 20), slow=True)
    contest = held(fast, slow)
    assert [len(own.f1) for own in contest.entries] == [5, 2]
    np.testing.assert_allclose(contest.entries[1].micro, [0.9, 0.9])
    assert contest.winner.learner is slow


def test_a_single_learner_wins_and_there_is_no_runner_up(material: Material) -> None:
    contest = held(Oracle(material, wrong=(4,) * 5, slow=True))
    assert contest.winner is contest.entries[0]
    assert contest.runner_up is None


def test_settings_are_chosen_by_how_likely_they_make_the_labels(
    material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    best, worse = (Oracle(material, wrong) for wrong in ((1,) * 5, (5,) * 5))
    learner = Oracle(material, wrong=(3,) * 5, others=(best, worse))
    told: list[tuple[str, int, int]] = []
    contest = hold_contest([learner], material, ROWS, FOLDS, lambda *what: told.append(what))
    assert contest.winner.learner is best
    assert told == [("oracle", done, 3) for done in range(4)]
    monkeypatch.setattr("notesearch.tagging.selection._MOST_EXAMPLES_TO_CHOOSE_BY", 99)
    assert held(learner).winner.learner is learner


def test_only_the_rows_that_take_part_are_seen(material: Material) -> None:
    learner = Oracle(material, wrong=(2, 2, 2, 20, 20))
    rows = ROWS[FOLDS < 3]
    contest = hold_contest([learner], material, rows, FOLDS[rows], nothing_told)
    np.testing.assert_allclose(contest.winner.micro, [0.9, 0.9, 0.9])


def test_what_is_done_is_kept_when_the_user_interrupts(material: Material) -> None:
    done = Oracle(material, wrong=(4,) * 5)
    interrupted = replace(done, interrupted=True)
    halfway = replace(done, wrong=(1,) * 5, others=(interrupted,))
    for stopped in (interrupted, halfway):
        contest = held(done, stopped, replace(done, wrong=(2,) * 5))
        assert [own.learner for own in contest.entries] == [done]
        assert contest.winner.learner is done and contest.interrupted
    with pytest.raises(KeyboardInterrupt):
        held(interrupted, done)


def test_an_entry_holds_what_its_scores_mean(material: Material) -> None:
    winner = held(Oracle(material, wrong=(4,) * 5)).winner
    assert isinstance(winner.calibration, Calibration) and winner.calibration.exclusive
    assert winner.calibration.frequencies == (0.5, 0.5)
    assert winner.thresholds.shape == (2,)
    scores, hints = Oracle(material, wrong=(4,) * 5).score(ROWS[:0], ROWS), np.zeros((100, 2, 2), dtype=np.float32)
    np.testing.assert_array_equal(winner.scores, scores)
    assert winner.surprise == pytest.approx(winner.calibration.surprise(scores, hints, material.targets))
