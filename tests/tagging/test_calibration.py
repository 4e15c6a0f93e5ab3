from dataclasses import replace
from math import log

import numpy as np
import pytest
from numpy.typing import NDArray

from notesearch.tagging.calibration import Calibration, choose, choose_thresholds

PLAIN = Calibration(
    exclusive=False, unit=1, frequencies=(0.5, 0.5), sharpness=0, rarity=0, prior=0, hints=(0, 0), offset=0
)


def rows(*values: list[float]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def no_hints(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.zeros((*scores.shape, 2), dtype=np.float32)


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return 1 / (1 + np.exp(-logits))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def drawn(probabilities: NDArray[np.float32], generator: np.random.Generator, *, exclusive: bool) -> NDArray[np.bool_]:
    """Labels that notes have with these probabilities."""
    if not exclusive:
        return generator.random(probabilities.shape) < probabilities
    ends = probabilities.cumsum(axis=1)[:, :-1]
    picked = (generator.random((len(probabilities), 1)) > ends).sum(axis=1)
    return np.eye(probabilities.shape[1], dtype=bool)[picked]


def test_probabilities_by_hand() -> None:
    scores = rows([0, 0.5], [-1, 2])
    calibration = replace(
        PLAIN, unit=2, frequencies=(0.25, 1), sharpness=log(3), rarity=0.5, prior=0.75, hints=(2, -1), offset=0.5
    )
    hints = np.stack([rows([0.1, 0.2], [0, 0]), rows([1, 0], [0, 3])], axis=2)
    first, second = 3 / 2 * 0.25**-0.5, 3 / 2
    from_name = 2 * hints[:, :, 0] - hints[:, :, 1]
    logits = scores * [first, second] + [0.75 * log(0.25), 0] + from_name + 0.5
    found = calibration.probabilities(scores, hints)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, sigmoid(logits), rtol=1e-5)
    found = replace(calibration, exclusive=True).probabilities(scores, hints)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, softmax(logits), rtol=1e-5)


def test_surprise_by_hand() -> None:
    scores, targets = rows([0, log(3)], [0, 0]), np.array([[True, False], [True, False]])
    independent = (log(2) + log(4) + 2 * log(2)) / 2
    assert PLAIN.surprise(scores, no_hints(scores), targets) == pytest.approx(independent)
    exclusive = replace(PLAIN, exclusive=True)
    assert exclusive.surprise(scores, no_hints(scores), targets) == pytest.approx((log(4) + log(2)) / 2)


@pytest.mark.parametrize("score", [1e4, -1e4])
@pytest.mark.parametrize("exclusive", [False, True])
def test_extreme_scores_give_finite_numbers(score: float, exclusive: bool) -> None:
    calibration, scores = replace(PLAIN, exclusive=exclusive), rows([score, 0])
    probabilities = calibration.probabilities(scores, no_hints(scores))
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert np.isfinite(calibration.surprise(scores, no_hints(scores), np.array([[False, True]])))


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("by_name", [0.0, 1.5, 4.0])
def test_fitted_probabilities_come_close_to_those_that_targets_are_drawn_from(exclusive: bool, by_name: float) -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(1500, 8)).astype(np.float32) * 0.2
    hints = generator.random((1500, 8, 2)).astype(np.float32)
    logits = 8 * scores + by_name * hints[:, :, 0] + np.log(np.linspace(0.02, 0.5, 8)) - 1
    true = softmax(logits) if exclusive else sigmoid(logits)
    targets = drawn(true, generator, exclusive=exclusive)
    calibration = Calibration.fit(scores, hints, targets, exclusive=exclusive)
    found = calibration.probabilities(scores, hints)
    assert np.abs(found - true).mean() < 0.02
    assert calibration.frequencies == pytest.approx(targets.mean(axis=0).tolist())
    if exclusive:
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_a_label_is_as_likely_as_it_is_frequent_where_scores_say_nothing() -> None:
    targets = np.column_stack([np.arange(1000) % 10 == 0, np.arange(1000) % 5 < 2])
    scores = np.zeros(targets.shape, dtype=np.float32)
    calibration = Calibration.fit(scores, no_hints(scores), targets, exclusive=False)
    found = calibration.probabilities(scores, no_hints(scores))
    np.testing.assert_allclose(found, np.tile([0.1, 0.4], (1000, 1)), atol=0.01)


def test_no_neighbouring_calibration_is_likelier() -> None:
    generator = np.random.default_rng(1)
    scores = generator.normal(size=(500, 3)).astype(np.float32)
    hints = generator.random((500, 3, 2)).astype(np.float32)
    targets = generator.random((500, 3)) < sigmoid(2 * scores + np.log([0.05, 0.2, 0.5]))
    fitted = Calibration.fit(scores, hints, targets, exclusive=False)
    least = fitted.surprise(scores, hints, targets)
    for name in ("sharpness", "rarity", "prior", "offset"):
        for step in (-0.2, 0.2):
            moved = replace(fitted, **{name: getattr(fitted, name) + step})
            assert moved.surprise(scores, hints, targets) > least
    for closeness, occurrence in ((0.2, 0), (-0.2, 0), (0, 0.2), (0, -0.2)):
        moved = replace(fitted, hints=(fitted.hints[0] + closeness, fitted.hints[1] + occurrence))
        assert moved.surprise(scores, hints, targets) > least


def test_notes_without_a_label_say_nothing_about_exclusive_ones() -> None:
    generator = np.random.default_rng(2)
    scores = generator.normal(size=(1000, 3)).astype(np.float32)
    targets = drawn(softmax(2 * scores), generator, exclusive=True)
    absurd = np.concatenate([scores, np.full((200, 3), 1e3, dtype=np.float32)])
    none = np.concatenate([targets, np.zeros((200, 3), dtype=bool)])
    with_them, without = (
        Calibration.fit(own, no_hints(own), wanted, exclusive=True).probabilities(scores, no_hints(scores))
        for own, wanted in ((absurd, none), (scores, targets))
    )
    np.testing.assert_allclose(with_them, without, atol=0.02)


@pytest.mark.parametrize("exclusive", [False, True])
def test_examples_that_are_told_apart_without_a_mistake_give_numbers_without_warnings(
    exclusive: bool, recwarn: pytest.WarningsRecorder
) -> None:
    targets = np.eye(3, dtype=bool)[np.arange(12) % 3]
    scores = targets * np.float32(0.3)
    calibration = Calibration.fit(scores, no_hints(scores), targets, exclusive=exclusive)
    found = calibration.probabilities(scores, no_hints(scores))
    assert (found[targets] > 0.9).all() and (found[~targets] < 0.1).all()
    assert [str(warning.message) for warning in recwarn] == []


def one_frequent_one_like_it(count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A label of half of 1000 notes, told apart at 0.6, and one of some notes, told apart at 0.08."""
    targets = np.column_stack([np.arange(1000) % 2 == 0, np.arange(1000) < count])
    return np.where(targets, [0.7, 0.1], [0.5, 0.05]).astype(np.float32), targets


@pytest.mark.parametrize(("count", "second"), [(300, (0.05, 0.1)), (2, (0.5, 0.7))])
def test_thresholds_are_where_f1_is_best_and_those_of_rare_labels_near_the_average(
    count: int, second: tuple[float, float]
) -> None:
    probabilities, targets = one_frequent_one_like_it(count)
    thresholds = choose_thresholds(probabilities, targets, exclusive=False)
    assert thresholds.dtype == np.float32
    assert 0.5 < thresholds[0] <= 0.7
    assert second[0] < thresholds[1] <= second[1]
    if count == 300:
        np.testing.assert_array_equal(choose(probabilities, thresholds, exclusive=False), targets)


def test_for_exclusive_labels_only_the_best_of_a_note_counts() -> None:
    probabilities = np.repeat(rows([0.6, 0.2], [0.3, 0.7]), 100, axis=0)
    targets = probabilities > 0.5
    assert choose_thresholds(probabilities, targets, exclusive=False)[0] > 0.3
    exclusive = choose_thresholds(probabilities, targets, exclusive=True)
    assert exclusive[0] <= 0.2
    np.testing.assert_array_equal(choose(probabilities, exclusive, exclusive=True), targets)


def test_choosing_by_hand() -> None:
    probabilities, thresholds = rows([0.5, 0.4], [0.2, 0.9], [0.1, 0.2], [0.45, 0.46]), rows([0.5, 0.3])[0]
    independent = choose(probabilities, thresholds, exclusive=False)
    assert independent.tolist() == [[True, True], [False, True], [False, False], [False, True]]
    exclusive = choose(probabilities, thresholds, exclusive=True)
    assert exclusive.tolist() == [[True, False], [False, True], [False, False], [False, True]]
    assert choose(rows([0.6, 0.65]), rows([0.5, 0.7])[0], exclusive=True).tolist() == [[False, False]]
