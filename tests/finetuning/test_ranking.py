"""Training on queries and passages: the batches, the loss by hand, and what tiny encoders learn."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tagging_fixtures import WORDS

from notesearch.finetuning.ranking import (
    Pair,
    Recipe,
    batches_without_duplicates,
    false_negatives,
    fit_pairs,
    ranking_loss,
)
from notesearch.finetuning.trainer import TrainableEncoder

pytest_plugins = ["tagging_fixtures"]

# What a query's word means in its passage: only what is learnt brings the two together.
MEANS = dict(zip(*WORDS.values(), strict=True))
PAIRS = [
    Pair(f"{word} {n}", f"{MEANS[word]} {n + 9}", "", frozenset({word, str(n)})) for n in range(8) for word in MEANS
]
RECIPE = Recipe(layers=1, rate=1e-2, epochs=16)


def bools(*rows: str) -> np.ndarray:
    return np.array([[cell == "1" for cell in row] for row in rows])


def opened(source: Path, pairs: list[Pair]) -> TrainableEncoder:
    texts = [text for pair in pairs for text in (pair.query, pair.passage, pair.negative)]
    return TrainableEncoder(str(source), list(dict.fromkeys(texts)), tokens=20, layers=1, seed=0)


def similarities(encoder: TrainableEncoder, pairs: list[Pair], other: str) -> np.ndarray:
    queries, others = (
        encoder.embed([encoder.rows[getattr(pair, kind)] for pair in pairs]) for kind in ("query", other)
    )
    found: np.ndarray = queries @ others.T
    return found


def test_passages_much_more_similar_than_the_right_one_may_be_answers_too() -> None:
    queries = np.array([[1, 0], [0, 1]], dtype=np.float32)
    passages = np.array([[0.6, 0.8], [0, 1], [0.8, 0.6], [0.65, 0.76]], dtype=np.float32)
    # The first query's own passage is at .6; of those that are more similar, one is at .8 and one only at .65.
    np.testing.assert_array_equal(false_negatives(queries, passages), bools("0010", "0000"))


def test_ranking_asks_for_the_passage_among_all_and_for_the_query_among_all() -> None:
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    passages = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    scale = math.log(2) / 20  # so that a similarity of 1 makes odds of 2
    loss = ranking_loss(queries * scale, passages, bools("000", "000"))
    # Odds of the first query: 2, 1, 1; of the second: 1, 2, 1/2. Back: 2, 1 for both.
    forth = (math.log(4 / 2) + math.log(3.5 / 2)) / 2
    assert loss.item() == pytest.approx((forth + math.log(3 / 2)) / 2, abs=1e-5)
    ignoring = ranking_loss(queries * scale, passages, bools("001", "000"))
    assert ignoring.item() == pytest.approx(((math.log(3 / 2) + math.log(3.5 / 2)) / 2 + math.log(3 / 2)) / 2, abs=1e-5)


def test_queries_come_closer_to_what_answers_them(tiny_training: None, tiny_encoder: Path) -> None:
    encoder = opened(tiny_encoder, PAIRS)
    same = np.array([[MEANS[a.query.split()[0]] == b.passage.split()[0] for b in PAIRS] for a in PAIRS])

    def margin() -> float:
        found = similarities(encoder, PAIRS, "passage")
        return float(found[same].mean() - found[~same].mean())

    before = margin()
    steps: list[tuple[int, int]] = []
    fit_pairs(encoder, PAIRS, RECIPE, progress=lambda *step: steps.append(step))
    assert margin() > before + 0.15
    assert steps == [(step, len(steps)) for step in range(1, len(steps) + 1)]
    whole = len(steps)
    fit_pairs(encoder, PAIRS, replace(RECIPE, most_steps=20), progress=lambda *step: steps.append(step))
    assert len(steps) - whole <= 20 < whole


def test_a_named_wrong_answer_is_pushed_away(tiny_training: None, tiny_encoder: Path) -> None:
    pairs = [Pair(f"{word} {word}", MEANS[word], "salt " * n, frozenset({word})) for n, word in enumerate(MEANS, 1)]
    encoder = opened(tiny_encoder, pairs)
    before = np.diagonal(similarities(encoder, pairs, "negative")).mean()
    fit_pairs(encoder, pairs, Recipe(layers=1, rate=1e-2, epochs=20))
    assert np.diagonal(similarities(encoder, pairs, "negative")).mean() < before - 0.1


@given(
    st.lists(st.frozensets(st.sampled_from("abcdef"), max_size=3), max_size=40), st.integers(1, 9), st.integers(0, 3)
)
def test_no_two_pairs_of_a_batch_are_about_the_same(groups: list[frozenset[str]], size: int, seed: int) -> None:
    pairs = [Pair("", "", "", own) for own in groups]
    batches = batches_without_duplicates(pairs, size, np.random.default_rng(seed))
    places = [place for batch in batches for place in batch]
    assert len(set(places)) == len(places)
    for batch in batches:
        assert len(batch) <= size
        assert sum(len(groups[place]) for place in batch) == len(frozenset().union(*(groups[n] for n in batch)))
    # Only last batches that are too small are left out.
    if size >= 8 and not any(groups):
        assert len(pairs) - len(places) < 8
