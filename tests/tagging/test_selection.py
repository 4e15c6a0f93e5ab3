from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from notesearch.records import TestSplit
from notesearch.tagging.calibration import Bin, LabelMeasures
from notesearch.tagging.estimators import Features, Heads, fast_estimators
from notesearch.tagging.features import Content
from notesearch.tagging.labels import Labelled, choose_labels
from notesearch.tagging.selection import Selection, Trained, assign_folds, select, train

COUNTS = st.integers(1, 6)
SEEDS = st.integers(0, 2**32)


def spread_of(folds: NDArray[np.int64], own: NDArray[np.bool_], count: int) -> int:
    """How many more examples the fullest fold has than the emptiest."""
    return int(np.ptp(np.bincount(folds[own], minlength=count)))


@given(st.lists(st.integers(0, 4), max_size=60), COUNTS, SEEDS)
def test_where_a_note_has_one_label_each_label_is_spread_evenly(labels: list[int], count: int, seed: int) -> None:
    targets = np.array(labels, dtype=np.int64)[:, np.newaxis] == np.arange(5)
    folds = assign_folds(targets, count, seed)
    assert folds.shape == (len(labels),)
    assert set(folds.tolist()) <= set(range(count))
    assert all(spread_of(folds, own, count) <= 1 for own in targets.T)


@given(st.lists(st.tuples(*[st.booleans()] * 3), min_size=1, max_size=40), COUNTS, SEEDS)
def test_every_example_is_in_a_fold_the_rarest_label_evenly(rows: list[tuple[bool]], count: int, seed: int) -> None:
    targets = np.array(rows)
    folds = assign_folds(targets, count, seed)
    assert folds.min() >= 0 and folds.max() < count
    assert spread_of(folds, targets[:, targets.sum(axis=0).argmin()], count) <= 1
    np.testing.assert_array_equal(folds, assign_folds(targets, count, seed))


def test_labels_that_overlap_are_spread_nearly_evenly() -> None:
    targets = np.random.default_rng(0).random((300, 8)) < np.linspace(0.02, 0.4, 8)
    folds = assign_folds(targets, 5, seed=0)
    assert max(spread_of(folds, own, 5) for own in targets.T) <= 3
    assert spread_of(folds, np.ones(300, dtype=bool), 5) <= 6


pytest_plugins = ["tagging_fixtures"]
pytestmark = pytest.mark.usefixtures("one_thread")

ROWS = np.arange(100)
FOLDS = ROWS % 5


def notes_about(count: int) -> Features:
    """So many notes in five folds, half of each with the label `a` and half with `b`."""
    notes = [Labelled(Content("", "", "", (), "", ()), ("ab"[row // 5 % 2],)) for row in range(count)]
    return Features(choose_labels(notes, 2), np.ones((count, 1), dtype=np.float32), np.ones((2, 1), dtype=np.float32))


@pytest.fixture(scope="module")
def features() -> Features:
    return notes_about(100)


@dataclass(frozen=True, eq=False)
class Oracle:
    """Knows the labels of all notes, but is wrong about so many of each fold.

    It is as sure as `sure` says about these and as many others.
    """

    features: Features
    wrong: tuple[int, ...]
    name: str = "oracle"
    slow: bool = False
    others: tuple["Oracle", ...] = ()
    interrupted: bool = False
    sure: float = 1.0
    uses_names = False

    def variants(self) -> Sequence["Oracle"]:
        return (self, *self.others)

    def score(self, train: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[np.float32]:
        if self.interrupted:
            raise KeyboardInterrupt
        assert not set(train) & set(test)
        wrong = np.array(self.wrong)[test % 5]
        is_wrong, is_unsure = test // 5 < wrong, test // 5 < 2 * wrong
        scores = (self.features.targets[test] != is_wrong[:, np.newaxis]).astype(np.float32)
        return np.where(is_unsure[:, np.newaxis], scores * np.float32(self.sure), scores)

    def fit(self, train: NDArray[np.int64]) -> Heads:
        raise AssertionError("model selection fits nothing for good")


def nothing_told(what: str, done: int, total: int) -> None:
    pass


def held(*estimators: Oracle) -> Selection:
    rows = np.arange(len(estimators[0].features.targets))
    return select(estimators, estimators[0].features, rows, rows % 5, nothing_told)


def test_the_lead_is_a_mean_with_a_standard_deviation_over_the_folds(features: Features) -> None:
    found = held(Oracle(features, wrong=(4, 4, 6, 6, 8)), Oracle(features, wrong=(2,) * 5))
    # F1 is 0.9 in each fold against 0.8, 0.8, 0.7, 0.7, 0.6.
    assert found.lead == pytest.approx(0.18, abs=0.01)
    assert found.lead_spread == pytest.approx(np.std([0.1, 0.1, 0.2, 0.2, 0.3], ddof=1), abs=0.01)


def test_f1_of_each_fold_is_measured_out_of_fold(features: Features) -> None:
    (only,) = held(Oracle(features, wrong=(0, 2, 4, 6, 8))).results
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
def test_a_slow_estimator_must_be_better_by_more_than_the_standard_deviation(
    features: Features, slow: bool, wrong: tuple[int, ...], wins: bool
) -> None:
    first, second = Oracle(features, wrong=(4,) * 5), Oracle(features, wrong, slow=slow)
    found = held(first, second)
    assert [own.estimator for own in found.results] == [first, second]
    assert found.best.estimator is (second if wins else first)
    assert found.runner_up is not None and found.runner_up.estimator is (first if wins else second)
    assert not found.interrupted


def test_a_slow_estimator_is_compared_with_the_best_slow_one(features: Features) -> None:
    fast, better, hardly_better = (
        Oracle(features, wrong, slow=slow)
        for wrong, slow in (((6,) * 5, False), ((2,) * 5, True), ((0, 3, 0, 3, 3), True))
    )
    assert held(fast, better, hardly_better).best.estimator is better


@pytest.mark.parametrize(("ahead", "wins"), [((1, 2, 2, 2, 2), False), ((1,) * 5, True)])
def test_among_fast_estimators_of_like_f1_the_lowest_log_loss_wins(
    features: Features, ahead: tuple[int, ...], wins: bool
) -> None:
    doubtful, confident = Oracle(features, (2, 3, 2, 1, 2), sure=0.2), Oracle(features, ahead)
    for estimators in ((doubtful, confident), (confident, doubtful)):
        found = held(*estimators)
        log_loss = {own.estimator: own.log_loss for own in found.results}
        assert log_loss[doubtful] < log_loss[confident]
        assert found.best.estimator is (confident if wins else doubtful)
        assert (found.lead > 0) == wins, "the best need not be the one of the highest F1"


@pytest.mark.parametrize(("wrong", "wins"), [(36, False), (34, True)])
def test_a_slow_estimator_must_be_better_by_more_than_two_points(wrong: int, wins: bool) -> None:
    """Of 200 notes in each fold, the fast one is wrong about 40."""
    features = notes_about(1000)
    fast, slow = Oracle(features, wrong=(40,) * 5), Oracle(features, wrong=(wrong,) * 5, slow=True)
    assert held(fast, slow).best.estimator is (slow if wins else fast)


@pytest.mark.parametrize(("wrong", "folds"), [((4, 0, 0, 0, 0), 2), ((5, 0, 0, 0, 0), 1)])
def test_a_slow_estimator_that_is_much_worse_on_the_first_fold_is_tried_on_no_other(
    features: Features, wrong: tuple[int, ...], folds: int
) -> None:
    best, worse = Oracle(features, wrong=(4,) * 5), Oracle(features, wrong=(10,) * 5)
    slow = Oracle(features, wrong, slow=True)
    found = held(best, worse, slow)
    assert [len(own.f1) for own in found.results] == [5, 5, folds]
    assert found.best.estimator is best
    # What is held against nothing is tried on both folds.
    assert len(held(slow).best.f1) == 2


def test_a_slow_estimator_is_compared_on_the_first_two_folds(features: Features) -> None:
    fast, slow = Oracle(features, wrong=(6, 6, 0, 0, 0)), Oracle(features, wrong=(2, 2, 20, 20, 20), slow=True)
    found = held(fast, slow)
    assert [len(own.f1) for own in found.results] == [5, 2]
    np.testing.assert_allclose(found.results[1].micro, [0.9, 0.9])
    assert found.best.estimator is slow


def test_hyperparameters_are_chosen_by_log_loss(features: Features) -> None:
    best, worse = (Oracle(features, wrong) for wrong in ((1,) * 5, (5,) * 5))
    estimator = Oracle(features, wrong=(3,) * 5, others=(best, worse))
    told: list[tuple[str, int, int]] = []
    found = select([estimator], features, ROWS, FOLDS, lambda *what: told.append(what))
    assert found.best.estimator is best
    assert told == [("oracle", done, 3) for done in range(4)]


def test_with_very_many_notes_the_default_hyperparameters_are_taken() -> None:
    many = notes_about(3001)
    estimator = Oracle(many, wrong=(300,) * 5, others=(Oracle(many, wrong=(100,) * 5),))
    assert held(estimator).best.estimator is estimator


def test_only_the_rows_that_take_part_are_seen(features: Features) -> None:
    estimator = Oracle(features, wrong=(2, 2, 2, 20, 20))
    rows = ROWS[FOLDS < 3]
    found = select([estimator], features, rows, FOLDS[rows], nothing_told)
    np.testing.assert_allclose(found.best.micro, [0.9, 0.9, 0.9])


def test_what_is_done_is_kept_when_the_user_interrupts(features: Features) -> None:
    done = Oracle(features, wrong=(4,) * 5)
    interrupted = replace(done, interrupted=True)
    halfway = replace(done, wrong=(1,) * 5, others=(interrupted,))
    for stopped in (interrupted, halfway):
        found = held(done, stopped, replace(done, wrong=(2,) * 5))
        assert [own.estimator for own in found.results] == [done]
        assert found.best.estimator is done and found.interrupted
    with pytest.raises(KeyboardInterrupt):
        held(interrupted, done)


Rows = NDArray[np.int64]
# The newest of fifty notes, in the order of their rows.
NEWEST = [row for row in range(50) if row * 7 % 50 >= 40]


def features_of(labels: Sequence[str]) -> Features:
    """A note for each of these, dated so that they are in no order."""
    contents = [
        Content(f"/{row}.md", "", f"20{row * 7 % 50:02}-01-01T00:00:00", (), f"text {row % 3}", ("",))
        for row in range(len(labels))
    ]
    notes = [Labelled(content, tuple(own)) for content, own in zip(contents, labels, strict=True)]
    examples = choose_labels(notes, 2)
    vectors = np.eye(4, dtype=np.float32)[np.arange(len(labels)) % 4]
    return Features(examples, vectors, np.eye(4, dtype=np.float32)[: len(examples.labels)])


@pytest.fixture
def two_labels() -> Features:
    return features_of(["ab"[row % 2] for row in range(50)])


@dataclass
class Spy:
    """Knows the labels of all notes but some, scores others 0, and records its calls."""

    features: Features
    wrong: Sequence[int] = ()
    silent: Sequence[int] = ()
    slow: bool = False
    given: list[tuple[str, set[int], set[int]]] = field(default_factory=list)
    name = "spy"
    uses_names = False

    def variants(self) -> Sequence["Spy"]:
        return (self,)

    def score(self, train: Rows, test: Rows) -> NDArray[np.float32]:
        self.given.append(("score", set(train.tolist()), set(test.tolist())))
        is_wrong = np.isin(test, self.wrong)[:, np.newaxis]
        is_silent = np.isin(test, self.silent)[:, np.newaxis]
        return ((self.features.targets[test] != is_wrong) & ~is_silent).astype(np.float32)

    def fit(self, train: Rows) -> Heads:
        self.given.append(("learn", set(train.tolist()), set()))
        return Heads(bias=np.full(len(self.features.examples.labels), len(train), dtype=np.float32))


def trained(estimator: Spy, split: TestSplit = "random", seed: int = 0) -> Trained:
    return train([estimator], estimator.features, test_split=split, seed=seed, progress=lambda what, done, total: None)


@pytest.mark.parametrize("split", ["random", "time"])
@pytest.mark.parametrize("slow", [False, True])
def test_the_notes_held_out_are_used_for_nothing_before_the_test(split: TestSplit, slow: bool) -> None:
    estimator = Spy(features_of(["ab"[row % 2] for row in range(50)]), wrong=[0, 1], slow=slow)
    trained(estimator, split)
    every = set(range(50))
    learning = estimator.given.index(("learn", every, set()))
    *contest, (_, learnt_from, held_out) = estimator.given[:learning]
    assert len(held_out) == 10 and learnt_from == every - held_out
    assert len(contest) == (2 if slow else 5)
    assert all(known | asked == learnt_from and not known & asked for _, known, asked in contest)
    after = estimator.given[learning + 1 :]
    assert len(after) == (0 if slow else 5)
    assert all(known | asked == every and not known & asked for _, known, asked in after)


@pytest.mark.parametrize("seed", [0, 1])
def test_notes_held_out_at_random_have_their_share_of_each_label(two_labels: Features, seed: int) -> None:
    estimator = Spy(two_labels, wrong=[0, 1])
    assert [label.support for label in trained(estimator, seed=seed).held_out.labels] == [5, 5]
    again, other = (Spy(two_labels, wrong=[0, 1]) for _ in range(2))
    trained(again, seed=seed)
    trained(other, seed=seed + 1)
    assert again.given == estimator.given
    assert other.given[5] != estimator.given[5]


def test_the_newest_notes_are_held_out(two_labels: Features) -> None:
    estimator = Spy(two_labels, wrong=[0, 1])
    held_out = trained(estimator, "time").held_out
    assert sorted(estimator.given[5][2]) == NEWEST
    assert (held_out.split, held_out.notes) == ("time", 10)


def test_the_best_is_fitted_to_all_notes(two_labels: Features) -> None:
    result = trained(Spy(two_labels, wrong=[0, 1]))
    assert result.heads.bias.tolist() == [50, 50]
    assert result.thresholds.shape == (2,)
    assert result.calibration.frequencies == (0.5, 0.5)


def test_a_slow_estimator_keeps_its_calibration(two_labels: Features) -> None:
    result = trained(Spy(two_labels, wrong=[0, 1], slow=True))
    assert result.calibration is result.selection.best.calibration
    np.testing.assert_array_equal(result.thresholds, result.selection.best.thresholds)


def test_quality_on_the_notes_held_out_by_hand(two_labels: Features) -> None:
    labels = two_labels.targets[NEWEST].argmax(axis=1)
    assert labels.sum() == 5
    wrong_a = [row for row, label in zip(NEWEST, labels, strict=True) if label == 0][:2]
    others = [row for row in range(50) if row not in NEWEST][:8]
    held_out = trained(Spy(two_labels, wrong=[*wrong_a, *others]), "time").held_out
    assert held_out.micro_f1 == held_out.precision == held_out.recall == pytest.approx(0.8)
    assert held_out.untagged == 0
    (_, threshold_a), (_, threshold_b) = ((label.label, label.threshold) for label in held_out.labels)
    assert held_out.labels == (
        LabelMeasures("a", 1, 0.6, pytest.approx(0.75), 5, threshold_a),
        LabelMeasures("b", pytest.approx(5 / 7), 1, pytest.approx(10 / 12), 5, threshold_b),
    )
    assert held_out.macro_f1 == pytest.approx((0.75 + 10 / 12) / 2)
    assert held_out.confusions == (("a", "b", 2),)
    # 32 of the other 40 were right, so it says 0.8 of ten, of which 8 are right, and 0.2 of ten.
    low, high = held_out.bins
    assert (low, high) == (Bin(pytest.approx(0.2, abs=0.02), 0.2, 10), Bin(pytest.approx(0.8, abs=0.02), 0.8, 10))
    assert held_out.calibration_error < 0.02


def test_notes_that_no_label_is_suggested_for_are_counted() -> None:
    notes = features_of([*("ab"[row % 2] for row in range(49)), "ab"])
    silent = [*NEWEST[:4], *[row for row in range(49) if row not in NEWEST][:10]]
    held_out = trained(Spy(notes, silent=silent), "time").held_out
    assert held_out.untagged == pytest.approx(0.4)
    assert held_out.precision == 1


@pytest.mark.parametrize(
    ("labels", "split"), [(("a", "a", "a", "b", "b", "b"), "random"), (("ab", "a", "b", "ab", "a", "b", "b"), "time")]
)
def test_a_handful_of_notes_is_enough(labels: tuple[str, ...], split: TestSplit) -> None:
    notes = features_of(labels)
    estimators = fast_estimators(notes)[:4]
    result = train(estimators, notes, test_split=split, seed=0, progress=lambda what, done, total: None)
    assert result.held_out.notes >= 1
    assert [entry.estimator.name for entry in result.selection.results] == [estimator.name for estimator in estimators]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_note_is_held_out_however_few_there_are() -> None:
    notes = features_of(["ab", "ab", "a", "b"])
    assert all(trained(Spy(notes), seed=seed).held_out.notes for seed in range(20))
