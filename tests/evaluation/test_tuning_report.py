import json

import numpy as np
import pytest

from notesearch.evaluation.comparison import Comparison
from notesearch.evaluation.tuning_report import (
    Outcome,
    TuningReport,
    WeightQuality,
    choose_weight,
    decide,
    write_card,
)


def trial(*, low=0.01, p=0.01, general=0.0):
    own = Outcome("search", 60, 0.8, 0.85, Comparison(0.05, low, 0.09, p, 9, 30, 3))
    other = Outcome("general", 120, 0.8, 0.8 + general, Comparison(general, -0.02, 0.02, 0.5, 3, 30, 3))
    return own, own, other


def test_a_model_that_wins_and_loses_nothing_is_kept():
    assert decide(trial()) == (
        True,
        "Kept: search on notes held out +0.050 nDCG@10 (+0.010 to +0.090, p = 0.010); general English +0.000.",
    )


@pytest.mark.parametrize("chance", [{"low": 0.0}, {"low": -0.01}, {"p": 0.05}, {"low": 0.031, "p": 0.125}])
def test_what_may_be_chance_is_not_kept(chance):
    kept, why = decide(trial(**chance))
    assert not kept and why.endswith("which may be chance.")


def test_what_forgets_ordinary_english_is_not_kept():
    kept, why = decide(trial(general=-0.006))
    assert not kept and why.endswith("but -0.006 on general English.")
    assert decide(trial(general=-0.004))[0]
    assert not decide(())[0]


def test_the_weight_that_is_best_on_the_notes_and_forgets_nothing_is_chosen():
    before = WeightQuality(0.0, 0.80, 0.70)
    assert choose_weight([before, WeightQuality(0.5, 0.85, 0.696), WeightQuality(1.0, 0.90, 0.69)]) == 0.5
    assert choose_weight([before, WeightQuality(0.5, 0.85, 0.70), WeightQuality(1.0, 0.85, 0.70)]) == 0.5
    assert choose_weight([before, WeightQuality(0.5, 0.80, 0.72)]) == 0.0


def test_queries_that_ask_for_one_note_count_together():
    before, after = np.array([0.5, 0.7, 0.2]), np.array([0.7, 0.9, 0.2])
    outcome = Outcome.of("search", before, after, [7, 7, 3])
    assert (outcome.queries, outcome.before, outcome.after) == (3, pytest.approx(0.4), pytest.approx(0.5))
    assert (outcome.comparison.wins, outcome.comparison.ties) == (1, 1)


def test_the_card_says_what_the_model_is(tmp_path):
    qualities = (WeightQuality(0.0, 0.81234567, 0.5), WeightQuality(0.67, 0.9, 0.5))
    report = TuningReport("a/model", 1200, {"title": 1100, "link": 2}, qualities, 0.67, trial(), True, "Kept: why.")
    write_card(tmp_path, report, {"b", "a"})
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: sentence-transformers\n")
    assert "Notes: 1,200. Pairs of query and passage: 1,100 of title, 2 of link." in card
    assert "| search | 60 | 0.800 | 0.850 | +0.050 [+0.010, +0.090] | 0.010 |\n| search" in card
    assert "67% of the way" in " ".join(card.split())
    record = json.loads((tmp_path / "tuning.json").read_text())
    assert record.pop("learnt_from") == ["a", "b"]
    assert record == report.as_json()
    assert record["interpolation_weights"][0] == {"weight": 0.0, "own": 0.8123, "general": 0.5}
    assert record["trial"][0]["low"] == 0.01
