from dataclasses import replace
from math import log

import numpy as np
import pytest
from numpy.typing import NDArray

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

PLAIN = Calibration(
    exclusive=False, unit=1, frequencies=(0.5, 0.5), sharpness=0, rarity=0, prior=0, names=(0, 0), offset=0
)


def rows(*values: list[float]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def no_names(scores: NDArray[np.float32]) -> NDArray[np.float32]:
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
        PLAIN, unit=2, frequencies=(0.25, 1), sharpness=log(3), rarity=0.5, prior=0.75, names=(2, -1), offset=0.5
    )
    names = np.stack([rows([0.1, 0.2], [0, 0]), rows([1, 0], [0, 3])], axis=2)
    first, second = 3 / 2 * 0.25**-0.5, 3 / 2
    from_name = 2 * names[:, :, 0] - names[:, :, 1]
    logits = scores * [first, second] + [0.75 * log(0.25), 0] + from_name + 0.5
    found = calibration.probabilities(scores, names)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, sigmoid(logits), rtol=1e-5)
    found = replace(calibration, exclusive=True).probabilities(scores, names)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, softmax(logits), rtol=1e-5)


def test_log_loss_by_hand() -> None:
    scores, targets = rows([0, log(3)], [0, 0]), np.array([[True, False], [True, False]])
    independent = (log(2) + log(4) + 2 * log(2)) / 2
    assert PLAIN.log_loss(scores, no_names(scores), targets) == pytest.approx(independent)
    exclusive = replace(PLAIN, exclusive=True)
    assert exclusive.log_loss(scores, no_names(scores), targets) == pytest.approx((log(4) + log(2)) / 2)


@pytest.mark.parametrize("score", [1e4, -1e4])
@pytest.mark.parametrize("exclusive", [False, True])
def test_extreme_scores_give_finite_numbers(score: float, exclusive: bool) -> None:
    calibration, scores = replace(PLAIN, exclusive=exclusive), rows([score, 0])
    probabilities = calibration.probabilities(scores, no_names(scores))
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert np.isfinite(calibration.log_loss(scores, no_names(scores), np.array([[False, True]])))


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("by_name", [0.0, 1.5, 4.0])
def test_fitted_probabilities_come_close_to_those_that_targets_are_drawn_from(exclusive: bool, by_name: float) -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(1500, 8)).astype(np.float32) * 0.2
    names = generator.random((1500, 8, 2)).astype(np.float32)
    logits = 8 * scores + by_name * names[:, :, 0] + np.log(np.linspace(0.02, 0.5, 8)) - 1
    true = softmax(logits) if exclusive else sigmoid(logits)
    targets = drawn(true, generator, exclusive=exclusive)
    calibration = Calibration.fit(scores, names, targets, exclusive=exclusive)
    found = calibration.probabilities(scores, names)
    assert np.abs(found - true).mean() < 0.02
    assert calibration.frequencies == pytest.approx(targets.mean(axis=0).tolist())
    if exclusive:
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_no_neighbouring_calibration_has_a_lower_log_loss() -> None:
    generator = np.random.default_rng(1)
    scores = generator.normal(size=(500, 3)).astype(np.float32)
    names = generator.random((500, 3, 2)).astype(np.float32)
    targets = generator.random((500, 3)) < sigmoid(2 * scores + np.log([0.05, 0.2, 0.5]))
    fitted = Calibration.fit(scores, names, targets, exclusive=False)
    least = fitted.log_loss(scores, names, targets)
    for name in ("sharpness", "rarity", "prior", "offset"):
        for step in (-0.2, 0.2):
            moved = replace(fitted, **{name: getattr(fitted, name) + step})
            assert moved.log_loss(scores, names, targets) > least
    for similarity, occurrence in ((0.2, 0), (-0.2, 0), (0, 0.2), (0, -0.2)):
        moved = replace(fitted, names=(fitted.names[0] + similarity, fitted.names[1] + occurrence))
        assert moved.log_loss(scores, names, targets) > least


def test_notes_without_a_label_are_no_examples_of_exclusive_labels() -> None:
    generator = np.random.default_rng(2)
    scores = generator.normal(size=(1000, 3)).astype(np.float32)
    targets = drawn(softmax(2 * scores), generator, exclusive=True)
    absurd = np.concatenate([scores, np.full((200, 3), 1e3, dtype=np.float32)])
    none = np.concatenate([targets, np.zeros((200, 3), dtype=bool)])
    with_them, without = (
        Calibration.fit(own, no_names(own), wanted, exclusive=True).probabilities(scores, no_names(scores))
        for own, wanted in ((absurd, none), (scores, targets))
    )
    np.testing.assert_allclose(with_them, without, atol=0.02)


@pytest.mark.parametrize("exclusive", [False, True])
def test_perfectly_separated_examples_give_probabilities_without_warnings(
    exclusive: bool, recwarn: pytest.WarningsRecorder
) -> None:
    targets = np.eye(3, dtype=bool)[np.arange(12) % 3]
    scores = targets * np.float32(0.3)
    calibration = Calibration.fit(scores, no_names(scores), targets, exclusive=exclusive)
    found = calibration.probabilities(scores, no_names(scores))
    assert (found[targets] > 0.9).all() and (found[~targets] < 0.1).all()
    assert [str(warning.message) for warning in recwarn] == []


def one_frequent_one_like_it(count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A label of half of 1000 notes, told apart at 0.6, and one of some notes, told apart at 0.08."""
    targets = np.column_stack([np.arange(1000) % 2 == 0, np.arange(1000) < count])
    return np.where(targets, [0.7, 0.1], [0.5, 0.05]).astype(np.float32), targets


@pytest.mark.parametrize(("count", "second"), [(300, (0.05, 0.1)), (2, (0.5, 0.7))])
def test_thresholds_maximise_f1_and_those_of_rare_labels_are_near_the_average(
    count: int, second: tuple[float, float]
) -> None:
    probabilities, targets = one_frequent_one_like_it(count)
    thresholds = choose_thresholds(probabilities, targets, exclusive=False)
    assert thresholds.dtype == np.float32
    assert 0.5 < thresholds[0] <= 0.7
    assert second[0] < thresholds[1] <= second[1]
    if count == 300:
        np.testing.assert_array_equal(choose(probabilities, thresholds, exclusive=False), targets)


def test_of_exclusive_labels_only_the_best_of_a_note_can_be_suggested() -> None:
    probabilities = np.repeat(rows([0.6, 0.2], [0.3, 0.7]), 100, axis=0)
    targets = probabilities > 0.5
    assert choose_thresholds(probabilities, targets, exclusive=False)[0] > 0.3
    exclusive = choose_thresholds(probabilities, targets, exclusive=True)
    assert exclusive[0] <= 0.2
    np.testing.assert_array_equal(choose(probabilities, exclusive, exclusive=True), targets)


def test_suggested_labels_by_hand() -> None:
    probabilities, thresholds = rows([0.5, 0.4], [0.2, 0.9], [0.1, 0.2], [0.45, 0.46]), rows([0.5, 0.3])[0]
    independent = choose(probabilities, thresholds, exclusive=False)
    assert independent.tolist() == [[True, True], [False, True], [False, False], [False, True]]
    exclusive = choose(probabilities, thresholds, exclusive=True)
    assert exclusive.tolist() == [[True, False], [False, True], [False, False], [False, True]]
    assert choose(rows([0.6, 0.65]), rows([0.5, 0.7])[0], exclusive=True).tolist() == [[False, False]]


def flags(*rows: str) -> NDArray[np.bool_]:
    return np.array([[mark == "x" for mark in row] for row in rows])


# Right 2, 0, 0 and 0 times; suggested 3, 1, 1 and 0 times; wanted 2, 2, 0 and 0 times.
TARGETS = flags("x...", "xx..", ".x..", "....")
CHOSEN = flags("x...", "x.x.", "x...", ".x..")


def test_f1_by_hand_without_labels_that_occur_nowhere() -> None:
    micro, macro = f1_scores(TARGETS, CHOSEN)
    assert micro == pytest.approx(2 * 2 / (5 + 4))
    assert macro == pytest.approx((2 * 2 / (3 + 2) + 0 + 0) / 3)
    assert f1_scores(TARGETS, TARGETS) == (1, 1)
    assert f1_scores(TARGETS, ~TARGETS) == (0, 0)


@pytest.mark.parametrize("notes", [0, 2])
def test_f1_of_nothing_is_0(notes: int) -> None:
    nothing = np.zeros((notes, 3), dtype=bool)
    assert f1_scores(nothing, nothing) == (0, 0)


def test_labels_by_hand() -> None:
    thresholds = np.array([0.5, 0.25, 0.125, 1], dtype=np.float32)
    assert measure_labels("abcd", TARGETS, CHOSEN, thresholds) == (
        LabelMeasures("a", precision=pytest.approx(2 / 3), recall=1, f1=pytest.approx(0.8), support=2, threshold=0.5),
        LabelMeasures("b", precision=0, recall=0, f1=0, support=2, threshold=0.25),
        LabelMeasures("c", precision=0, recall=0, f1=0, support=0, threshold=0.125),
        LabelMeasures("d", precision=0, recall=0, f1=0, support=0, threshold=1),
    )


def test_bins_and_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.0, 0.0625], [0.75, 0.71875], [0.8125, 1.0]], dtype=np.float32)
    bins = calibration_bins(probabilities, flags("..", "x.", "xx"))
    assert bins == (Bin(0.03125, 0, 2), Bin(0.734375, 0.5, 2), Bin(0.8125, 1, 1), Bin(1, 1, 1))
    assert calibration_error(bins) == pytest.approx((2 * 0.234375 + 0.1875 + 0) / 4)


def test_the_lowest_tenth_does_not_count_in_the_calibration_error() -> None:
    assert calibration_error((Bin(0.05, 1, 1000), Bin(0.5, 0.25, 1))) == 0.25
    assert calibration_error((Bin(0.05, 1, 1000),)) == calibration_error(()) == 0


def test_confusions_pair_what_is_missed_with_what_is_given_instead() -> None:
    targets = flags("x..", "x..", "x..", ".x.", ".x.", "xx.", "..x")
    chosen = flags(".x.", ".x.", "...", "..x", "..x", ".xx", "x..")
    assert find_confusions("abc", targets, chosen) == (("a", "b", 2), ("b", "c", 2))
    twice = np.concatenate([targets, targets])
    assert find_confusions("abc", twice, np.concatenate([chosen, chosen]))[:2] == (("a", "b", 4), ("b", "c", 4))
    assert set(find_confusions("abc", twice, np.concatenate([chosen, chosen]))[2:]) == {("a", "c", 2), ("c", "a", 2)}


def test_at_most_ten_confusions_are_told_the_most_frequent_first() -> None:
    wanted = np.repeat(np.arange(12), np.arange(2, 14))
    targets, chosen = np.eye(13, dtype=bool)[wanted], np.eye(13, dtype=bool)[np.full(len(wanted), 12)]
    found = find_confusions("abcdefghijklm", targets, chosen)
    assert [count for _, _, count in found] == list(range(13, 3, -1))
    assert found[0] == ("l", "m", 13)
