"""Models as ONNX graphs: a BERT written by hand, others exported by torch, and any of them quantised.

`torch.onnx.export` spells attention out in some fifteen small operators, which ONNX Runtime's fusions no longer
recognise. Written with `com.microsoft::Attention` and `SkipLayerNormalization`, the same weights run about 1.3 times
faster once quantised, and preparing the default model needs no torch (docs/decisions/0002-encoding-paths.md).
"""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from notesearch.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_OPSET = 17


def is_plain_bert(config: Mapping[str, Any]) -> bool:
    """Says whether `build_bert_graph` can express this architecture (`config.json` of a model directory)."""
    return (
        config.get("model_type") == "bert"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and config.get("hidden_act") == "gelu"
        and not config.get("is_decoder", False)
    )


def build_bert_graph(config: Mapping[str, Any], weights: Mapping[str, NDArray[np.float32]]) -> Any:
    """Builds the encoder described in "BERT" (Devlin et al., 2018) as an ONNX model.

    Args:
        config: The model's `config.json`; `is_plain_bert` must hold.
        weights: Tensors by their names in `model.safetensors`, without the prefix `bert.`.

    Returns:
        An `onnx.ModelProto` with inputs `input_ids` and `attention_mask`, int64 `(batch, tokens)`, and the output
        `token_vectors`, float32 `(batch, tokens, dim)`.
    """
    from onnx import TensorProto, helper

    graph = _GraphWriter(weights)
    epsilon = float(config.get("layer_norm_eps", 1e-12))
    hidden = _embeddings(graph, epsilon)
    graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.INT32)
    for layer in range(config["num_hidden_layers"]):
        hidden = _layer(graph, hidden, layer, heads=config["num_attention_heads"], epsilon=epsilon)
    graph.node("Identity", [hidden], "token_vectors")

    def tensor(name: str, kind: int, *shape: str | int) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    inputs = [tensor(n, TensorProto.INT64, "batch", "tokens") for n in ("input_ids", "attention_mask")]
    output = tensor("token_vectors", TensorProto.FLOAT, "batch", "tokens", config["hidden_size"])
    return helper.make_model(
        helper.make_graph(graph.nodes, "bert", inputs, [output], initializer=graph.initializers),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)],
        ir_version=8,
    )


class _GraphWriter:
    """Collects nodes and the constants they use."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def node(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def constant(self, name: str, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])

    def linear(self, inputs: str, name: str) -> str:
        """`inputs @ W.T`, the bias left to a fused operator that follows."""
        weight = self.constant(f"{name}.weight", self.weights[f"{name}.weight"].T)
        return self.node("MatMul", [inputs, weight], f"{name}.product")

    def add_and_norm(self, inputs: str, residual: str, bias: str, name: str, epsilon: float) -> str:
        """LayerNorm(inputs + bias + residual)."""
        operands = [inputs, residual, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), self.weight(bias)]
        return self.node("SkipLayerNormalization", operands, f"{name}.out", domain="com.microsoft", epsilon=epsilon)


def _embeddings(graph: _GraphWriter, epsilon: float) -> str:
    """Word, position and segment embeddings, summed and normalised."""
    words = graph.node("Gather", [graph.weight("embeddings.word_embeddings.weight"), "input_ids"], "words")
    # All our tokens are of segment 0, so its embedding is a constant that can be added to every position's.
    segment = graph.weights["embeddings.token_type_embeddings.weight"][0]
    table = graph.constant("position_and_segment", graph.weights["embeddings.position_embeddings.weight"] + segment)
    start = graph.constant("zero", np.array([0], dtype=np.int64))
    graph.node("Shape", ["input_ids"], "tokens", start=1, end=2)
    positions = graph.node("Slice", [table, start, "tokens"], "positions")
    embedded = graph.node("Add", [words, positions], "embedded")
    norm = [graph.weight("embeddings.LayerNorm.weight"), graph.weight("embeddings.LayerNorm.bias")]
    return graph.node("LayerNormalization", [embedded, *norm], "embeddings", axis=-1, epsilon=epsilon)


def _layer(graph: _GraphWriter, hidden: str, layer: int, heads: int, epsilon: float) -> str:
    """One transformer layer: self-attention and feed-forward, each with a residual and a norm."""
    name = f"encoder.layer.{layer}"
    parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
    qkv = np.concatenate([graph.weights[f"{part}.weight"].T for part in parts], axis=1)
    bias = np.concatenate([graph.weights[f"{part}.bias"] for part in parts])
    attended = graph.node(
        "Attention",
        [hidden, graph.constant(f"{name}.qkv.weight", qkv), graph.constant(f"{name}.qkv.bias", bias), "mask"],
        f"{name}.attended",
        domain="com.microsoft",
        num_heads=heads,
    )
    attention = f"{name}.attention.output"
    projected = graph.linear(attended, f"{attention}.dense")
    hidden = graph.add_and_norm(projected, hidden, f"{attention}.dense.bias", f"{attention}.LayerNorm", epsilon)

    widened = graph.linear(hidden, f"{name}.intermediate.dense")
    bias_name = graph.weight(f"{name}.intermediate.dense.bias")
    activated = graph.node("BiasGelu", [widened, bias_name], f"{name}.activated", domain="com.microsoft")
    narrowed = graph.linear(activated, f"{name}.output.dense")
    return graph.add_and_norm(narrowed, hidden, f"{name}.output.dense.bias", f"{name}.output.LayerNorm", epsilon)


def export_graph(
    transformer: Any, inputs: Sequence[str], output: Literal["token_vectors", "logits"], target: Path
) -> None:
    """Writes a transformer as a float32 ONNX graph.

    Args:
        transformer: A model of transformers, in float32.
        inputs: Names of the inputs, int64 `(batch, tokens)`: `input_ids`, `attention_mask` and perhaps
            `token_type_ids`.
        output: `token_vectors`, float32 `(batch, tokens, dim)`, or the `logits` of a classifier, `(batch, labels)`.
        target: The file to write.

    Raises:
        ModelError: The architecture cannot be exported.
    """
    import torch

    class Exported(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = transformer

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            # Some architectures have no such parameter.
            token_types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            outputs = self.transformer(input_ids=input_ids, attention_mask=attention_mask, **token_types)
            return outputs.logits if output == "logits" else outputs.last_hidden_state

    example = torch.ones(2, 8, dtype=torch.long)
    dynamic = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=512)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's notes on itself are of no use to a user
        for exporter in ("torch.onnx", "onnxscript"):
            logging.getLogger(exporter).setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                Exported(),
                tuple(example.clone() for _ in inputs),
                dynamo=True,
                verbose=False,
                input_names=list(inputs),
                output_names=[output],
                dynamic_shapes=tuple(dynamic for _ in inputs),
            )
        except torch.onnx.OnnxExporterError as error:
            raise _not_exported(transformer, str(error).splitlines()[0]) from error
    if program is None:
        raise _not_exported(transformer, "no graph was made")
    program.save(str(target))


def _not_exported(transformer: Any, reason: str) -> ModelError:
    return ModelError(
        f"cannot export {transformer.config.name_or_path} to ONNX: {reason}", "Choose a model of another architecture."
    )


def quantise(float_file: Path, int8_file: Path) -> None:
    """Writes a float32 ONNX graph again with int8 weights; activations are quantised as they are computed."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(float_file)
    # What torch's exporter notes of the weights' shapes is no longer true once a Gemm is made a MatMul to quantise it.
    del model.graph.value_info[:]
    logging.disable(logging.WARNING)  # quantize_dynamic advises a pre-processing step that changes nothing here
    try:
        quantize_dynamic(
            model,
            int8_file,
            weight_type=QuantType.QInt8,
            per_channel=True,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    finally:
        logging.disable(logging.NOTSET)
