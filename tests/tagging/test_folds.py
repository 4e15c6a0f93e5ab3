import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from notesearch.tagging.selection import assign_folds

FOLDS = st.integers(1, 6)
SEEDS = st.integers(0, 2**32)


def spread_of(folds: NDArray[np.int64], own: NDArray[np.bool_], count: int) -> int:
    """How many more examples the fullest fold has than the emptiest."""
    return int(np.ptp(np.bincount(folds[own], minlength=count)))


@given(st.lists(st.integers(0, 4), max_size=60), FOLDS, SEEDS)
def test_where_a_note_has_one_label_each_label_is_spread_evenly(labels: list[int], count: int, seed: int) -> None:
    targets = np.array(labels, dtype=np.int64)[:, np.newaxis] == np.arange(5)
    folds = assign_folds(targets, count, seed)
    assert folds.shape == (len(labels),)
    assert set(folds.tolist()) <= set(range(count))
    assert all(spread_of(folds, own, count) <= 1 for own in targets.T)


@given(st.lists(st.tuples(*[st.booleans()] * 3), min_size=1, max_size=40), FOLDS, SEEDS)
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


@pytest.mark.parametrize("examples", [0, 3, 10, 12])
def test_examples_without_labels_are_spread_evenly(examples: int) -> None:
    folds = assign_folds(np.zeros((examples, 2), dtype=bool), 5, seed=0)
    assert spread_of(folds, np.ones(examples, dtype=bool), 5) <= 1


def test_another_seed_deals_otherwise() -> None:
    targets = np.ones((50, 1), dtype=bool)
    assert (assign_folds(targets, 5, seed=1) != assign_folds(targets, 5, seed=2)).any()
