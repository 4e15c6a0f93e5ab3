import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from notesearch.tagging.calibration import Bin, Calibration, LabelMeasures
from notesearch.tagging.classifier import Classifier
from notesearch.tagging.estimators import Heads, Material, MostFrequent, Ridge
from notesearch.tagging.features import Content, Vocabulary
from notesearch.tagging.labels import Example, Examples
from notesearch.tagging.report import MethodResult, make_report, report_as_json, write_report
from notesearch.tagging.selection import Contest, Entry, HeldOut, Trained

EXAMPLES = Examples(
    contents=(Content("/a.md", "A", "", (), "text", ("text",)),) * 4,
    labels=("home", "wörk"),
    targets=np.array([[True, False], [False, True]] * 2),
    exclusive=True,
    rare=(("seldom", 2),),
    universal=("all",),
)
MATERIAL = Material(EXAMPLES, np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)[:2])
CALIBRATION = Calibration(True, 1.0, (0.5, 0.5))
THRESHOLDS = np.array([0.25, 0.5], dtype=np.float32)
SCORES = np.zeros((4, 2), dtype=np.float32)
FIRST = Entry(
    MostFrequent(MATERIAL), SCORES, np.array([0.2, 0.4]), np.array([0.0, 0.2]), 1.0, CALIBRATION, THRESHOLDS, 1.5
)
BEST = Entry(Ridge(MATERIAL), SCORES, np.array([0.8, 0.9]), np.array([0.6, 0.9]), 0.5, CALIBRATION, THRESHOLDS, 20.0)
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
    Contest((FIRST, BEST), BEST, FIRST, 0.5, 0.1, True),
    HELD_OUT,
    30.0,
)
CLASSIFIER = Classifier(
    labels=EXAMPLES.labels,
    method=BEST.learner.name,
    exclusive=True,
    heads=TRAINED.heads,
    scored_by_terms=False,
    vocabulary=Vocabulary((), np.zeros(0, dtype=np.float32)),
    calibration=CALIBRATION,
    thresholds=THRESHOLDS,
    examples=(Example("/a.md", "A", ("home",)),),
    vectors=np.eye(4, dtype=np.float32)[:1],
    name_vectors=MATERIAL.name_vectors,
    model="some/model",
    encoder="0123",
    budget_tokens=128,
    tuned=None,
    trained="2024-01-02T03:04:05+00:00",
    data="the-hash",
)
REPORT = make_report("mine", "tags", 9, EXAMPLES, TRAINED)


def test_a_report_sums_up_a_training() -> None:
    assert (REPORT.name, REPORT.labels_from, REPORT.labels) == ("mine", "tags", ("home", "wörk"))
    assert (REPORT.notes, REPORT.labelled) == (4, 9)
    assert (REPORT.exclusive, REPORT.rare, REPORT.universal) == (True, (("seldom", 2),), ("all",))
    assert (REPORT.method, REPORT.runner_up, REPORT.interrupted) == ("tf-idf + embeddings", "most frequent", True)
    assert (REPORT.held_out, REPORT.seconds) == (HELD_OUT, 30)


def test_methods_by_hand_and_the_lead_of_the_contest() -> None:
    assert REPORT.methods == (
        MethodResult("most frequent", *(pytest.approx(value) for value in (0.3, 0.1, np.sqrt(0.02))), seconds=1.5),
        MethodResult(
            "tf-idf + embeddings", *(pytest.approx(value) for value in (0.85, 0.75, np.sqrt(0.02))), seconds=20
        ),
    )
    assert (REPORT.lead, REPORT.lead_spread) == (0.5, 0.1)


def test_a_single_method_and_a_single_fold() -> None:
    only = replace(BEST, micro=BEST.micro[:1], macro=BEST.macro[:1])
    contest = Contest((only,), only, None, 0.0, 0.0)
    report = make_report("mine", "tags", 4, EXAMPLES, replace(TRAINED, contest=contest))
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
        "4 notes, labels from tags; hash of notes and labels the-hash",
        "tf-idf + embeddings, on the encoder some/model (0123)",
        "Trained: 2024-01-02T03:04:05+00:00",
        "2 notes held out (time): micro-F1 0.667, macro-F1 0.500, calibration error 0.123",
    ):
        assert said in card


def test_a_card_says_that_notes_may_have_several_labels(tmp_path: Path) -> None:
    write_report(tmp_path, replace(REPORT, exclusive=False), CLASSIFIER)
    assert "any number of labels a note" in (tmp_path / "README.md").read_text()
