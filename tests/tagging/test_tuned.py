"""Learners that train a tiny encoder: what they learn is what they score by, also from files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tagging_fixtures import WORDS

from notesearch.encoders.models import open_encoder, prepare
from notesearch.errors import ModelError
from notesearch.tagging.calibration import Calibration
from notesearch.tagging.classifier import Classifier, load_classifier, save_classifier, tuned_dir
from notesearch.tagging.estimators import Estimator, Features, Heads, Ridge
from notesearch.tagging.features import Content
from notesearch.tagging.labels import Labelled, choose_labels
from notesearch.tagging.taggers import TrainedTagger
from notesearch.tagging.tuned import FineTuned, Tuning, slow_estimators

pytest_plugins = ["tagging_fixtures"]

Rows = NDArray[np.int64]
NAMES = ("contrastive", "fine-tuned", "fine-tuned + tf-idf")
TRAIN, TEST = np.arange(32), np.arange(32, 40)


@pytest.fixture(scope="module")
def features() -> Features:
    """Texts of which every other is about cooking; what their vectors are tells nothing."""
    generator = np.random.default_rng(0)
    notes = []
    for row in range(40):
        label = sorted(WORDS)[row % 2]
        text = " ".join(generator.choice(WORDS[label], 6))
        notes.append(Labelled(Content(f"/{row}.md", "", "", (), text, (text,)), (label,)))
    vectors = generator.normal(size=(42, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Features(choose_labels(notes, 2), vectors[:40], vectors[40:])


@pytest.fixture
def tuning(tiny_training, tiny_encoder: Path, features: Features) -> Tuning:
    return Tuning(str(tiny_encoder), features, 0, lambda what, done, total: None)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Rows]]:
    """What the encoder was trained on with a head, each time."""
    trained: list[Rows] = []
    fit = Tuning.fit

    def spy(self: Tuning, train: Rows):
        trained.append(train)
        return fit(self, train)

    monkeypatch.setattr(Tuning, "fit", spy)
    yield trained


def learner_named(name: str, features: Features, tuning: Tuning) -> Estimator:
    (found,) = (estimator for estimator in slow_estimators(features, tuning) if estimator.name == name)
    return found


def classifier_of(features: Features, method: str, heads: Heads, calibration: Calibration) -> Classifier:
    return Classifier(
        labels=features.examples.labels,
        method=method,
        exclusive=calibration.exclusive,
        heads=heads,
        scored_by_terms=heads.terms is not None,
        vocabulary=features.vocabulary,
        calibration=calibration,
        thresholds=np.full(2, 0.5, dtype=np.float32),
        examples=features.examples.notes,
        vectors=features.vectors,
        name_vectors=features.name_vectors,
        model="",
        encoder="",
        budget_tokens=0,
        tuned=None,
        trained="",
        data="",
    )


def kept(directory: Path, features: Features, tuning: Tuning, method: str, calibration: Calibration) -> Classifier:
    """What a estimator has learnt from `TRAIN`, from files."""
    heads = learner_named(method, features, tuning).fit(TRAIN)
    classifier = classifier_of(features, method, heads, calibration)
    save_classifier(directory, classifier, lambda folder: tuning.save(tuned_dir(folder)))
    found = load_classifier(directory)
    assert found is not None
    return found


def test_the_slow_learners(features: Features, tuning: Tuning) -> None:
    estimators = slow_estimators(features, tuning)
    assert tuple(estimator.name for estimator in estimators) == NAMES
    for estimator in estimators:
        assert estimator.slow and estimator.uses_names
        assert {variant.name for variant in estimator.variants()} == {estimator.name}
        assert estimator in estimator.variants()


@pytest.mark.parametrize("method", NAMES)
def test_labels_are_learnt_from_the_notes_to_learn_from_alone(features: Features, tuning: Tuning, method: str) -> None:
    scores = learner_named(method, features, tuning).score(TRAIN, TEST)
    assert (scores.shape, scores.dtype) == ((len(TEST), 2), np.float32)
    np.testing.assert_array_equal(scores.argmax(axis=1), features.targets[TEST].argmax(axis=1))
    changed = features.targets ^ np.isin(np.arange(40), TEST)[:, np.newaxis]
    other = Features(replace(features.examples, targets=changed), features.vectors, features.name_vectors)
    again = learner_named(method, other, Tuning(tuning._model, other, 0, tuning._progress)).score(TRAIN, TEST)
    np.testing.assert_array_equal(again, scores)


@pytest.mark.parametrize("method", NAMES)
def test_a_tagger_from_files_scores_as_the_learner(
    features: Features, tuning: Tuning, tmp_path: Path, method: str
) -> None:
    calibration = Calibration(True, 1.0, (0.5, 0.5), 0.25, 0.5, 0.5, (0.75, 0.5))
    expected = learner_named(method, features, tuning).score(TRAIN, TEST)
    found = kept(tmp_path / "classifiers/mine", features, tuning, method, calibration)
    assert found.tuned is not None and found.heads.tuned is not None
    assert (found.heads.terms is not None) == found.scored_by_terms == ("tf-idf" in method)
    scores = TrainedTagger(found).score([features.examples.contents[row] for row in TEST], features.vectors[TEST])
    wanted = calibration.probabilities(expected, features.names[TEST])
    np.testing.assert_allclose(scores, wanted, atol=0.03)
    assert np.ptp(wanted) > 0.3


def test_fine_tuned_and_tf_idf_is_the_sum_of_both(features: Features, tuning: Tuning) -> None:
    tuned, both = (learner_named(name, features, tuning) for name in NAMES[1:])
    frozen, logits = Ridge(features).score(TRAIN, TEST), tuned.score(TRAIN, TEST)
    weights = []
    for variant in both.variants():
        assert isinstance(variant, FineTuned)
        weights.append(variant.logit_weight)
        np.testing.assert_allclose(variant.score(TRAIN, TEST), frozen + weights[-1] * logits, rtol=1e-5)
    assert len(set(weights)) == len(weights) > 1 and min(weights) > 0


def test_what_is_asked_for_twice_is_trained_once(features: Features, tuning: Tuning, fits: list[Rows]) -> None:
    tuned, both = (learner_named(name, features, tuning) for name in NAMES[1:])
    first = tuned.score(TRAIN, TEST)
    for variant in both.variants():
        variant.score(TRAIN, TEST)
    np.testing.assert_array_equal(tuned.score(TRAIN, TEST), first)
    assert len(fits) == 1
    tuned.score(TRAIN[:-1], TEST)
    tuned.score(TRAIN, TEST[:-1])
    assert [len(rows) for rows in fits] == [32, 31, 32]
    tuned.fit(TRAIN)
    assert len(fits) == 4, "the encoder has to be as it was trained last"


def test_progress_is_told(features: Features, tuning: Tuning) -> None:
    told: list[tuple[str, int, int]] = []
    tuning._progress = lambda *what: told.append(what)
    for method in NAMES[:2]:
        learner_named(method, features, tuning).score(TRAIN, TEST)
    assert list(dict.fromkeys(what for what, _, _ in told)) == ["lower layers", "contrastive", "fine-tuned"]
    last = {what: (done, total) for what, done, total in told}
    assert all(done == total for done, total in last.values())


@pytest.fixture
def directory(features: Features, tuning: Tuning, tmp_path: Path) -> Path:
    """A classifier with a fine-tuned encoder."""
    kept(tmp_path / "classifiers/mine", features, tuning, "fine-tuned", Calibration(True, 1.0, (0.5, 0.5)))
    return tmp_path / "classifiers/mine"


def test_the_saved_encoder_is_a_model_as_any_other(features: Features, directory: Path, tiny_encoder: Path) -> None:
    found = load_classifier(directory)
    assert found is not None and found.tuned is not None
    texts = [features.examples.contents[row].text for row in TEST]
    own, same, base = (
        open_encoder(model).encode_passages(texts).vectors
        for model in (found.tuned, prepare(str(tuned_dir(directory))), prepare(str(tiny_encoder)))
    )
    np.testing.assert_array_equal(own, same)
    assert (own * base).sum(axis=1).max() < 0.99, "it was trained"


def test_files_of_the_encoder_are_private(directory: Path) -> None:
    modes = {path.stat().st_mode & 0o077 for path in (directory, *directory.rglob("*"))}
    assert modes == {0}


def damages(file: Path) -> Iterator[None]:
    """Spoils a file in several ways, one after the other."""
    data = file.read_bytes()
    for place in (len(data) // 3, len(data) - 1):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        yield
        file.write_bytes(data[:place])
        yield
    file.unlink()
    yield
    file.write_bytes(data)


def test_a_damaged_encoder_is_never_used(directory: Path) -> None:
    prepared = load_classifier(directory)
    assert prepared is not None and prepared.tuned is not None
    for name in ("model.onnx", "tokenizer.json", "encoder.json"):
        for _ in damages(prepared.tuned.directory / name):
            with pytest.raises(ModelError, match="damaged") as caught:
                load_classifier(directory)
            assert "train-classifier --name mine" in caught.value.hint
    assert load_classifier(directory) is not None
