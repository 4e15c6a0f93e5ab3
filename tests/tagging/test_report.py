import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from html_page import Page

from notesearch.pages import render_page
from notesearch.tagging.calibration import Bin, Calibration, LabelMeasures
from notesearch.tagging.classifier import Classifier
from notesearch.tagging.estimators import Features, Heads, MostFrequent, Ridge
from notesearch.tagging.features import Content, Vocabulary
from notesearch.tagging.labels import Example, Examples
from notesearch.tagging.report import MethodResult, make_report, report_as_json, write_report
from notesearch.tagging.selection import CrossValidation, HeldOut, Selection, Trained

EXAMPLES = Examples(
    contents=(Content("/a.md", "A", "", (), "text", ("text",)),) * 4,
    labels=("home", "wörk"),
    targets=np.array([[True, False], [False, True]] * 2),
    exclusive=True,
    rare=(("seldom", 2),),
    universal=("all",),
)
FEATURES = Features(EXAMPLES, np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)[:2])
CALIBRATION = Calibration(True, 1.0, (0.5, 0.5))
THRESHOLDS = np.array([0.25, 0.5], dtype=np.float32)
SCORES = np.zeros((4, 2), dtype=np.float32)
FIRST = CrossValidation(
    MostFrequent(FEATURES), SCORES, np.array([0.2, 0.4]), np.array([0.0, 0.2]), 1.0, CALIBRATION, THRESHOLDS, 1.5
)
BEST = CrossValidation(
    Ridge(FEATURES), SCORES, np.array([0.8, 0.9]), np.array([0.6, 0.9]), 0.5, CALIBRATION, THRESHOLDS, 20.0
)
HELD_OUT = HeldOut(
    split="time",
    notes=2,
    micro_f1=2 / 3,
    macro_f1=0.5,
    precision=1.0,
    recall=0.5,
    untagged=0.0,
    calibration_error=0.123456,
    labels=(LabelMeasures("home", 1.0, 0.5, 2 / 3, 2, 0.25),),
    bins=(Bin(0.95, 1.0, 3),),
    confusions=(("home", "wörk", 2),),
)
TRAINED = Trained(
    Heads(np.zeros(2, dtype=np.float32)),
    CALIBRATION,
    THRESHOLDS,
    Selection((FIRST, BEST), BEST, FIRST, 0.5, 0.1, True),
    HELD_OUT,
    30.0,
)
CLASSIFIER = Classifier(
    labels=EXAMPLES.labels,
    method=BEST.estimator.name,
    exclusive=True,
    heads=TRAINED.heads,
    scored_by_terms=False,
    vocabulary=Vocabulary((), np.zeros(0, dtype=np.float32)),
    calibration=CALIBRATION,
    thresholds=THRESHOLDS,
    examples=(Example("/a.md", "A", ("home",)),),
    vectors=np.eye(4, dtype=np.float32)[:1],
    name_vectors=FEATURES.name_vectors,
    model="some/model",
    encoder="0123",
    budget_tokens=128,
    tuned=None,
    trained="2024-01-02T03:04:05+00:00",
    data="the-hash",
)
REPORT = make_report("mine", "tags", 9, EXAMPLES, TRAINED)


def test_methods_by_hand_and_the_lead() -> None:
    assert REPORT.methods == (
        MethodResult("most frequent", *(pytest.approx(value) for value in (0.3, 0.1, np.sqrt(0.02))), seconds=1.5),
        MethodResult(
            "tf-idf + embeddings", *(pytest.approx(value) for value in (0.85, 0.75, np.sqrt(0.02))), seconds=20
        ),
    )
    assert (REPORT.lead, REPORT.lead_spread) == (0.5, 0.1)


def test_a_single_method_and_a_single_fold() -> None:
    only = replace(BEST, micro=BEST.micro[:1], macro=BEST.macro[:1])
    selection = Selection((only,), only, None, 0.0, 0.0)
    report = make_report("mine", "tags", 4, EXAMPLES, replace(TRAINED, selection=selection))
    assert (report.runner_up, report.lead, report.lead_spread, report.interrupted) == ("", 0, 0, False)
    assert report.methods[0].spread == 0


def values_of(value: Any) -> list[Any]:
    if isinstance(value, dict | list):
        return [leaf for own in (value.values() if isinstance(value, dict) else value) for leaf in values_of(own)]
    return [value]


def test_values_for_json_are_rounded() -> None:
    values = report_as_json(REPORT)
    assert values["held_out"]["micro_f1"] == 0.6667 and values["held_out"]["calibration_error"] == 0.1235
    assert values["held_out"]["confusions"] == [["home", "wörk", 2]]
    assert values["rare"] == [["seldom", 2]]
    assert {type(leaf) for leaf in values_of(values)} == {str, int, float, bool}
    assert json.loads(json.dumps(values)) == values


def test_the_report_is_written_as_json_as_a_page_and_as_a_card(tmp_path: Path) -> None:
    write_report(tmp_path, REPORT, CLASSIFIER)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "report.html", "report.json"]
    values = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert values == report_as_json(REPORT)
    assert "<title>Classifier mine</title>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    card = " ".join((tmp_path / "README.md").read_text(encoding="utf-8").split())
    for said in (
        "# Classifier mine",
        "2 labels, one label a note",
        "Trained on: 4 notes, labels from tags; hash of notes and labels the-hash",
        "tf-idf + embeddings, on the encoder some/model (0123)",
        "Made: 2024-01-02T03:04:05+00:00",
        "2 notes held out (time): micro-F1 0.667, macro-F1 0.500, calibration error 0.123",
    ):
        assert said in card


VALUES: dict[str, Any] = {
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
    report = deepcopy(VALUES)
    report |= {"name": text, "labels_from": text, "labels": [text], "rare": [[text, 2]], "universal": [text]}
    report |= {"method": text}
    report["methods"][0]["name"] = text
    report["held_out"]["labels"][0]["label"] = text
    report["held_out"]["confusions"] = [[text, text, 7]]
    return report


def test_the_tables_of_the_page() -> None:
    page = Page(report_page(VALUES))
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


def test_the_text_of_the_page() -> None:
    text = Page(report_page(VALUES)).text
    for said in (
        "1,234 notes, 2 labels, labels from tags. Kept: tf-idf.",
        "On 250 notes held out (time)",
        "Micro-F1 0.700, macro-F1 0.600, precision 0.800, recall 0.550; 12% of the notes get no suggestion",
        "Expected calibration error 0.031",
        "seldom (2), all (on every note)",
    ):
        assert said in text


def test_each_bin_is_a_dot_within_the_plot_and_fuller_ones_are_larger() -> None:
    page = Page(report_page(VALUES))
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


def test_empty_sections_have_no_heading() -> None:
    report = deepcopy(VALUES) | {"rare": [], "universal": [], "methods": []}
    report["held_out"] |= {"confusions": [], "bins": [], "labels": []}
    text = Page(report_page(report)).text
    assert "Left out" not in text and "Confusions" not in text
    assert "Left out" in Page(report_page(VALUES)).text and "Confusions" in Page(report_page(VALUES)).text


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
    html = report_page(VALUES)
    page = Page(html)
    policies = [own["content"] for _, own in page.elements if own.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "a", "base", "form"}
    assert not any(name in ("src", "href", "xlink:href") for _, own in page.elements for name in own)
    assert not any(word in html for word in ("http://", "https://", "url(", "@import", "//"))
    assert html.startswith("<!doctype html>\n") and '<meta charset="utf-8">' in html
