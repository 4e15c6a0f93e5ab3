import numpy as np
import pytest
from numpy.typing import NDArray

from notesearch.tagging.calibration import (
    Bin,
    LabelMeasures,
    calibration_bins,
    calibration_error,
    f1_scores,
    find_confusions,
    measure_labels,
)


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
