import math
import random

import ir_measures
import pytest
from ir_measures import RR, R, nDCG

from notesearch.evaluation import measure_run
from notesearch.evaluation.measures import ndcg, recall, reciprocal_rank


def test_ndcg_by_hand():
    gains = {"a": 1.0, "b": 1.0}
    ideal = 1 + 1 / math.log2(3)
    assert ndcg(["a", "b"], gains, 10) == 1.0
    assert ndcg(["x", "a", "y", "b"], gains, 10) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert ndcg(["x", "y"], gains, 10) == 0.0


def test_ndcg_with_graded_gains_is_linear():
    gains = {"a": 3.0, "b": 1.0}
    ideal = 3 + 1 / math.log2(3)
    assert ndcg(["b", "a"], gains, 10) == pytest.approx((1 + 3 / math.log2(3)) / ideal)


def test_ndcg_looks_no_further_than_its_depth():
    gains = {str(number): 1.0 for number in range(20)}
    assert ndcg([str(number) for number in range(20)], gains, 10) == pytest.approx(1.0)
    assert ndcg([*"abcdefghij", "1"], gains, 10) == 0.0


def test_recall_by_hand():
    gains = {"a": 1.0, "b": 2.0, "c": 1.0}
    assert recall(["x", "a", "b"], gains, 100) == pytest.approx(2 / 3)
    assert recall(["x", "a", "b"], gains, 2) == pytest.approx(1 / 3)


def test_reciprocal_rank_by_hand():
    assert reciprocal_rank(["x", "y", "a", "b"], {"a": 1.0, "b": 5.0}, 10) == pytest.approx(1 / 3)
    assert reciprocal_rank([*"xyz", "a"], {"a": 1.0}, 3) == 0.0


def test_a_query_that_the_run_leaves_out_counts_as_nothing():
    qrels = {"1": {"a": 1.0}, "2": {"b": 1.0}}
    measures = measure_run({"1": ["a"], "unjudged": ["b"]}, qrels)
    assert (measures.queries, measures.ndcg_10, measures.recall_100, measures.mrr_10) == (2, 0.5, 0.5, 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_the_measures_are_those_of_ir_measures(seed):
    dice = random.Random(seed)
    documents = [f"d{number}" for number in range(300)]
    qrels, run = {}, {}
    for query in (f"q{number}" for number in range(25)):
        judged = dice.sample(documents, dice.randint(1, 30))
        qrels[query] = {document: dice.choice([1, 1, 2, 3]) for document in judged}
        if dice.random() < 0.9:
            run[query] = dice.sample(documents, dice.choice([0, 3, 20, 150]))
    scored = {
        query: {document: float(len(ranked) - place) for place, document in enumerate(ranked)}
        for query, ranked in run.items()
    }
    expected = ir_measures.calc_aggregate([nDCG @ 10, R @ 100, RR @ 10], qrels, scored)

    found = measure_run(run, qrels)

    assert found.queries == 25
    assert found.ndcg_10 == pytest.approx(expected[nDCG @ 10], abs=1e-9)
    assert found.recall_100 == pytest.approx(expected[R @ 100], abs=1e-9)
    assert found.mrr_10 == pytest.approx(expected[RR @ 10], abs=1e-9)
