import math

import ir_measures
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import RR, R, Success, nDCG

from notesearch.evaluation.collections import read_run
from notesearch.evaluation.measures import Measures, measure_queries, measure_run, ndcg, recall, reciprocal_rank


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
    assert measures == Measures(queries=2, ndcg_10=0.5, recall_10=0.5, recall_100=0.5, mrr_10=0.5, hit_1=0.5)


def test_the_measures_of_each_query_are_in_the_order_of_the_judgements():
    qrels = {"1": {"a": 1.0, "b": 1.0}, "2": {"b": 1.0}}
    found = measure_queries({"2": ["x", "b"], "1": ["a"]}, qrels)
    assert found.recall_10.tolist() == found.recall_100.tolist() == [0.5, 1.0]
    assert found.mrr_10.tolist() == [1.0, 0.5]
    assert found.hit_1.tolist() == [1.0, 0.0]
    assert found.mean().hit_1 == 0.5


DOCUMENTS = [f"d{number}" for number in range(120)]
QUERY_IDS = ["q1", "q2", "q3"]
# Few scores, so that there are many ties, and some that differ only beyond what a 32-bit float holds.
SCORES = st.sampled_from([0.5, 0.5 + 1e-10, -2.0, 3e5]) | st.floats(-1e6, 1e6)


@given(
    qrels=st.fixed_dictionaries(
        {query: st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(1, 3), min_size=1) for query in QUERY_IDS}
    ),
    scores=st.dictionaries(
        st.sampled_from([*QUERY_IDS, "unjudged"]), st.dictionaries(st.sampled_from(DOCUMENTS), SCORES, min_size=1)
    ).filter(len),
)
@settings(max_examples=60, deadline=None)
def test_the_measures_are_those_of_trec_eval(tmp_path_factory, qrels, scores):
    file = tmp_path_factory.mktemp("run") / "run.txt"
    lines = (f"{query} Q0 {doc} 0 {score!r} me" for query, found in scores.items() for doc, score in found.items())
    file.write_text("\n".join(lines))

    found = measure_run(read_run(file), qrels)

    # RR without a depth, since ir_measures does not ask trec_eval for RR@10, and breaks ties another way.
    expected = {nDCG @ 10: [], R @ 10: [], R @ 100: [], RR: [], Success @ 1: []}
    for metric in ir_measures.iter_calc(expected, qrels, scores):
        if metric.query_id in qrels:
            expected[metric.measure].append(metric.value)
    expected[RR] = [value if value >= 0.1 else 0.0 for value in expected[RR]]
    means = (found.ndcg_10, found.recall_10, found.recall_100, found.mrr_10, found.hit_1)
    for values, mean in zip(expected.values(), means, strict=True):
        assert mean == pytest.approx(sum(values) / len(qrels), abs=1e-9)
