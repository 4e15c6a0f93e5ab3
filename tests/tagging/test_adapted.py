from pathlib import Path

import pytest
from tagging_fixtures import WORDS, text_about, write_labels

from notesearch.encoders import prepare
from notesearch.library.tag import suggest_tags
from notesearch.library.train import TrainingOptions, train_classifier
from notesearch.settings import Settings
from notesearch.tagging.classifier import load_classifier

pytest_plugins = ["tagging_fixtures"]
LABELS = {"food": "cooking", "data": "databases"}


def options(folder: Path, base: Path) -> TrainingOptions:
    labels = write_labels(folder / "labels.jsonl", LABELS, 16)
    return TrainingOptions(str(labels), base=str(base), method="embeddings", adapt=True)


@pytest.mark.parametrize(("lead", "spread", "kept"), [(0.1, 0.05, True), (0.1, 0.2, False), (-0.1, 0.05, False)])
def test_an_adapted_encoder_is_kept_only_if_it_is_ahead_by_more_than_the_spread(
    tiny_training, tiny_encoder, tmp_path, monkeypatch, lead, spread, kept
) -> None:
    monkeypatch.setattr("notesearch.tagging.adapted.compare", lambda *contestants: (lead, spread))
    settings = Settings(tmp_path / "index")
    report, _ = train_classifier(settings, options(tmp_path, tiny_encoder))
    assert report.adaptation is not None
    assert (report.adaptation.lead, report.adaptation.lead_spread, report.adaptation.kept) == (lead, spread, kept)
    directory = tmp_path / "index" / "classifiers" / "default"
    classifier = load_classifier(directory)
    assert classifier is not None
    base = prepare(str(tiny_encoder)).config.fingerprint
    assert (classifier.encoder != base) is kept
    assert classifier.model == (str(directory / "base") if kept else str(tiny_encoder))
    assert prepare(classifier.model).config.fingerprint == classifier.encoder
    assert [path.name for path in directory.parent.iterdir()] == ["default"]
    note = tmp_path / "note.md"
    note.write_text(text_about("cooking", len(WORDS)))
    assert suggest_tags(settings, [note]).basis == "classifier"


def test_the_comparison_is_of_the_same_learner_on_the_same_notes(tiny_training, tiny_encoder, tmp_path) -> None:
    report, _ = train_classifier(Settings(tmp_path / "index"), options(tmp_path, tiny_encoder))
    assert report.adaptation is not None
    assert report.adaptation.kept is (report.adaptation.lead > report.adaptation.lead_spread)
