import math

import numpy as np
import pytest

from notesearch.evaluation.comparison import bootstrap_interval, compare, give_verdict, shown_p


def values(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float64)


def test_wins_ties_losses_and_the_mean_difference():
    found = compare(values(0.5, 0.5, 0.5, 0.5), values(1.0, 0.5, 0.0, 0.75))
    assert (found.wins, found.ties, found.losses) == (2, 1, 1)
    assert found.difference == pytest.approx(0.0625)
    assert found.low <= found.difference <= found.high


def test_the_p_value_of_few_differences_is_exact():
    # Of the 2³ ways to flip the signs, only all + and all − give a sum as far from 0.
    assert compare(np.zeros(5), values(0.1, 0.2, 0.3, 0.0, 0.0)).p == 2 / 8
    # 0.5 − 0.1 = 0.4: as far or further are ±0.6 and ±0.4, so all four.
    assert compare(np.zeros(2), values(0.5, -0.1)).p == 1.0
    # Twelve wins of the same size: 2 of 4,096.
    assert compare(np.zeros(12), np.full(12, 0.5)).p == 2 / 4096
    assert compare(np.zeros(1), values(0.5)).p == 1.0


def test_the_p_value_of_many_differences_is_estimated():
    # With 100 wins of the same size no sample of signs comes near.
    assert compare(np.zeros(100), np.full(100, 0.5)).p == 1 / 10_001
    balanced = compare(np.zeros(100), np.array([0.5, -0.5] * 50))
    assert (balanced.difference, balanced.p) == (0.0, 1.0)
    # 60 heads of 100: the binomial two-sided p is 0.0569.
    assert compare(np.zeros(100), np.array([0.5] * 60 + [-0.5] * 40)).p == pytest.approx(0.0569, abs=0.008)


def test_rankings_that_are_the_same_cannot_be_told_apart():
    found = compare(values(0.2, 0.9), values(0.2, 0.9 + 1e-12))
    assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert (found.wins, found.ties, found.losses) == (0, 2, 0)


def test_the_order_of_the_two_turns_the_signs_round():
    dice = np.random.default_rng(3)
    before, after = dice.random(40), dice.random(40)
    there, back = compare(before, after), compare(after, before)
    assert there.difference == pytest.approx(-back.difference)
    assert (there.wins, there.losses) == (back.losses, back.wins)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.p == back.p


def test_the_interval_of_a_mean_is_near_that_of_the_normal_distribution():
    zeros_and_ones = np.array([0.0, 1.0] * 200)
    half = 1.96 * 0.5 / math.sqrt(400)
    low, high = bootstrap_interval(zeros_and_ones)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.006)


def test_the_ends_of_the_interval_are_percentiles_of_the_means_of_resamples():
    sample, dice = np.random.default_rng(1).random(50), np.random.default_rng(0)
    means = [sample[dice.integers(0, 50, 50)].mean() for _ in range(2_000)]
    assert bootstrap_interval(sample) == pytest.approx(np.percentile(means, (2.5, 97.5)), abs=1e-4)
    # The mean of two is 0 in a quarter of all resamples, and 1 in another.
    assert bootstrap_interval(values(0.0, 1.0)) == (0.0, 1.0)


def test_the_interval_depends_on_the_seed_alone():
    sample = np.random.default_rng(1).random(50)
    assert bootstrap_interval(sample) == bootstrap_interval(sample, seed=0)
    assert bootstrap_interval(sample) != bootstrap_interval(sample, seed=1)
    assert bootstrap_interval(np.array([0.25])) == (0.25, 0.25)


LOW, HIGH = np.full(20, 0.25), np.full(20, 0.75)


def test_the_verdict_on_one_ranking():
    assert give_verdict([("lexical", LOW, 3.0)]) == "lexical: nDCG@10 0.250 (95 % interval 0.250 to 0.250)."


def test_a_significantly_better_ranking_is_named_with_its_gain():
    verdict = give_verdict([("lexical", LOW - 0.1, 3.0), ("dense", LOW, 9.0), ("hybrid", HIGH, 12.0)])
    assert verdict == ("hybrid is best: nDCG@10 0.750, 0.500 above dense (95 % interval 0.500 to 0.500, p < .001).")


def test_rankings_that_are_not_significantly_worse_are_named_and_the_fastest_of_them():
    almost = HIGH.copy()
    almost[0] -= 0.25
    rankings = [("lexical", LOW, 1.0), ("dense", almost, 9.4), ("hybrid", almost, 5.0), ("maxsim", HIGH, 30.0)]
    assert give_verdict(rankings) == (
        "maxsim scores highest, nDCG@10 0.750, but it may be no better than "
        "dense (p = 1.000) or hybrid (p = 1.000); hybrid takes 25 ms less a query."
    )


@pytest.mark.parametrize(("best", "other"), [(None, 5.0), (5.0, None), (5.0, 4.5), (4.0, 5.0)])
def test_time_is_left_out_where_it_is_unknown_or_nothing_is_saved(best, other):
    verdict = give_verdict([("mine.run", HIGH, best), ("other.run", HIGH, other)])
    assert verdict.endswith("better than other.run (p = 1.000).")


@pytest.mark.parametrize(
    ("p", "shown"), [(0.31, "p = .310"), (0.0012, "p = .001"), (0.0009, "p < .001"), (1.0, "p = 1.000")]
)
def test_p_is_written_as_in_papers(p, shown):
    assert shown_p(p) == shown
