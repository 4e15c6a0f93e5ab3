"""Training the upper layers of tiny encoders: what is learnt, kept, repeated and saved."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from notesearch.encoders import Encoder, EncoderConfig, find_model, fine_tuning, models, training
from notesearch.encoders.fine_tuning import FineTuning, Head
from notesearch.encoders.forward import TorchForward
from notesearch.errors import ModelError

SUBJECTS = ("river train", "coffee mind", "python code")
# Each text's words besides, and how long it is, tell nothing of its subject.
TEXTS = [f"{SUBJECTS[n % 3]} {' '.join(['note', 'the'][: n % 2 + 1] * (n % 5))} {n}" for n in range(30)]
ONE_OF_THREE = np.eye(3, dtype=bool)[np.arange(30) % 3]
# Whether it is about no river, and whether about code.
TWO_OF_TWO = np.stack([np.arange(30) % 3 > 0, np.arange(30) % 3 == 2], axis=1)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny matrices gain nothing from more threads, and must move further than large ones to make a difference."""
    monkeypatch.setattr(training, "available_cores", lambda: 1)
    monkeypatch.setattr(fine_tuning, "_LAYER_RATE", 5e-3)
    monkeypatch.setattr(fine_tuning, "_CONTRASTIVE_RATE", 5e-3)


def open_tuning(source: Path, texts: list[str] = TEXTS, **options: Any) -> FineTuning:
    return FineTuning(source, models.prepare(str(source)).config, texts, trained_layers=1, **options)


@pytest.fixture(scope="module")
def tuning(tiny_models: Any) -> FineTuning:
    """The tiny BERT over the texts; every fit starts again, so it can be shared."""
    return open_tuning(tiny_models.directory("bert"))


def logits(tuning: FineTuning, rows: list[int], head: Head) -> Any:
    return tuning.embed(rows) @ head.weights + head.bias


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "modernbert"])
def test_untrained_vectors_are_the_encoders(
    tiny_models: Any, tmp_path: Path, name: str, cosines: Callable[..., Any]
) -> None:
    source = tiny_models.directory(name)
    prepared = models.prepare(str(source))
    texts = ["CAP", "Übergänge: café, naïve, İstanbul", "The train along the river was late. " * 9, ""]
    expected = Encoder(
        prepared.config, prepared.directory / "tokenizer.json", TorchForward(find_model(str(source)), "cpu", bf16=False)
    )
    tuning = open_tuning(source, texts)
    np.testing.assert_array_equal(tuning.embed(range(4)), tuning.untrained)
    assert tuning.untrained.dtype == np.float32
    assert cosines(tuning.untrained, expected.encode_passages(texts).vectors).min() > 0.999
    np.testing.assert_allclose(tuning.embed([2, 0]), tuning.untrained[[2, 0]], atol=0.02)


def test_exclusive_labels_are_learnt(tuning: FineTuning) -> None:
    rows = list(range(3, 27))
    head = tuning.fit_classifier(rows, ONE_OF_THREE[rows], exclusive=True, epochs=20)
    assert (head.weights.shape, head.bias.shape) == ((32, 3), (3,))
    assert head.weights.dtype == head.bias.dtype == np.float32
    everything = logits(tuning, list(range(30)), head)
    np.testing.assert_array_equal(everything.argmax(axis=1), np.arange(30) % 3)


def test_other_labels_are_learnt(tuning: FineTuning) -> None:
    rows = list(range(3, 27))
    head = tuning.fit_classifier(rows, TWO_OF_TWO[rows], exclusive=False, epochs=20)
    np.testing.assert_array_equal(logits(tuning, rows, head) > 0, TWO_OF_TWO[rows])


def test_the_layers_are_trained_and_not_only_the_head(tuning: FineTuning) -> None:
    def spread(vectors: Any) -> float:
        """How much closer texts of one subject are than texts of two."""
        cosines = vectors @ vectors.T
        same = ONE_OF_THREE @ ONE_OF_THREE.T
        return float(cosines[same].mean() - cosines[~same].mean())

    tuning.fit_classifier(range(30), ONE_OF_THREE, exclusive=True, epochs=20)
    # With the head alone trained, nothing would have moved. The tiny vocabulary differs a little from run to run.
    assert spread(tuning.embed(range(30))) > spread(tuning.untrained) + 0.01


def test_a_fit_starts_again_from_the_same_weights(tuning: FineTuning, tiny_models: Any) -> None:
    first = tuning.fit_classifier(range(30), ONE_OF_THREE, exclusive=True, epochs=1)
    vectors = tuning.embed(range(30))
    tuning.fit_contrastive(range(30), ONE_OF_THREE)
    again = tuning.fit_classifier(range(30), ONE_OF_THREE, exclusive=True, epochs=1)
    np.testing.assert_array_equal(first.weights, again.weights)
    np.testing.assert_array_equal(first.bias, again.bias)
    np.testing.assert_array_equal(tuning.embed(range(30)), vectors)
    for seed in (0, 1):
        other = open_tuning(tiny_models.directory("bert"), seed=seed)
        found = other.fit_classifier(range(30), ONE_OF_THREE, exclusive=True, epochs=1)
        assert np.array_equal(found.weights, first.weights) == (seed == 0)


def test_the_best_epoch_is_kept_and_ends_the_training_soon(tiny_models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tuning = open_tuning(tiny_models.directory("bert"), TEXTS * 4)
    losses = iter([3.0, 1.0, 2.0, 1.5, 0.5])
    seen: list[tuple[Any, Any]] = []

    def measure(rows: Any, labelling: Any, head: Any, held_out: list[int]) -> float:
        assert len(held_out) == 12
        with tuning._encoder.evaluating():
            seen.append((head[0].detach().numpy().copy(), tuning.embed(range(5))))
        return next(losses)

    monkeypatch.setattr(tuning, "_held_out_loss", measure)
    head = tuning.fit_classifier(range(120), np.tile(ONE_OF_THREE, (4, 1)), exclusive=True, epochs=6)
    assert len(seen) == 4
    np.testing.assert_array_equal(head.weights, seen[1][0])
    np.testing.assert_array_equal(tuning.embed(range(5)), seen[1][1])
    assert not np.array_equal(head.weights, seen[3][0])


def test_the_loss_held_out_is_of_texts_not_trained_on_and_without_dropout(
    tiny_models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = open_tuning(tiny_models.directory("bert"), TEXTS * 4)
    losses: list[float] = []
    measure = tuning._held_out_loss

    def twice(*arguments: Any) -> float:
        losses.extend([measure(*arguments), measure(*arguments)])
        return losses[-1]

    monkeypatch.setattr(tuning, "_held_out_loss", twice)
    told: list[tuple[int, int]] = []
    targets = np.tile(ONE_OF_THREE, (4, 1))
    tuning.fit_classifier(
        range(120), targets, exclusive=True, epochs=2, progress=lambda done, total: told.append((done, total))
    )
    assert losses[::2] == losses[1::2]
    assert losses[2] < losses[0] < np.log(3)
    # 108 texts make seven batches of 16.
    assert told == [(step, 14) for step in range(1, 15)]


def test_contrastive_tuning_brings_texts_of_a_label_together(tuning: FineTuning) -> None:
    rows = list(range(18))
    told: list[tuple[int, int]] = []
    targets = ONE_OF_THREE[rows]
    tuning.fit_contrastive(rows * 4, np.tile(targets, (4, 1)), progress=lambda *step: told.append(step))
    before, after = (vectors @ vectors.T for vectors in (tuning.untrained[18:], tuning.embed(range(18, 30))))
    same = ONE_OF_THREE[18:] @ ONE_OF_THREE[18:].T
    assert after[same].mean() - after[~same].mean() > before[same].mean() - before[~same].mean() + 0.05
    # Three epochs of 72 texts, 32 a step at most.
    assert told == [(step, 9) for step in range(1, 10)]


def test_without_two_texts_of_a_label_nothing_is_tuned(tuning: FineTuning) -> None:
    tuning.fit_contrastive(range(3), ONE_OF_THREE[:3])
    np.testing.assert_array_equal(tuning.embed(range(30)), tuning.untrained)


def test_an_interrupted_fit_spoils_nothing(tuning: FineTuning) -> None:
    whole = tuning.fit_classifier(range(30), ONE_OF_THREE, exclusive=True, epochs=1)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        tuning.fit_classifier(range(30), ONE_OF_THREE, exclusive=True, progress=interrupt)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    np.testing.assert_array_equal(tuning.embed([0, 1]), tuning.embed([0, 1]))
    again = tuning.fit_classifier(range(30), ONE_OF_THREE, exclusive=True, epochs=1)
    np.testing.assert_array_equal(again.weights, whole.weights)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_a_saved_model_gives_the_same_vectors(
    tiny_models: Any, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("notesearch.encoders.preparing._LEAST_AGREEMENT", 2.0)  # float32
    source = tiny_models.directory(name)
    texts = [*TEXTS, "The train along the river was late. " * 5]
    tuning = open_tuning(source, texts, max_tokens=16)
    tuning.fit_classifier(range(30), ONE_OF_THREE, exclusive=True, epochs=2)
    saved = tmp_path / "of" / "mine"
    tuning.save(saved)

    expected = models.prepare(str(source)).config
    config = models.prepare(str(saved)).config
    assert config.max_tokens == 16
    assert (config.pooling, config.passage_prompt, config.query_prompt) == (
        expected.pooling,
        expected.passage_prompt,
        expected.query_prompt,
    )
    vectors = models.open_encoder(models.prepare(str(saved))).encode_passages(texts).vectors
    assert (vectors * tuning.embed(range(31))).sum(axis=1).min() > 0.999
    assert (vectors * tuning.untrained).sum(axis=1).min() < 0.99
    modes = {stat.S_IMODE(path.stat().st_mode) for path in saved.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert stat.S_IMODE(saved.stat().st_mode) == 0o700


def test_a_saved_model_is_read_by_sentence_transformers(tiny_models: Any, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    source = tiny_models.directory("roberta")
    tuning = open_tuning(source)
    tuning.fit_classifier(range(30), ONE_OF_THREE, exclusive=True, epochs=1)
    tuning.save(tmp_path / "saved")
    model = SentenceTransformer(str(tmp_path / "saved"), device="cpu", local_files_only=True)
    vectors = model.encode_document(TEXTS, normalize_embeddings=True)
    assert (vectors * tuning.embed(range(30))).sum(axis=1).min() > 0.999


def test_a_module_outside_the_models_directory_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "config.json").write_text("{}")
    modules = (tiny_bert / "modules.json").read_text()
    (tiny_bert / "modules.json").write_text(modules.replace("2_Normalize", "../elsewhere"))
    with pytest.raises(ModelError, match="outside of"):
        open_tuning(tiny_bert)


def test_a_directory_that_cannot_be_written_is_a_model_error(tuning: FineTuning, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError) as caught:
        tuning.save(tmp_path / "file")
    assert str(tmp_path / "file") in caught.value.message
    assert caught.value.hint


def test_damaged_weights_are_a_model_error(tiny_bert: Path) -> None:
    config: EncoderConfig = models.prepare(str(tiny_bert)).config
    (tiny_bert / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError):
        FineTuning(tiny_bert, config, TEXTS)
