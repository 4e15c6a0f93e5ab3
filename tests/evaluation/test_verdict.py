import numpy as np
import pytest

from notesearch.evaluation.comparison import give_verdict, shown_p

LOW, HIGH = np.full(20, 0.25), np.full(20, 0.75)


def test_one_ranking_is_only_told():
    assert give_verdict([("lexical", LOW, 3.0)]) == "lexical: nDCG@10 0.250 (95 % interval 0.250 to 0.250)."


def test_a_sure_winner_is_told_with_what_it_gains_over_the_next():
    verdict = give_verdict([("lexical", LOW - 0.1, 3.0), ("dense", LOW, 9.0), ("hybrid", HIGH, 12.0)])
    assert verdict == ("hybrid serves best: nDCG@10 0.750, 0.500 above dense (95 % interval 0.500 to 0.500, p < .001).")


def test_those_that_cannot_be_told_apart_are_named_and_the_fastest_of_them():
    almost = HIGH.copy()
    almost[0] -= 0.25
    rankings = [("lexical", LOW, 1.0), ("dense", almost, 9.4), ("hybrid", almost, 5.0), ("maxsim", HIGH, 30.0)]
    assert give_verdict(rankings) == (
        "maxsim scores highest, nDCG@10 0.750, but it cannot be told that it is better than "
        "dense (p = 1.000) or hybrid (p = 1.000); hybrid takes 25 ms a query less."
    )


@pytest.mark.parametrize(("best", "other"), [(None, 5.0), (5.0, None), (5.0, 4.5), (4.0, 5.0)])
def test_no_time_is_told_where_it_is_not_known_or_nothing_is_saved(best, other):
    verdict = give_verdict([("mine.run", HIGH, best), ("other.run", HIGH, other)])
    assert verdict.endswith("better than other.run (p = 1.000).")


@pytest.mark.parametrize(
    ("p", "shown"), [(0.31, "p = .310"), (0.0012, "p = .001"), (0.0009, "p < .001"), (1.0, "p = 1.000")]
)
def test_p_is_written_as_in_papers(p, shown):
    assert shown_p(p) == shown
