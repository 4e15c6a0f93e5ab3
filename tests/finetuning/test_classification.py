"""Fine-tuning on labelled texts: batches and losses by hand, and what tiny encoders learn."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tagging_fixtures import WORDS, text_about

from notesearch.finetuning.classification import (
    fit_classifier,
    fit_contrastive,
    label_loss,
    linear_probe,
    pair_up,
    shuffled_batches,
    supcon_loss,
)
from notesearch.finetuning.trainer import TrainableEncoder

pytest_plugins = ["tagging_fixtures"]

TEXTS = [text_about(topic, number) + f" {number}" for number in range(16) for topic in WORDS]
EXCLUSIVE = np.eye(2, dtype=bool)[np.arange(32) % 2]
# Whether it is about databases, and whether about anything.
ANY_NUMBER = np.stack([np.arange(32) % 2 == 1, np.ones(32, dtype=bool)], axis=1)
TRAINED = list(range(20))


def bools(*rows: str) -> np.ndarray:
    return np.array([[cell == "1" for cell in row] for row in rows])


@pytest.fixture
def encoder(tiny_training: None, tiny_encoder: Path) -> TrainableEncoder:
    return TrainableEncoder(str(tiny_encoder), TEXTS, tokens=48, layers=1, seed=0)


def test_each_text_is_in_one_batch_among_texts_of_like_length() -> None:
    lengths = {number: number * 7 % 100 for number in range(3, 63)}
    batches = shuffled_batches(lengths, 8, np.random.default_rng(0))
    assert sorted(number for batch in batches for number in batch) == list(lengths)
    assert {len(batch) for batch in batches} == {8, 4}
    assert max(max(lengths[n] for n in batch) - min(lengths[n] for n in batch) for batch in batches) < 20
    # Not from the shortest to the longest, and not twice alike.
    longest = [max(lengths[number] for number in batch) for batch in batches]
    assert longest != sorted(longest)
    assert batches != shuffled_batches(lengths, 8, np.random.default_rng(1))


def test_pairs_share_a_label() -> None:
    targets = bools("1000", "1000", "1100", "0100", "0010", "0001", "0001")
    for seed in range(20):
        places = pair_up(targets, 2, np.random.default_rng(seed))
        assert len(places) == len(set(places)) in (3, 4)
        assert 4 not in places, "label 2 has but one text"
        assert (targets[places].sum(axis=0) >= 2).sum() >= 2
    assert pair_up(np.eye(3, dtype=bool), 2, np.random.default_rng(0)) == []


def test_exclusive_labels_share_one_softmax() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, math.log(2)]])
    # A third for the first text's label; for the second's, a half.
    loss = label_loss(logits, bools("100", "001"), exclusive=True)
    assert loss.item() == pytest.approx((math.log(3) + math.log(2)) / 2)


def test_other_labels_have_a_sigmoid_each() -> None:
    logits = torch.tensor([[math.log(3), 0.0], [math.log(3), 0.0]])
    # 3/4 for the first label and 1/2 for the second: right twice, then wrong and right.
    expected = (math.log(4 / 3) + math.log(2) + math.log(4) + math.log(2)) / 2
    assert label_loss(logits, bools("11", "00"), exclusive=False).item() == pytest.approx(expected)


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_probe_tells_apart_what_a_plane_can(exclusive: bool) -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8]], dtype=np.float32)
    weights, bias = linear_probe(vectors, bools("10", "10", "01", "01"), exclusive=exclusive)
    assert (torch.from_numpy(vectors) @ weights + bias).argmax(dim=1).tolist() == [0, 0, 1, 1]


def test_a_probe_of_vectors_that_tell_nothing_gives_the_labels_odds() -> None:
    weights, bias = linear_probe(np.zeros((4, 2), dtype=np.float32), bools("100", *["010"] * 3), exclusive=False)
    assert weights.detach().abs().max() == 0
    probabilities = torch.sigmoid(bias).tolist()
    assert probabilities[:2] == pytest.approx([1 / 4, 3 / 4], abs=0.02)
    assert probabilities[2] < 0.1


def test_the_supcon_loss_of_three_texts() -> None:
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    # For the first two, e^(1/.07) against e^0; the third has nobody to be close to.
    loss = supcon_loss(vectors, bools("10", "10", "01"))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1 / 0.07)), abs=1e-6)
    # The first and the last: e^0 against e^(1/.07), and against another e^0.
    far = supcon_loss(vectors, bools("10", "01", "10"))
    assert far.item() == pytest.approx((math.log(math.exp(1 / 0.07) + 1) + math.log(2)) / 2, rel=1e-5)


def test_texts_attract_each_other_by_how_many_labels_they_share() -> None:
    vectors = torch.zeros(3, 3)
    vectors[0, 0] = vectors[1, 1] = vectors[2, 2] = 1
    vectors[1, 0] = 0.07  # the similarity of the first text with the second; all others are 0
    # Jaccard 1/2 with the second, 1/3 with the third, which have none in common: 3/5 and 2/5 of the attraction.
    first = math.log(1 + math.e) - 0.6
    second = math.log(1 + math.e) - 1
    loss = supcon_loss(vectors, bools("1100", "1000", "0110"))
    assert loss.item() == pytest.approx((first + second + math.log(2)) / 3, rel=1e-4)


def test_the_gradient_of_the_supcon_loss_is_finite() -> None:
    vectors = torch.eye(3, requires_grad=True)
    supcon_loss(vectors, bools("10", "10", "01")).backward()
    assert vectors.grad is not None and vectors.grad.isfinite().all() and vectors.grad.abs().max() > 0


@pytest.mark.parametrize("exclusive", [True, False])
def test_labels_are_learnt(encoder: TrainableEncoder, exclusive: bool) -> None:
    targets = EXCLUSIVE if exclusive else ANY_NUMBER
    steps: list[tuple[int, int]] = []
    weights, bias = fit_classifier(
        encoder, TRAINED, targets[TRAINED], exclusive=exclusive, epochs=20, progress=lambda *step: steps.append(step)
    )
    assert (weights.shape, weights.dtype, bias.shape, bias.dtype) == ((32, 2), np.float32, (2,), np.float32)
    vectors = encoder.embed(range(32))
    logits = vectors @ weights + bias
    found = logits == logits.max(axis=1, keepdims=True) if exclusive else logits > 0
    assert (found == targets).mean() > 0.9, "of texts not trained on, too"
    # Two batches an epoch.
    assert steps == [(step, 40) for step in range(1, 41)]
    assert margin(vectors) > margin(encoder.untrained) + 0.05, "only the head was trained"


def margin(vectors: np.ndarray) -> float:
    """How much more similar texts of one topic are than texts of two."""
    similarities, same = vectors @ vectors.T, EXCLUSIVE[: len(vectors)] @ EXCLUSIVE[: len(vectors)].T
    return float(similarities[same].mean() - similarities[~same].mean())


def test_a_fit_starts_again_from_the_same_weights_and_an_interrupted_one_spoils_nothing(
    encoder: TrainableEncoder,
) -> None:
    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    first, _ = fit_classifier(encoder, TRAINED, EXCLUSIVE[TRAINED], exclusive=True)
    vectors = encoder.embed(range(32))
    fit_contrastive(encoder, TRAINED, EXCLUSIVE[TRAINED])
    with pytest.raises(KeyboardInterrupt):
        fit_classifier(encoder, TRAINED, EXCLUSIVE[TRAINED], exclusive=True, progress=interrupt)
    np.testing.assert_array_equal(encoder.embed([0, 1]), encoder.embed([0, 1]))
    again, _ = fit_classifier(encoder, TRAINED, EXCLUSIVE[TRAINED], exclusive=True)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(encoder.embed(range(32)), vectors)


def test_contrastive_tuning_brings_texts_of_a_label_together(encoder: TrainableEncoder) -> None:
    steps: list[tuple[int, int]] = []
    rows = TRAINED * 4
    fit_contrastive(encoder, rows, EXCLUSIVE[rows], progress=lambda *step: steps.append(step))
    assert margin(encoder.embed(range(20, 32))) > margin(encoder.untrained[20:]) + 0.02
    # Three epochs of 80 texts, 32 a step at most.
    assert steps == [(step, 9) for step in range(1, 10)]


def test_without_two_texts_of_a_label_nothing_is_tuned(encoder: TrainableEncoder) -> None:
    fit_contrastive(encoder, range(2), EXCLUSIVE[:2])
    np.testing.assert_allclose(encoder.embed(range(32)), encoder.untrained, atol=0.02)
