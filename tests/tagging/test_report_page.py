from copy import deepcopy
from typing import Any

import pytest
from html_page import Page

from notesearch.pages import render_page

REPORT: dict[str, Any] = {
    "name": "mine",
    "labels_from": "tags",
    "notes": 1234,
    "labels": ["work", "home"],
    "exclusive": False,
    "rare": [["seldom", 2]],
    "universal": ["all"],
    "methods": [
        {"name": "most frequent", "micro_f1": 0.25, "macro_f1": 0.125, "spread": 0.0625, "seconds": 0.5},
        {"name": "tf-idf", "micro_f1": 0.75, "macro_f1": 0.5, "spread": 0.03125, "seconds": 12.25},
    ],
    "method": "tf-idf",
    "held_out": {
        "split": "time",
        "notes": 250,
        "micro_f1": 0.7,
        "macro_f1": 0.6,
        "precision": 0.8,
        "recall": 0.55,
        "untagged": 0.125,
        "calibration_error": 0.031,
        "labels": [
            {"label": "home", "precision": 1, "recall": 0.5, "f1": 0.67, "support": 4, "threshold": 0.3},
            {"label": "work", "precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 40, "threshold": 0.4},
        ],
        "bins": [{"probability": 0.05, "right": 0.04, "count": 400}, {"probability": 0.9, "right": 1, "count": 100}],
        "confusions": [["home", "work", 7]],
    },
}


def report_page(report: dict[str, Any]) -> str:
    return render_page("classifier.html", report=report)


def with_hostile_texts(text: str) -> dict[str, Any]:
    report = deepcopy(REPORT)
    report |= {"name": text, "labels_from": text, "labels": [text], "rare": [[text, 2]], "universal": [text]}
    report |= {"method": text}
    report["methods"][0]["name"] = text
    report["held_out"]["labels"][0]["label"] = text
    report["held_out"]["confusions"] = [[text, text, 7]]
    return report


def test_the_tables_hold_what_the_report_says() -> None:
    page = Page(report_page(REPORT))
    assert page.rows == [
        ["method", "micro-F1", "macro-F1", "spread", "seconds", "mean of both"],
        ["most frequent", "0.250", "0.125", "± 0.062", "0", ""],
        ["tf-idf", "0.750", "0.500", "± 0.031", "12", ""],
        ["label", "precision", "recall", "F1", "notes", "threshold", "F1"],
        ["work", "0.90", "0.80", "0.85", "40", "0.40", ""],
        ["home", "1.00", "0.50", "0.67", "4", "0.30", ""],
        ["the note has", "but is given", "times"],
        ["home", "work", "7"],
    ]
    widths = [attributes["style"] for tag, attributes in page.elements if attributes.get("class") == "bar"]
    assert widths == ["width:18.8%", "width:62.5%", "width:85.0%", "width:67.0%"]
    kept = [attributes for tag, attributes in page.elements if tag == "tr" and attributes.get("class") == "kept"]
    assert len(kept) == 1


def test_the_text_says_how_good_it_is_and_what_is_left_out() -> None:
    text = Page(report_page(REPORT)).text
    for said in (
        "1,234 notes, 2 labels, labels from tags. Kept: tf-idf.",
        "On 250 notes held out (time)",
        "Micro-F1 0.700, macro-F1 0.600, precision 0.800, recall 0.550; 12% of the notes get no suggestion",
        "Expected calibration error 0.031",
        "seldom (2), all (on every note)",
    ):
        assert said in text


def test_each_bin_is_a_dot_within_the_plot_and_fuller_ones_are_larger() -> None:
    page = Page(report_page(REPORT))
    (svg,) = (attributes for tag, attributes in page.elements if tag == "svg")
    size = float(str(svg["viewbox"]).split()[-1])
    dots = [
        [float(str(attributes[name])) for name in ("cx", "cy", "r")]
        for tag, attributes in page.elements
        if tag == "circle"
    ]
    (low, left_up, large), (high, right_up, small) = dots
    assert low < high and left_up > right_up and large > small > 0
    assert all(0 <= place <= size for x, y, _ in dots for place in (x, y))


def test_what_there_is_none_of_has_no_heading() -> None:
    report = deepcopy(REPORT) | {"rare": [], "universal": [], "methods": []}
    report["held_out"] |= {"confusions": [], "bins": [], "labels": []}
    text = Page(report_page(report)).text
    assert "Left out" not in text and "Confusions" not in text
    assert "Left out" in Page(report_page(REPORT)).text and "Confusions" in Page(report_page(REPORT)).text


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "</title></style></td>&amp;", "a & b < c"]
)
def test_texts_are_shown_as_they_are_and_are_no_markup(text: str) -> None:
    page = Page(report_page(with_hostile_texts(text)))
    plain = Page(report_page(with_hostile_texts("plain")))
    assert page.elements == plain.elements
    assert page.text == plain.text.replace("plain", text)
    assert page.text.count(text) == plain.text.count("plain") == 10


def test_the_page_loads_nothing() -> None:
    html = report_page(REPORT)
    page = Page(html)
    policies = [own["content"] for _, own in page.elements if own.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "a", "base", "form"}
    assert not any(name in ("src", "href", "xlink:href") for _, own in page.elements for name in own)
    assert not any(word in html for word in ("http://", "https://", "url(", "@import", "//"))
    assert html.startswith("<!doctype html>\n") and '<meta charset="utf-8">' in html
