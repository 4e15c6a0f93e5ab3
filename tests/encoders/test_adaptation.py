"""Masked tokens: which are hidden, how they are guessed, and what training on them leaves behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from notesearch.encoders import adaptation, training
from notesearch.encoders.adaptation import _Guesser, _Masking, adapt
from notesearch.encoders.model_files import read_encoder_config
from notesearch.encoders.training import open_tokenizer
from notesearch.errors import ModelError

TEXTS = ["the river and the train", "a python function and its test", "coffee with a friend in the morning"] * 12


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny matrices gain nothing from more threads, and must move further than large ones to make a difference."""
    monkeypatch.setattr(training, "available_cores", lambda: 1)
    monkeypatch.setattr(adaptation, "_ENCODER_RATE", 5e-3)
    monkeypatch.setattr(adaptation, "_HEAD_RATE", 2e-2)


def weights(directory: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    return load_file(directory / "model.safetensors")


@pytest.fixture
def masking(tiny_bert: Path) -> _Masking:
    return _Masking(tiny_bert, open_tokenizer(tiny_bert, 20), np.random.default_rng(0))


def test_fifteen_percent_are_guessed_and_most_of_them_hidden(masking: _Masking) -> None:
    ids = np.full((40, 1000), 77)
    ids[:, 0], ids[:, 600], ids[:, 601:] = 2, 3, 0  # as [CLS], [SEP] and padding
    mask = (ids > 0).astype(np.int64)
    hidden, guessed = masking.hide(ids, mask)
    assert not guessed[:, [0, *range(600, 1000)]].any()
    assert guessed.mean() * 1000 / 599 == pytest.approx(0.15, abs=0.01)
    np.testing.assert_array_equal(hidden[~guessed], ids[~guessed])
    shares = [(hidden[guessed] == token).mean() for token in (4, 77)]
    assert shares == pytest.approx([0.8, 0.1], abs=0.03)
    others = set(hidden[guessed].tolist()) - {4}
    assert len(others) > 100
    assert not others & {0, 1, 2, 3}
    assert not np.array_equal(masking.hide(ids, mask)[1], guessed)


def test_something_is_guessed_even_of_one_word(masking: _Masking) -> None:
    for _ in range(20):
        _, guessed = masking.hide(np.array([[2, 77, 3]]), np.array([[1, 1, 1]]))
        assert guessed.tolist() == [[False, True, False]]


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "modernbert"])
def test_the_loss_is_that_of_the_whole_head(tiny_models: Any, name: str) -> None:
    with training.torch_settings(0):  # the head is new, and so random
        guesser = _Guesser(tiny_models.directory(name))
    guesser._model.eval()
    guesser._bf16 = False
    answers = torch.randint(5, 200, (3, 12), generator=torch.Generator().manual_seed(0)).numpy()
    guessed = np.zeros((3, 12), dtype=bool)
    guessed[0, 3] = guessed[2, [0, 7]] = True
    hidden, mask = np.where(guessed, 4, answers), np.ones((3, 12), dtype=np.int64)
    mask[1, 6:] = 0
    with torch.no_grad():
        found = guesser.loss(hidden, mask, guessed, answers[guessed])
        expected = guesser._model(
            input_ids=torch.from_numpy(hidden),
            attention_mask=torch.from_numpy(mask),
            labels=torch.from_numpy(np.where(guessed, answers, -100)),
        )
    assert found.item() == pytest.approx(expected.loss.item(), rel=1e-4)
    assert expected.logits.shape[:2] == (3, 12)  # nothing is left of the shortcut


@pytest.mark.parametrize("name", ["bert", "distilbert"])
def test_the_loss_falls_and_an_encoder_is_left(tiny_models: Any, tmp_path: Path, name: str) -> None:
    source, target = tiny_models.directory(name), tmp_path / "adapted"
    told: list[tuple[int, int]] = []
    losses = adapt(source, TEXTS, target, epochs=12, progress=lambda *step: told.append(step))
    assert len(losses) == 12
    assert losses[-1] < losses[0] - 1
    assert told == [(step, 36) for step in range(1, 37)]

    before, after = read_encoder_config(name, source), read_encoder_config(name, target)
    assert after.weights_sha256 != before.weights_sha256
    assert (after.pooling, after.max_tokens, after.passage_prompt, after.lowercase, after.dim) == (
        before.pooling,
        before.max_tokens,
        before.passage_prompt,
        before.lowercase,
        before.dim,
    )
    old, new = weights(source), weights(target)
    # An encoder without a head; the pooler, which nothing here uses, may go.
    assert set(new) == {key for key in old if not key.startswith("pooler.")}
    unmoved = {key for key in new if np.array_equal(new[key], old[key].astype(np.float32))}
    assert unmoved == {"embeddings.word_embeddings.weight"}


def test_the_same_seed_gives_the_same_weights(tiny_bert: Path, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    for name, seed in (("first", 1), ("second", 1), ("third", 2)):
        adapt(tiny_bert, TEXTS, tmp_path / name, epochs=1, seed=seed)
    first, second, third = (weights(tmp_path / name) for name in ("first", "second", "third"))
    assert all(np.array_equal(first[key], second[key]) for key in first)
    assert any(not np.array_equal(first[key], third[key]) for key in first)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_long_text_is_read_to_its_end(tiny_bert: Path, tmp_path: Path) -> None:
    told: list[int] = []
    # 600 words of one token each, 14 to a piece beside two special tokens: 43 pieces, three batches.
    text = ["a " * 600]
    adapt(tiny_bert, text, tmp_path / "adapted", epochs=1, max_tokens=16, progress=lambda _, total: told.append(total))
    assert told == [3, 3, 3]


def test_a_head_that_the_model_brings_along_is_used(tiny_bert: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    model = AutoModelForMaskedLM.from_pretrained(tiny_bert)
    with torch.no_grad():
        model.cls.predictions.bias[77] = 50.0  # it is always sure of one token
    model.save_pretrained(tiny_bert)
    guesser = _Guesser(tiny_bert)
    ids, mask = np.array([[2, 4, 3]]), np.ones((1, 3), dtype=np.int64)
    guessed = np.array([[False, True, False]])
    assert guesser.loss(ids, mask, guessed, np.array([77])).item() < 1
    assert guesser.loss(ids, mask, guessed, np.array([78])).item() > 20


def test_a_tokenizer_without_a_mask_is_a_model_error(tiny_bert: Path, tmp_path: Path) -> None:
    file = tiny_bert / "tokenizer.json"
    file.write_text(file.read_text(encoding="utf-8").replace("[MASK]", "[HIDE]"), encoding="utf-8")
    with pytest.raises(ModelError, match="no mask"):
        adapt(tiny_bert, TEXTS, tmp_path / "adapted", epochs=1)
    assert not (tmp_path / "adapted").exists()


def test_an_architecture_without_masked_tokens_is_a_model_error(tiny_bert: Path, tmp_path: Path) -> None:
    config = json.loads((tiny_bert / "config.json").read_text(encoding="utf-8"))
    (tiny_bert / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}), encoding="utf-8")
    with pytest.raises(ModelError):
        adapt(tiny_bert, TEXTS, tmp_path / "adapted", epochs=1)
