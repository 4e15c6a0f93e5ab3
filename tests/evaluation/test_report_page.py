import re
from dataclasses import replace

import pytest
from html_page import Page

from notesearch.evaluation import Collection, Evaluation, score_run, sum_up
from notesearch.evaluation.report import bar_chart, difference_chart, report_page
from notesearch.records import Skipped


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


def test_the_page_loads_nothing():
    html = report_page(evaluation())
    assert "default-src 'none'" in html
    tags = {tag for tag, _ in Page(html).elements}
    assert not tags & {"script", "link", "img", "iframe", "a", "base", "form"}
    assert not any(word in html for word in ("http://", "https://", "url(", "@import"))


def test_bars_and_intervals_are_to_scale():
    svg = bar_chart([("none", 0.0, None), ("all", 1.0, (0.5, 1.0))])
    assert re.findall(r'class="bar" x="190" y="\d+" width="([\d.]+)"', svg) == ["0.0", "480.0"]
    assert re.findall(r'class="interval" d="M([\d.]+)[^"]*H([\d.]+)', svg) == [("430.0", "670.0")]


def test_a_long_label_is_shown_by_its_end():
    assert "…" in bar_chart([("x" * 80 + "end.run", 0.5, None)])
    assert "end.run" in bar_chart([("x" * 80 + "end.run", 0.5, None)])


def test_differences_are_bars_up_and_down_from_a_line():
    up, down = re.findall(r'<path class="(?:bar|worse)" d="([^"]+)"', difference_chart([1.0, 0.0, -0.5]))
    assert up == "M30 60V0.0H260.0V60.0H720.0V60Z"
    assert down == "M30 60V60.0H490.0V90.0H720.0V60Z"
