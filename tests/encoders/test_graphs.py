"""The hand-written BERT graph against torch, and int8 and bf16 against both, with the default model on real text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from notesearch.encoders import Encoder, PreparedModel
from notesearch.encoders.files import find_model, load_transformer, read_json
from notesearch.encoders.forward import OnnxForward, TorchForward, cpu_flags
from notesearch.encoders.graphs import build_bert_graph, export_graph, is_plain_bert
from notesearch.encoders.models import open_encoder
from notesearch.errors import ModelError
from notesearch.settings import DEFAULT_MODEL


@pytest.fixture(scope="module")
def by_torch(default_model: PreparedModel) -> Encoder:
    forward = TorchForward(find_model(DEFAULT_MODEL), "cpu", bf16=False)
    return Encoder(default_model.config, default_model.directory / "tokenizer.json", forward)


@pytest.fixture(scope="module")
def expected(by_torch: Encoder, passages: list[str]) -> Any:
    vectors = by_torch.encode_passages(passages).vectors
    assert np.median(vectors @ vectors.T) < 0.5  # thirty passages about different things
    return vectors


@pytest.fixture(scope="module")
def float_graph(default_source: Path, tmp_path_factory: pytest.TempPathFactory) -> OnnxForward:
    import onnx
    from safetensors.numpy import load_file

    path = tmp_path_factory.mktemp("graph") / "float32.onnx"
    weights = load_file(default_source / "model.safetensors")
    onnx.save(build_bert_graph(read_json(default_source / "config.json"), weights), path)
    return OnnxForward(path)


def test_the_graph_agrees_with_torch(
    default_model: PreparedModel, float_graph: OnnxForward, passages: list[str], expected: Any, cosines: Any
) -> None:
    encoder = Encoder(default_model.config, default_model.directory / "tokenizer.json", float_graph)
    assert cosines(encoder.encode_passages(passages).vectors, expected).min() >= 0.999


def test_each_token_vector_agrees_with_torch(float_graph: OnnxForward, cosines: Any) -> None:
    ids = np.array([[101, 7592, 2088, 1010, 102], [101, 2129, 102, 0, 0]])
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    by_torch = TorchForward(find_model(DEFAULT_MODEL), "cpu", bf16=False)(ids, mask)
    by_graph = float_graph(ids, mask)
    assert by_graph.dtype == by_torch.dtype == np.float32
    assert by_graph.shape == by_torch.shape == (2, 5, 384)
    np.testing.assert_allclose(by_graph[mask == 1], by_torch[mask == 1], atol=1e-4)


def test_int8_agrees_with_float(
    default_model: PreparedModel, passages: list[str], expected: Any, cosines: Callable[..., Any]
) -> None:
    if default_model.precision != "int8":
        pytest.skip("this CPU's int8 products are not exact enough, and so float32 is kept")
    encoder = open_encoder(default_model)
    agreement = cosines(encoder.encode_passages(passages).vectors, expected)
    assert agreement.min() >= 0.97
    assert agreement.mean() >= 0.985


def test_int8_queries_agree_with_float(
    default_model: PreparedModel, by_torch: Encoder, passages: list[str], cosines: Callable[..., Any]
) -> None:
    if default_model.precision != "int8":
        pytest.skip("this CPU's int8 products are not exact enough, and so float32 is kept")
    encoder = open_encoder(default_model)
    queries = [" ".join(passage.split()[:8]) for passage in passages]
    agreement = cosines(
        np.array([encoder.encode_query(query).vector for query in queries]), by_torch.encode_passages(queries).vectors
    )
    assert agreement.min() >= 0.97
    assert agreement.mean() >= 0.985


@pytest.mark.skipif(
    not {"avx512_bf16", "amx_bf16"} & cpu_flags(), reason="without bf16 in hardware, bf16 is never used on the CPU"
)
def test_bf16_agrees_with_float(default_model: PreparedModel, passages: list[str], expected: Any, cosines: Any) -> None:
    forward = TorchForward(find_model(DEFAULT_MODEL), "cpu", bf16=True)
    encoder = Encoder(default_model.config, default_model.directory / "tokenizer.json", forward)
    vectors = encoder.encode_passages(passages).vectors
    assert vectors.dtype == np.float32
    assert cosines(vectors, expected).min() >= 0.98
    assert not np.allclose(vectors, expected, atol=1e-5)  # it was bf16 indeed


@pytest.mark.parametrize(
    ("changes", "plain"),
    [
        ({}, True),
        ({"position_embedding_type": "absolute"}, True),
        ({"position_embedding_type": "relative_key"}, False),
        ({"hidden_act": "relu"}, False),
        ({"hidden_act": "gelu_new"}, False),
        ({"model_type": "roberta"}, False),
        ({"is_decoder": True}, False),
    ],
)
def test_only_plain_bert_is_expressed(changes: dict[str, Any], plain: bool) -> None:
    assert is_plain_bert({"model_type": "bert", "hidden_act": "gelu"} | changes) == plain


def test_bf16_comes_back_as_float32(tiny_bert: Path) -> None:
    ids = np.array([[2, 30, 40, 3], [2, 30, 3, 0]])
    mask = np.array([[1, 1, 1, 1], [1, 1, 1, 0]])
    full = TorchForward(find_model(str(tiny_bert)), "cpu", bf16=False)(ids, mask)
    short = TorchForward(find_model(str(tiny_bert)), "cpu", bf16=True)(ids, mask)
    assert full.dtype == short.dtype == np.float32
    assert full.shape == short.shape == (2, 4, 32)
    np.testing.assert_allclose(short, full, atol=0.15)
    assert not np.array_equal(short, full)


@pytest.mark.parametrize("failing", ["raises", "returns nothing"])
def test_an_architecture_that_cannot_be_exported_is_a_model_error(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    import torch

    def export(*arguments: Any, **options: Any) -> None:
        if failing == "raises":
            raise torch.onnx.OnnxExporterError("an operator is unknown\nand a long story follows")

    transformer = load_transformer(find_model(str(tiny_bert)))
    monkeypatch.setattr(torch.onnx, "export", export)
    with pytest.raises(ModelError) as caught:
        export_graph(transformer, ["input_ids", "attention_mask"], "token_vectors", tmp_path / "model.onnx")
    assert str(tiny_bert) in caught.value.message
    assert "\n" not in caught.value.message
    assert not (tmp_path / "model.onnx").exists()
