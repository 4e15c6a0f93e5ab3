"""Upper layers alone give what the whole model gives, in each family of encoder, with tiny random weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from notesearch.encoders import layer_cache
from notesearch.encoders.layer_cache import LayerCache

SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
    "initializer_range": 0.2,  # ten times the usual, for a layer to matter
}
RELATIVE: dict[str, Any] = {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": SIZES,
    "roberta": SIZES | {"pad_token_id": 1},
    "distilbert": {
        "vocab_size": 50, "dim": 32, "n_layers": 4, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 40,
        "initializer_range": 0.2,
    },
    "deberta": SIZES | RELATIVE,
    # The convolution stands between the first layer and the second.
    "deberta-v2": SIZES | RELATIVE | {"position_buckets": 8, "share_att_key": True, "conv_kernel_size": 3,
                                      "conv_act": "gelu", "norm_rel_ebd": "layer_norm"},
    "electra": SIZES | {"embedding_size": 16},
    "modernbert": SIZES | {"local_attention": 4, "global_attn_every_n_layers": 2, "pad_token_id": 0,
                           "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    "mpnet": SIZES | {"pad_token_id": 1},
}  # fmt: skip
TOKEN_IDS = [[2, *range(5, 5 + length), 3] for length in (1, 17, 30, 4, 9)]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices gain nothing from more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def build() -> Callable[[str], Any]:
    """A tiny model of a family; the same one each time."""

    def model(family: str) -> Any:
        from transformers import AutoConfig, AutoModel

        sizes = FAMILIES.get(family, SIZES)
        with torch.random.fork_rng():
            torch.manual_seed(20)
            return AutoModel.from_config(AutoConfig.for_model(family, **sizes)).eval()

    return model


def whole(model: Any, ids: list[int]) -> torch.Tensor:
    """The token vectors of one text, alone, in float32."""
    with torch.no_grad():
        vectors: torch.Tensor = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
    return vectors


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def worst_error(cache: LayerCache, model: Any) -> float:
    """Of the texts' token vectors by way of the cache, with each other's padding."""
    with torch.no_grad():
        vectors, mask = cache.token_vectors(range(len(TOKEN_IDS)))
    assert mask.sum(dim=1).tolist() == [len(ids) for ids in TOKEN_IDS]
    return max(error(own[: len(ids)], whole(model, ids)) for own, ids in zip(vectors, TOKEN_IDS, strict=True))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("trained_layers", [1, 3])
def test_the_vectors_are_those_of_the_whole_model(
    build: Callable[[str], Any], family: str, trained_layers: int
) -> None:
    cache = LayerCache(build(family), TOKEN_IDS, 0, trained_layers)
    assert cache.cached
    assert worst_error(cache, build(family)) < 0.04
    # Another text's vectors are another matter.
    model = build(family)
    assert error(whole(model, TOKEN_IDS[4]), whole(model, TOKEN_IDS[1])[: len(TOKEN_IDS[4])]) > 0.1


@pytest.mark.parametrize("family", ["bert", "distilbert", "deberta-v2", "modernbert"])
def test_the_lower_layers_are_not_run_again(build: Callable[[str], Any], family: str) -> None:
    model = build(family)
    cache = LayerCache(model, TOKEN_IDS, 0, 2)
    with torch.no_grad():
        before, _ = cache.token_vectors([1, 2])
        for name, value in model.named_parameters():
            if re.search(r"layers?\.[01]\.", name):
                value.fill_(torch.nan)
        after, _ = cache.token_vectors([1, 2])
    torch.testing.assert_close(after, before)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_reach_the_upper_layers_and_nothing_else(build: Callable[[str], Any], family: str) -> None:
    model = build(family)
    cache = LayerCache(model, TOKEN_IDS, 0, 2)
    vectors, _ = cache.token_vectors([0, 2])
    vectors.square().sum().backward()
    reached = {name for name, value in model.named_parameters() if value.grad is not None}
    upper = {name for name, _ in model.named_parameters() if re.search(r"layers?\.[23]\.", name)}
    assert reached == upper
    assert len(cache.parameters) == len(upper)


def test_a_model_with_no_more_layers_is_trained_but_for_its_embeddings(build: Callable[[str], Any]) -> None:
    model = build("bert")
    cache = LayerCache(model, TOKEN_IDS, 0, 4)
    assert not cache.cached
    assert worst_error(cache, build("bert")) < 0.04
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert trained == {name for name, _ in model.named_parameters() if name.startswith("encoder.layer.")}


def test_a_model_without_a_stack_of_layers_is_run_as_a_whole(build: Callable[[str], Any]) -> None:
    model = build("albert")  # one layer's weights, used four times
    cache = LayerCache(model, TOKEN_IDS, 0, 1)
    assert not cache.cached
    assert worst_error(cache, build("albert")) < 0.04
    assert not model.get_input_embeddings().weight.requires_grad
    vectors, _ = cache.token_vectors([0])
    vectors.sum().backward()
    assert any(value.grad is not None for value in cache.parameters)


@pytest.mark.parametrize("obstacle", ["disagrees", "raises"])
def test_where_the_cache_would_be_wrong_the_model_is_run_as_a_whole(
    build: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    model = build("bert")
    last = model.encoder.layer[3]
    forward = type(last).forward

    def remembering(self: Any, hidden_states: Any, *args: Any, **kwargs: Any) -> Any:
        """A layer that looks past its input: at how far the layer below has been run."""
        skipped = "forward" in vars(model.encoder.layer[0])
        if skipped and obstacle == "raises":
            raise RuntimeError("no state")
        return forward(self, hidden_states * (0 if skipped else 1), *args, **kwargs)

    monkeypatch.setattr(type(last), "forward", remembering)
    cache = LayerCache(model, TOKEN_IDS, 0, 2)
    assert not cache.cached
    assert worst_error(cache, build("bert")) < 0.04


def test_dropout_is_in_the_trained_layers_only(build: Callable[[str], Any]) -> None:
    model = build("bert")
    cache = LayerCache(model, TOKEN_IDS, 0, 1)
    cache.train(True)
    dropping = {name for name, part in model.named_modules() if part.training}
    assert dropping == {name for name, _ in model.named_modules() if name.startswith("encoder.layer.3")}
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        first, _ = cache.token_vectors([1])
        second, _ = cache.token_vectors([1])
        cache.train(False)
        third, _ = cache.token_vectors([1])
    assert not torch.equal(first, second)
    assert error(third, whole(build("bert"), TOKEN_IDS[1])) < 0.04


def test_progress_counts_the_texts(build: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_cache, "_BATCH_TOKENS", 40)
    told: list[tuple[int, int]] = []
    cache = LayerCache(build("bert"), TOKEN_IDS, 0, 1, lambda done, total: told.append((done, total)))
    # By length: 32 tokens, then 19 and 11, then 6 and 3.
    assert told == [(1, 5), (3, 5), (5, 5)]
    assert np.sum(cache.lengths) == 71


def test_no_texts_are_no_trouble(build: Callable[[str], Any]) -> None:
    assert LayerCache(build("bert"), [], 0, 1).batches([]) == []
