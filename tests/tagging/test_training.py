from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from notesearch.tagging.calibration import Bin, LabelMeasures
from notesearch.tagging.estimators import Heads, Material, fast_learners
from notesearch.tagging.features import Content
from notesearch.tagging.labels import Labelled, choose_labels
from notesearch.tagging.selection import TestSplit, Trained, train

pytest_plugins = ["tagging_fixtures"]
pytestmark = pytest.mark.usefixtures("one_thread")

Rows = NDArray[np.int64]
# The newest of fifty notes, in the order of their rows.
NEWEST = [row for row in range(50) if row * 7 % 50 >= 40]


def material_of(labels: Sequence[str]) -> Material:
    """A note for each of these, dated so that they are in no order."""
    contents = [
        Content(f"/{row}.md", "", f"20{row * 7 % 50:02}-01-01T00:00:00", (), f"text {row % 3}", ("",))
        for row in range(len(labels))
    ]
    notes = [Labelled(content, tuple(own)) for content, own in zip(contents, labels, strict=True)]
    examples = choose_labels(notes, 2)
    vectors = np.eye(4, dtype=np.float32)[np.arange(len(labels)) % 4]
    return Material(examples, vectors, np.eye(4, dtype=np.float32)[: len(examples.labels)])


@pytest.fixture
def material() -> Material:
    return material_of(["ab"[row % 2] for row in range(50)])


@dataclass
class Spy:
    """Knows the labels of all notes but some, says nothing about others, and remembers what it was given."""

    material: Material
    wrong: Sequence[int] = ()
    silent: Sequence[int] = ()
    slow: bool = False
    given: list[tuple[str, set[int], set[int]]] = field(default_factory=list)
    name = "spy"
    hinted = False

    def variants(self) -> Sequence["Spy"]:
        return (self,)

    def score(self, train: Rows, test: Rows) -> NDArray[np.float32]:
        self.given.append(("score", set(train.tolist()), set(test.tolist())))
        is_wrong = np.isin(test, self.wrong)[:, np.newaxis]
        is_silent = np.isin(test, self.silent)[:, np.newaxis]
        return ((self.material.targets[test] != is_wrong) & ~is_silent).astype(np.float32)

    def learn(self, train: Rows) -> Heads:
        self.given.append(("learn", set(train.tolist()), set()))
        return Heads(bias=np.full(len(self.material.examples.labels), len(train), dtype=np.float32))


def trained(learner: Spy, split: TestSplit = "random", seed: int = 0) -> Trained:
    return train([learner], learner.material, test_split=split, seed=seed, progress=lambda what, done, total: None)


@pytest.mark.parametrize("split", ["random", "time"])
@pytest.mark.parametrize("slow", [False, True])
def test_nothing_is_learnt_from_the_notes_held_out_until_they_have_been_tested_on(split: TestSplit, slow: bool) -> None:
    learner = Spy(material_of(["ab"[row % 2] for row in range(50)]), wrong=[0, 1], slow=slow)
    trained(learner, split)
    every = set(range(50))
    learning = learner.given.index(("learn", every, set()))
    *contest, (_, learnt_from, held_out) = learner.given[:learning]
    assert len(held_out) == 10 and learnt_from == every - held_out
    assert len(contest) == (2 if slow else 5)
    assert all(known | asked == learnt_from and not known & asked for _, known, asked in contest)
    after = learner.given[learning + 1 :]
    assert len(after) == (0 if slow else 5)
    assert all(known | asked == every and not known & asked for _, known, asked in after)


@pytest.mark.parametrize("seed", [0, 1])
def test_notes_held_out_at_random_have_their_share_of_each_label(material: Material, seed: int) -> None:
    learner = Spy(material, wrong=[0, 1])
    assert [label.support for label in trained(learner, seed=seed).held_out.labels] == [5, 5]
    again, other = (Spy(material, wrong=[0, 1]) for _ in range(2))
    trained(again, seed=seed)
    trained(other, seed=seed + 1)
    assert again.given == learner.given
    assert other.given[5] != learner.given[5]


def test_the_newest_notes_are_held_out(material: Material) -> None:
    learner = Spy(material, wrong=[0, 1])
    held_out = trained(learner, "time").held_out
    assert sorted(learner.given[5][2]) == NEWEST
    assert (held_out.split, held_out.notes) == ("time", 10)


def test_the_winner_learns_from_all_notes(material: Material) -> None:
    result = trained(Spy(material, wrong=[0, 1]))
    assert result.heads.bias.tolist() == [50, 50]
    assert result.thresholds.shape == (2,)
    assert result.calibration.frequencies == (0.5, 0.5)


def test_a_slow_winner_keeps_the_calibration_of_the_contest(material: Material) -> None:
    result = trained(Spy(material, wrong=[0, 1], slow=True))
    assert result.calibration is result.contest.winner.calibration
    np.testing.assert_array_equal(result.thresholds, result.contest.winner.thresholds)


def test_quality_on_the_notes_held_out_by_hand(material: Material) -> None:
    labels = material.targets[NEWEST].argmax(axis=1)
    assert labels.sum() == 5
    wrong_a = [row for row, label in zip(NEWEST, labels, strict=True) if label == 0][:2]
    others = [row for row in range(50) if row not in NEWEST][:8]
    held_out = trained(Spy(material, wrong=[*wrong_a, *others]), "time").held_out
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
    notes = material_of([*("ab"[row % 2] for row in range(49)), "ab"])
    silent = [*NEWEST[:4], *[row for row in range(49) if row not in NEWEST][:10]]
    held_out = trained(Spy(notes, silent=silent), "time").held_out
    assert held_out.untagged == pytest.approx(0.4)
    assert held_out.precision == 1


@pytest.mark.parametrize(
    ("labels", "split"), [(("a", "a", "a", "b", "b", "b"), "random"), (("ab", "a", "b", "ab", "a", "b", "b"), "time")]
)
def test_a_handful_of_notes_is_enough(labels: tuple[str, ...], split: TestSplit) -> None:
    notes = material_of(labels)
    learners = fast_learners(notes)[:4]
    result = train(learners, notes, test_split=split, seed=0, progress=lambda what, done, total: None)
    assert result.held_out.notes >= 1
    assert [entry.learner.name for entry in result.contest.entries] == [learner.name for learner in learners]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_note_is_held_out_however_few_there_are() -> None:
    notes = material_of(["ab", "ab", "a", "b"])
    assert all(trained(Spy(notes), seed=seed).held_out.notes for seed in range(20))
