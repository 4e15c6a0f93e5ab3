import pytest

from notesearch.evaluation import Collection, score_run, sum_up
from notesearch.evaluation.report import report_as_json
from notesearch.records import Skipped

COLLECTION = Collection(
    queries={"1": "cap theorem", "2": "red lentils", "3": "bread"},
    qrels={"1": {"cap": 1.0}, "2": {"dal": 1.0}, "3": {"bread": 1.0}},
    grades={"1": "exact", "2": "exact", "3": "typo"},
    notes_dir=None,
    corpus_file=None,
    skipped=(Skipped("qrels", "1 query without a relevant document"),),
)
GOOD = score_run("good", {"1": ["cap"], "2": ["dal"], "3": ["x", "bread"]}, COLLECTION, ms_per_query=2.0)
FAIR = score_run("fair", {"1": ["cap"], "2": ["x", "y", "dal"]}, COLLECTION)
POOR = score_run("poor", {"1": ["x"], "3": ["bread"]}, COLLECTION)


def test_a_run_is_measured_over_all_and_by_grade():
    assert GOOD.by_query.ndcg_10.tolist() == pytest.approx([1.0, 1.0, 0.6309], abs=1e-4)
    assert GOOD.measures.hit_1 == pytest.approx(2 / 3)
    low, high = GOOD.interval
    assert low == pytest.approx(0.6309, abs=1e-4) and high == 1.0
    assert {grade: (means.queries, means.hit_1) for grade, means in GOOD.grades.items()} == {
        "exact": (2, 1.0),
        "typo": (1, 0.0),
    }


def test_each_is_compared_with_the_best_before_it():
    found = sum_up(COLLECTION, [POOR, FAIR, GOOD, POOR], [])
    assert [(entry.stage, entry.against) for entry in found.comparisons] == [
        ("fair", "poor"),
        ("good", "fair"),
        ("poor", "good"),
    ]
    second = found.comparisons[1]
    assert second.differences.tolist() == pytest.approx([0.0, 0.5, 0.6309], abs=1e-4)
    assert (second.outcome.wins, second.outcome.ties, second.outcome.losses) == (2, 1, 0)
    assert second.worst == ()


def test_the_queries_hurt_most_come_first_and_only_those_that_are():
    (comparison,) = sum_up(COLLECTION, [GOOD, FAIR], [], worst=9).comparisons
    bread, lentils = comparison.worst
    assert (bread.query, bread.ndcg_after, bread.rank_before, bread.rank_after, bread.first) == ("bread", 0, 2, 0, "")
    assert (lentils.query, lentils.rank_before, lentils.rank_after, lentils.first) == ("red lentils", 1, 3, "x")
    assert (lentils.ndcg_before, lentils.ndcg_after) == (1.0, 0.5)
    (comparison,) = sum_up(COLLECTION, [GOOD, FAIR], [], worst=1).comparisons
    assert [hurt.query for hurt in comparison.worst] == ["bread"]


def test_the_report_as_json():
    report = report_as_json(sum_up(COLLECTION, [GOOD, FAIR], [Skipped("/a.md", "binary file")], worst=1))
    assert (report["queries"], report["own_notes"]) == (3, False)
    assert report["verdict"].startswith("good scores highest")
    assert [entry["reason"] for entry in report["skipped"]] == ["1 query without a relevant document", "binary file"]
    good, fair = report["stages"]
    assert (good["name"], good["ndcg_10"], good["ms_per_query"], fair["ms_per_query"]) == ("good", 0.877, 2.0, None)
    assert good["grades"]["typo"]["mrr_10"] == 0.5
    (comparison,) = report["comparisons"]
    assert (comparison["stage"], comparison["against"], comparison["losses"]) == ("fair", "good", 2)
    assert comparison["worst"][0]["ndcg_before"] == 0.6309
