import pytest

from notesearch.evaluation.comparison import Comparison
from notesearch.tuning.trial import Outcome, Trial
from notesearch.tuning.verdict import decide


def trial(*, low=0.01, p=0.01, general=0.0):
    own = Outcome("search", 0.8, 0.85, Comparison(0.05, low, 0.09, p, 9, 30, 3), 60)
    other = Outcome("general", 0.8, 0.8 + general, Comparison(general, -0.02, 0.02, 0.5, 3, 30, 3), 120)
    return Trial(own, own, other)


def test_a_model_that_wins_and_loses_nothing_is_kept():
    assert decide(trial()) == (
        True,
        "Kept: search on notes held out +0.050 nDCG@10 (+0.010 to +0.090, p = 0.010); general English +0.000.",
    )


@pytest.mark.parametrize("chance", [{"low": 0.0}, {"low": -0.01}, {"p": 0.05}, {"low": 0.031, "p": 0.125}])
def test_what_may_be_chance_is_not_kept(chance):
    kept, why = decide(trial(**chance))
    assert not kept
    assert why.endswith("which may be chance.")


def test_what_forgets_ordinary_english_is_not_kept():
    kept, why = decide(trial(general=-0.006))
    assert not kept
    assert why.endswith("but -0.006 on general English.")
    assert decide(trial(general=-0.004))[0]


def test_without_a_trial_nothing_is_kept():
    assert decide(None)[0] is False
