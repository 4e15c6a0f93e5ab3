"""Tuning tiny encoders on pairs: what is learnt, resumed, interpolated and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.encoders import models, pair_tuning, training
from notesearch.encoders.checkpoint import Checkpoint
from notesearch.encoders.pair_tuning import Pair, PairTuning, batches_without_duplicates

# Each query's words are none of its passage's, so only what is learnt brings them together.
SUBJECTS = [("river", "train"), ("coffee", "mind"), ("python", "code"), ("note", "morning")]
QUERIES = [f"{SUBJECTS[n % 4][0]} {n}" for n in range(32)]
PASSAGES = [f"the {SUBJECTS[n % 4][1]} {n + 40}" for n in range(32)]
PAIRS = [Pair(n, n, None, frozenset((f"subject {n % 4}", f"note {n}"))) for n in range(32)]


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny matrices gain nothing from more threads, and must move further than large ones to make a difference."""
    monkeypatch.setattr(training, "available_cores", lambda: 1)
    monkeypatch.setattr(pair_tuning, "_RATE", 1e-2)
    monkeypatch.setattr(pair_tuning, "_LEAST_BATCH", 2)


def open_tuning(source: Path, **options: Any) -> PairTuning:
    return PairTuning(source, models.prepare(str(source)).config, QUERIES, PASSAGES, **options)


def margin(tuning: PairTuning) -> float:
    """How much closer queries are to passages of their subject than to others."""
    closeness = tuning.embed_queries(range(32)) @ tuning.embed_passages(range(32)).T
    same = np.arange(32)[:, None] % 4 == np.arange(32) % 4
    return float(closeness[same].mean() - closeness[~same].mean())


@pytest.mark.parametrize("name", ["bert", "modernbert"])
def test_queries_come_closer_to_what_answers_them(tiny_models: Any, name: str) -> None:
    tuning = open_tuning(tiny_models.directory(name))
    before = margin(tuning)
    seen = []
    tuning.fit(PAIRS, epochs=8, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(step, seen[-1][1]) for step in range(1, len(seen) + 1)]
    assert margin(tuning) > before + 0.2


def test_a_training_that_was_interrupted_ends_in_the_same_weights(
    tiny_models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoint, "due", True)
    source = tiny_models.directory("bert")
    undisturbed = open_tuning(source)
    undisturbed.fit(PAIRS, epochs=2)
    checkpoint = Checkpoint(tmp_path / "state", "key")

    def interrupt(done: int, _total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_tuning(source).fit(PAIRS, epochs=2, checkpoint=checkpoint, progress=interrupt)
    steps: list[int] = []
    resumed = open_tuning(source)
    resumed.fit(PAIRS, epochs=2, checkpoint=checkpoint, progress=lambda done, _: steps.append(done))
    assert steps[0] == 6
    np.testing.assert_array_equal(resumed.embed_queries(range(32)), undisturbed.embed_queries(range(32)))
    # Once it is over, nothing is left to do.
    again = open_tuning(source)
    again.fit(PAIRS, epochs=2, checkpoint=checkpoint, progress=lambda done, _: pytest.fail(f"step {done} again"))
    np.testing.assert_array_equal(again.embed_queries(range(32)), undisturbed.embed_queries(range(32)))


def test_weights_between_untrained_and_trained(tiny_models: Any) -> None:
    tuning = open_tuning(tiny_models.directory("bert"))
    untrained = tuning.embed_queries(range(32))
    tuning.fit(PAIRS, epochs=4)
    trained = tuning.embed_queries(range(32))
    tuning.interpolate(0.0)
    np.testing.assert_array_equal(tuning.embed_queries(range(32)), untrained)
    tuning.interpolate(1.0)
    np.testing.assert_array_equal(tuning.embed_queries(range(32)), trained)
    tuning.interpolate(0.5)
    half = tuning.embed_queries(range(32))
    assert np.abs(half - untrained).max() > 0.01
    assert np.abs(half - trained).max() > 0.01


def test_the_saved_model_is_the_tuned_one(tiny_models: Any, tmp_path: Path) -> None:
    tuning = open_tuning(tiny_models.directory("bert"))
    tuning.fit(PAIRS, epochs=4)
    tuning.save(tmp_path / "tuned")
    saved = models.open_encoder(models.prepare(str(tmp_path / "tuned")))
    assert saved.config.max_tokens == models.prepare(str(tiny_models.directory("bert"))).config.max_tokens
    vectors = np.stack([saved.encode_query(text).vector for text in QUERIES[:4]])
    assert (vectors * tuning.embed_queries(range(4))).sum(axis=1).min() > 0.97


def test_a_named_wrong_answer_is_pushed_away(tiny_models: Any) -> None:
    source = tiny_models.directory("bert")
    pairs = [Pair(n, n, (n + 1) % 4, frozenset((str(n),))) for n in range(4)]
    tuning = open_tuning(source)
    before = [tuning.embed_queries([n])[0] @ tuning.embed_passages([(n + 1) % 4])[0] for n in range(4)]
    tuning.fit(pairs, epochs=20)
    after = [tuning.embed_queries([n])[0] @ tuning.embed_passages([(n + 1) % 4])[0] for n in range(4)]
    assert np.mean(after) < np.mean(before)


@given(
    st.lists(st.frozensets(st.sampled_from("abcdef"), max_size=3), max_size=40), st.integers(1, 9), st.integers(0, 3)
)
def test_no_two_pairs_of_a_batch_are_about_the_same(groups: list[frozenset[str]], size: int, seed: int) -> None:
    pairs = [Pair(n, n, None, own) for n, own in enumerate(groups)]
    batches = batches_without_duplicates(pairs, size, np.random.default_rng(seed))
    places = [place for batch in batches for place in batch]
    assert len(set(places)) == len(places)
    for batch in batches:
        assert len(batch) <= size
        assert sum(len(groups[place]) for place in batch) == len(frozenset().union(*(groups[n] for n in batch)))
    # Only a last batch that is too small is left out.
    if size >= 2 and all(len(own) == 0 for own in groups):
        assert len(pairs) - len(places) < 2
