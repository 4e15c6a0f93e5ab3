"""What an encoder is trained towards: hand-computed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from notesearch.encoders.objectives import (
    Labelling,
    contrastive_loss,
    hold_out,
    likely_answers,
    linear_probe,
    pair_up,
    ranking_loss,
)


def bools(*rows: str) -> np.ndarray:
    return np.array([[cell == "1" for cell in row] for row in rows])


def test_exclusive_labels_share_one_softmax() -> None:
    labelling = Labelling(bools("100", "010", "001"), exclusive=True)
    logits = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, math.log(2)]])
    # A third for the first text's label; for the last one's, a half.
    assert labelling.loss(logits, [0, 2]).item() == pytest.approx((math.log(3) + math.log(2)) / 2)


def test_other_labels_have_a_sigmoid_each() -> None:
    labelling = Labelling(bools("10", "11", "00"), exclusive=False)
    logits = torch.tensor([[math.log(3), 0.0], [math.log(3), 0.0]])
    # 3/4 for the first label and 1/2 for the second: right twice, then wrong and right.
    expected = (math.log(4 / 3) + math.log(2) + math.log(4) + math.log(2)) / 2
    assert labelling.loss(logits, [1, 2]).item() == pytest.approx(expected)


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_probe_tells_apart_what_a_plane_can(exclusive: bool) -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8]], dtype=np.float32)
    labelling = Labelling(bools("10", "01", "10", "01", "10", "01"), exclusive)
    weights, bias = linear_probe(vectors, labelling, [0, 2, 1, 3])
    logits = (torch.from_numpy(vectors) @ weights + bias).detach().numpy()
    assert logits.argmax(axis=1).tolist() == [0, 0, 1, 1]


def test_a_probe_of_vectors_that_tell_nothing_gives_the_labels_odds() -> None:
    labelling = Labelling(bools("100", *["010"] * 3), exclusive=False)
    weights, bias = linear_probe(np.zeros((4, 2), dtype=np.float32), labelling, range(4))
    assert weights.detach().abs().max() == 0
    shares = torch.sigmoid(bias).tolist()
    assert shares[:2] == pytest.approx([1 / 4, 3 / 4], abs=0.02)
    assert shares[2] < 0.1


def test_a_tenth_of_each_label_is_held_out() -> None:
    targets = np.repeat(np.eye(4, dtype=bool), 50, axis=0)[np.random.default_rng(3).permutation(200)]
    held_out = hold_out(targets, np.random.default_rng(0))
    assert held_out == sorted(set(held_out))
    assert targets[held_out].sum(axis=0).tolist() == [5, 5, 5, 5]
    assert held_out != hold_out(targets, np.random.default_rng(1))


def test_few_texts_are_all_trained_on() -> None:
    assert hold_out(np.ones((90, 1), dtype=bool), np.random.default_rng(0)) == []
    assert len(hold_out(np.zeros((100, 1), dtype=bool), np.random.default_rng(0))) == 10


def test_pairs_share_a_label() -> None:
    targets = bools("1000", "1000", "1100", "0100", "0010", "0001", "0001")
    for seed in range(20):
        places = pair_up(targets, 2, np.random.default_rng(seed))
        assert len(places) == len(set(places))
        # Label 2 has but one text.
        assert 4 not in places
        assert len(places) in (3, 4)
        assert (targets[places].sum(axis=0) >= 2).sum() >= 2


def test_without_two_texts_of_a_label_there_are_no_pairs() -> None:
    assert pair_up(np.eye(3, dtype=bool), 2, np.random.default_rng(0)) == []


def test_the_contrastive_loss_of_three_texts() -> None:
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    # For the first two, e^(1/.07) against e^0; the third has nobody to be close to.
    loss = contrastive_loss(vectors, bools("10", "10", "01"))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1 / 0.07)), abs=1e-6)
    # The first and the last: e^0 against e^(1/.07), and against another e^0.
    far = contrastive_loss(vectors, bools("10", "01", "10"))
    assert far.item() == pytest.approx((math.log(math.exp(1 / 0.07) + 1) + math.log(2)) / 2, rel=1e-5)


def test_texts_attract_each_other_by_the_share_of_their_labels() -> None:
    cosines = torch.tensor([0.07, 0.0])  # of the first text with the two others
    vectors = torch.zeros(3, 3)
    vectors[0, 0] = 1
    vectors[1:, 0] = cosines
    vectors[1, 1] = vectors[2, 2] = 1
    # Jaccard 1/2 with the second, 1/3 with the third, which have none in common: weights 3/5 and 2/5.
    targets = bools("1100", "1000", "0110")
    log_shares = torch.tensor([1.0, 0.0]).log_softmax(dim=0)
    first = -(0.6 * log_shares[0] + 0.4 * log_shares[1])
    second = -torch.tensor([1.0, 0.0]).log_softmax(dim=0)[0]
    third = -torch.tensor([0.0, 0.0]).log_softmax(dim=0)[0]
    assert contrastive_loss(vectors, targets).item() == pytest.approx(((first + second + third) / 3).item(), rel=1e-4)


def test_the_gradient_of_the_contrastive_loss_is_finite() -> None:
    vectors = torch.eye(3, requires_grad=True)
    contrastive_loss(vectors, bools("10", "10", "01")).backward()
    assert vectors.grad is not None
    assert vectors.grad.isfinite().all()
    assert vectors.grad.abs().max() > 0


def test_passages_much_closer_than_the_right_one_may_be_answers_too() -> None:
    queries = np.array([[1, 0], [0, 1]], dtype=np.float32)
    passages = np.array([[0.6, 0.8], [0, 1], [0.8, 0.6], [0.65, 0.76]], dtype=np.float32)
    # The first query's own passage is at .6; of those that are closer, one is at .8 and one only at .65.
    np.testing.assert_array_equal(likely_answers(queries, passages), bools("0010", "0000"))


def test_ranking_asks_for_the_passage_among_all_and_for_the_query_among_all() -> None:
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    passages = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    scale = math.log(2) / 20  # so that a cosine of 1 makes odds of 2
    loss = ranking_loss(queries * scale, passages, bools("000", "000"))
    # Odds of the first query: 2, 1, 1; of the second: 1, 2, 1/2. Back: 2, 1 for both.
    forth = (math.log(4 / 2) + math.log(3.5 / 2)) / 2
    assert loss.item() == pytest.approx((forth + math.log(3 / 2)) / 2, abs=1e-5)
    ignoring = ranking_loss(queries * scale, passages, bools("001", "000"))
    assert ignoring.item() == pytest.approx(((math.log(3 / 2) + math.log(3.5 / 2)) / 2 + math.log(3 / 2)) / 2, abs=1e-5)
