"""Each family of encoder, with tiny random weights: the same vectors as from sentence-transformers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from notesearch.encoders import Encoder, PreparedModel, find_model
from notesearch.encoders.forward import OnnxForward, TorchForward
from notesearch.encoders.models import open_encoder, prepare

NAMES = ("bert", "roberta", "xlm-roberta", "distilbert", "modernbert")
TEXTS = [
    "CAP",
    "Impermanence, and what it has to do with eventual consistency",
    "Übergänge: café, naïve, 分布式系统, 坐禅 🙂",
    "def mean(values):\n    return sum(values) / len(values)\n",
    "The train along the river was late, and so we had time for a coffee and a long talk about nothing.\n" * 4,
]


@dataclass(frozen=True)
class Tiny:
    name: str
    source: Path
    prepared: PreparedModel
    encoder: Encoder
    reference: Any


@pytest.fixture(scope="module", params=NAMES)
def tiny(request: pytest.FixtureRequest, tiny_models: Any, prepare_shared: Callable[..., PreparedModel]) -> Tiny:
    """A tiny model, prepared in float32, and the same in sentence-transformers."""
    source = tiny_models.directory(request.param)
    with pytest.MonkeyPatch.context() as patch:
        # Int8 is compared elsewhere: here nothing but float32 is good enough.
        patch.setattr("notesearch.encoders.preparing._LEAST_AGREEMENT", 2.0)
        prepared = prepare_shared(source)
    assert prepared.precision == "float32"
    return Tiny(request.param, source, prepared, open_encoder(prepared), tiny_models.reference(request.param))


def test_passages_are_encoded_as_by_sentence_transformers(tiny: Tiny, cosines: Callable[..., Any]) -> None:
    found = tiny.encoder.encode_passages(TEXTS).vectors
    # Where there is a prompt named "passage" but none named "document", sentence-transformers 6 uses none unasked.
    asked = {"prompt_name": "passage"} if tiny.name == "bert" else {}
    expected = tiny.reference.encode_document(TEXTS, normalize_embeddings=True, **asked)
    assert cosines(found, expected).min() >= 0.999
    # The texts' vectors lie far enough apart for that to mean something.
    others = found @ expected.T
    assert others[~np.eye(len(TEXTS), dtype=bool)].max() < 0.999


def test_queries_are_encoded_as_by_sentence_transformers(tiny: Tiny, cosines: Callable[..., Any]) -> None:
    found = np.array([tiny.encoder.encode_query(text).vector for text in TEXTS])
    expected = tiny.reference.encode_query(TEXTS, normalize_embeddings=True)
    assert cosines(found, expected).min() >= 0.999


def test_torch_encodes_the_same(tiny: Tiny, cosines: Callable[..., Any]) -> None:
    forward = TorchForward(find_model(str(tiny.source)), "cpu", bf16=False)
    by_torch = Encoder(tiny.prepared.config, tiny.prepared.directory / "tokenizer.json", forward)
    assert cosines(by_torch.encode_passages(TEXTS).vectors, tiny.encoder.encode_passages(TEXTS).vectors).min() >= 0.9999


def test_the_neighbours_in_a_batch_do_not_matter(tiny: Tiny) -> None:
    alone = np.concatenate([tiny.encoder.encode_passages([text]).vectors for text in TEXTS])
    np.testing.assert_allclose(tiny.encoder.encode_passages(TEXTS).vectors, alone, atol=1e-5)


def test_what_goes_beyond_the_models_limit_is_cut_off(tiny: Tiny) -> None:
    limit = {"bert": 20, "roberta": 24, "xlm-roberta": 30, "distilbert": 32, "modernbert": 48}[tiny.name]
    assert tiny.prepared.config.max_tokens == limit
    assert tiny.reference.max_seq_length == limit
    longest = "river " * 60
    vectors = tiny.encoder.encode_passages([longest, longest + "and quite another end", longest[:12]]).vectors
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert vectors[0] @ vectors[2] < 0.9999


def test_pooling_and_prompts_are_read(tiny: Tiny) -> None:
    config = tiny.prepared.config
    assert (config.pooling, config.query_prompt, config.passage_prompt) == {
        "bert": ("mean", "find: ", "note: "),
        "roberta": ("cls", "", ""),
        "xlm-roberta": ("mean", "query: ", "passage: "),
        "distilbert": ("cls", "", ""),
        "modernbert": ("mean", "search_query: ", "search_document: "),
    }[tiny.name]
    assert config.dim == 32
    same = tiny.encoder.encode_query("river").vector @ tiny.encoder.encode_passages(["river"]).vectors[0]
    assert (same > 0.9999) == (config.query_prompt == config.passage_prompt)


def test_only_bert_has_the_fused_graph(tiny: Tiny) -> None:
    assert tiny.prepared.fused == (tiny.name == "bert")


def test_int8_is_kept_where_it_agrees(tiny_bert: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Random weights of 32 dimensions are no fair trial of int8, hence the lower bar.
    monkeypatch.setattr("notesearch.encoders.preparing._LEAST_AGREEMENT", 0.5)
    prepared = prepare(str(tiny_bert))
    assert prepared.precision == "int8"
    int8_bytes = (prepared.directory / "model.onnx").stat().st_size
    assert open_encoder(prepared).encode_query("a").vector.shape == (32,)

    monkeypatch.setattr("notesearch.encoders.preparing._LEAST_AGREEMENT", 2.0)
    (prepared.directory / "encoder.json").unlink()
    assert prepare(str(tiny_bert)).precision == "float32"
    assert (prepared.directory / "model.onnx").stat().st_size > int8_bytes


def test_float16_weights_are_run_in_float32(tiny_models: Any, prepare_shared: Callable[..., PreparedModel]) -> None:
    from safetensors.numpy import load_file

    source = tiny_models.directory("distilbert")
    prepared = prepare_shared(source)
    assert {array.dtype.name for array in load_file(source / "model.safetensors").values()} == {"float16"}
    ids = np.array([[2, 40, 50, 60, 3]])
    assert OnnxForward(prepared.directory / "model.onnx")(ids, np.ones_like(ids)).dtype == np.float32
    assert TorchForward(find_model(str(source)), "cpu", bf16=False)(ids, np.ones_like(ids)).dtype == np.float32


def test_bfloat16_weights_are_run_in_float32(tiny_bert: Path, own_cache: Path, cosines: Callable[..., Any]) -> None:
    from safetensors.torch import load_file, save_file

    full = open_encoder(prepare(str(tiny_bert))).encode_passages(TEXTS).vectors
    weights = tiny_bert / "model.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(weights).items()}, weights, {"format": "pt"})
    assert cosines(open_encoder(prepare(str(tiny_bert))).encode_passages(TEXTS).vectors, full).min() > 0.99
