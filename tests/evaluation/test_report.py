import math
import re
from dataclasses import replace

import pytest
from html_page import Page

from notesearch.evaluation.collections import Collection
from notesearch.evaluation.report import Evaluation, report_as_json, report_page, score_run, sum_up
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


def evaluation(text: str = "plain") -> Evaluation:
    """One in which every text that comes from outside is this one."""
    collection = Collection(
        queries={"1": text, "2": "lentils"},
        qrels={"1": {"a": 1.0}, "2": {"b": 1.0}},
        grades={"1": text, "2": "typo"},
        notes_dir=None,
        corpus_file=None,
    )
    before = score_run("lexical", {"1": ["a"], "2": ["x", "b"]}, collection, ms_per_query=3.25)
    after = score_run(text, {"1": [text, "a"], "2": ["b"]}, collection)
    return sum_up(collection, [before, after], [Skipped(text, text)], worst=3)


def test_the_tables_hold_what_was_found_out():
    rows = Page(report_page(evaluation())).rows
    assert rows[0] == [
        "stage", "nDCG@10", "95 % interval", "recall@10", "recall@100", "MRR@10", "hit@1", "ms/query"
    ]  # fmt: skip
    assert rows[1] == ["lexical", "0.815", "0.631 to 1.000", "1.000", "1.000", "0.750", "0.500", "3.2"]
    assert rows[2][0] == "plain" and rows[2][-1] == ""
    assert ["plain", "1.000 → 0.631", "1 → 2", "plain"] in rows
    assert rows[-1] == ["plain", "plain"]


def test_there_is_a_chart_of_the_stages_each_kind_of_query_and_each_comparison():
    page = Page(report_page(evaluation()))
    charts = [attributes["aria-label"] for tag, attributes in page.elements if tag == "svg"]
    assert charts == ["bars from 0 to 1"] * 3 + ["differences of the queries"]
    assert "plain against lexical" in page.text
    assert "2 queries, judged" in page.text
    assert "made from the notes' own titles" in Page(report_page(replace(evaluation(), own_notes=True))).text


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "\"'><img src=x>", "</title></style></td>&amp;"])
def test_texts_are_shown_as_they_are_and_are_no_markup(text):
    page = Page(report_page(evaluation(text)))
    plain = Page(report_page(evaluation("plain")))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert page.rows == [[cell.replace("plain", text) for cell in row] for row in plain.rows]


def test_bars_and_intervals_are_to_scale():
    """0 is at 190, and 1 at 670."""
    html = report_page(evaluation())
    before, after = re.findall(r'class="bar" x="190" y="\d+" width="([\d.]+)"', html)[:2]
    assert before == after == f"{480 * (1 + 1 / math.log2(3)) / 2:.1f}"
    assert re.findall(r'class="interval" d="M([\d.]+)[^"]*H([\d.]+)', html)[0] == ("492.8", "670.0")


def test_a_long_name_is_shown_by_its_end_in_a_chart():
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", report_page(evaluation("x" * 80 + "end.run")))
    assert f"…{'x' * 22}end.run" in texts


def test_differences_are_bars_up_and_down_from_a_line():
    """The bars of two queries that are better, one that is the same and one that is worse; +1 is at 0 and −1 at 120."""
    ranks = {"better": ([], ["a"]), "too": ([], ["a"]), "same": (["a"], ["a"]), "worse": (["a"], ["x", "a"])}
    collection = Collection(
        queries={query: query for query in ranks},
        qrels={query: {"a": 1.0} for query in ranks},
        grades={},
        notes_dir=None,
        corpus_file=None,
    )
    before, after = ({query: own[place] for query, own in ranks.items()} for place in (0, 1))
    html = report_page(sum_up(collection, [score_run("1", before, collection), score_run("2", after, collection)], []))
    up, down = re.findall(r'<path class="(?:bar|worse)" d="([^"]+)"', html)
    assert up == "M30.0 60V0.0H375.0V60Z"
    assert down == f"M547.5 60V{60 + 60 * (1 - 1 / math.log2(3)):.1f}H720.0V60Z"
