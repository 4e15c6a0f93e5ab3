"""Models prepared for ONNX Runtime, kept in the user's cache directory by fingerprint."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from notesearch.encoders.bert_graph import build_bert_graph, is_plain_bert
from notesearch.encoders.calibration import PROBES, ScoreScale, measure_late_scale, measure_scale
from notesearch.encoders.model_cache import read_record, write_record
from notesearch.encoders.model_files import EncoderConfig, read_json
from notesearch.errors import ModelError, NotesearchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from notesearch.encoders.encoder import EncodedPassages, Encoder

Precision = Literal["int8", "float32"]

_AGAIN = "Fetch or install the model again."
# Raise this when a prepared model must be made anew: a change of the graph, of the files or of the agreement check.
FORMAT = 3
# The least cosine between int8 and float32 embeddings of the probe passages. Where the CPU's int8 products
# saturate (x86 without VNNI), it falls far below, and float32 is kept.
_LEAST_AGREEMENT = 0.97


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """A model on disk, ready for queries.

    Attributes:
        directory: Holds `model.onnx`, `tokenizer.json` and `encoder.json`.
        config: How to use it.
        precision: Of the weights in `model.onnx`.
        fused: Whether the graph is made of fused operators (`bert_graph`).
        scale: What its cosines mean.
        late_scale: What the scores of late interaction between its token codes mean.
    """

    directory: Path
    config: EncoderConfig
    precision: Precision
    fused: bool
    scale: ScoreScale
    late_scale: ScoreScale


def read_prepared(directory: Path, *, thoroughly: bool = False) -> PreparedModel | None:
    """Reads a prepared model from its directory; `None` where there is none, or only a damaged one.

    Args:
        directory: Where it is.
        thoroughly: Whether the checksums of its files are computed, and not only where their times have changed.
    """
    try:
        record = read_record(directory, thoroughly=thoroughly)
        config = EncoderConfig(**record["config"])
        scales = (ScoreScale(**record["scale"]), ScoreScale(**record["late_scale"]))
        return PreparedModel(directory, config, record["precision"], record["fused"], *scales)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def prepare_into(directory: Path, source: Path, config: EncoderConfig) -> PreparedModel:
    """Prepares a model in a directory of the caller's.

    Args:
        directory: Where the prepared files are to be.
        source: The model's directory.
        config: How the model is used.

    Raises:
        ModelError: The model is of an architecture that cannot be exported.
    """
    write_tokenizer(source, directory / "tokenizer.json")
    check_vocabulary(source, directory / "tokenizer.json")
    fused = _write_float_model(source, directory / "float32.onnx")
    with untrusted_graph(source):
        precision, scale, late_scale = _keep_best_precision(directory, config)
    record = {
        "config": asdict(config),
        "precision": precision,
        "fused": fused,
        "scale": asdict(scale),
        "late_scale": asdict(late_scale),
    }
    write_record(directory, record)
    return PreparedModel(directory, config, precision, fused, scale, late_scale)


def write_tokenizer(source: Path, target: Path) -> None:
    """Writes a model's tokenizer in the format of the package tokenizers.

    Raises:
        ModelError: It has none that can be written so.
    """
    if (source / "tokenizer.json").is_file():
        shutil.copyfile(source / "tokenizer.json", target)
        return
    from transformers import AutoTokenizer

    try:
        if not [*source.glob("vocab.*"), *source.glob("*.model")]:  # transformers would make an empty one up
            raise ValueError("no vocabulary")
        # False: left to itself, transformers asks on the terminal whether to run code that a model brings along.
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, local_files_only=True)
        tokenizer.backend_tokenizer.save(str(target))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{source} has no usable tokenizer: {error}", "It needs a tokenizer.json.") from error


def check_vocabulary(source: Path, tokenizer_file: Path) -> None:
    """Makes sure that a model has a vector for each token of its tokenizer: a text may lack such a one for years.

    Raises:
        ModelError: It has not, or the tokenizer cannot be read.
    """
    from notesearch.encoders.encoder import load_tokenizer

    known = int(read_json(source / "config.json").get("vocab_size") or 0)
    greatest = max(load_tokenizer(tokenizer_file).get_vocab(with_added_tokens=True).values(), default=0)
    if known and greatest >= known:
        raise ModelError(
            f"{source}: the tokenizer knows {greatest + 1:,} tokens, and the model {known:,}",
            "They are of two models. " + _AGAIN,
        )


@contextmanager
def untrusted_graph(source: Path) -> Iterator[None]:
    """Turns whatever comes of running a model for the first time into an error about the model."""
    try:
        yield
    except (NotesearchError, OSError):
        raise
    except Exception as error:  # onnx and onnxruntime have no base class for theirs
        reason = next(iter(str(error).splitlines()), "") or repr(error)
        raise ModelError(f"the model in {source} cannot be run: {reason}", _AGAIN) from error


def _write_float_model(source: Path, target: Path) -> bool:
    """Writes the float32 graph; returns whether it is fused."""
    architecture = read_json(source / "config.json")
    if is_plain_bert(architecture):
        import onnx

        try:
            weights = _read_weights(source)
            if weights["embeddings.word_embeddings.weight"].shape != (
                architecture["vocab_size"],
                architecture["hidden_size"],
            ):
                raise ValueError("vocab_size or hidden_size")
            graph = build_bert_graph(architecture, weights)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ModelError(
                f"{source}: config.json and model.safetensors do not fit together: {error!r}", _AGAIN
            ) from error
        onnx.save(graph, target)
        return True
    from notesearch.encoders.torch_forward import export_to_onnx

    export_to_onnx(source, target)
    return False


def _read_weights(source: Path) -> dict[str, NDArray[np.float32]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(source / "model.safetensors")
    except (SafetensorError, OSError, TypeError) as error:  # TypeError: a number format that numpy lacks
        raise ModelError(f"cannot read the weights in {source}: {error}", _AGAIN) from error
    weights = {name.removeprefix("bert."): np.asarray(tensor, dtype=np.float32) for name, tensor in tensors.items()}
    if not all(np.isfinite(tensor).all() for tensor in weights.values()):
        raise ModelError(f"the weights in {source} are damaged: some are no numbers", _AGAIN)
    return weights


def _keep_best_precision(directory: Path, config: EncoderConfig) -> tuple[Precision, ScoreScale, ScoreScale]:
    """Quantises the model to int8 and keeps it if it agrees with float32 on this CPU; the other file goes.

    Returns:
        The precision kept, and what its cosines and its scores of late interaction mean.
    """
    from notesearch.encoders.encoder import Encoder
    from notesearch.encoders.onnx_forward import OnnxForward

    float_file, int8_file = directory / "float32.onnx", directory / "int8.onnx"
    quantize(float_file, int8_file)
    passages = [passage for _, passage in PROBES]
    exact, quantized = (
        Encoder(config, directory / "tokenizer.json", OnnxForward(file)) for file in (float_file, int8_file)
    )
    exact_passages, quantized_passages = exact.encode_passages(passages), quantized.encode_passages(passages)
    agreement = (exact_passages.vectors * quantized_passages.vectors).sum(axis=1).min()
    agrees = float(agreement) >= _LEAST_AGREEMENT
    kept, dropped = (int8_file, float_file) if agrees else (float_file, int8_file)
    scales = _measure_scales(quantized, quantized_passages) if agrees else _measure_scales(exact, exact_passages)
    dropped.unlink()
    kept.rename(directory / "model.onnx")
    return ("int8" if agrees else "float32"), *scales


def _measure_scales(encoder: Encoder, passages: EncodedPassages) -> tuple[ScoreScale, ScoreScale]:
    """Measures by the probes what cosines and what scores of late interaction mean."""
    queries = [encoder.encode_query(query) for query, _ in PROBES]
    cosines = np.stack([query.vector for query in queries]) @ passages.vectors.T
    late_scale = measure_late_scale([query.word_vectors for query in queries], passages.codes, encoder.code_bits)
    return measure_scale(cosines), late_scale


def quantize(float_file: Path, int8_file: Path) -> None:
    """Writes a float32 ONNX graph again with int8 weights; activations are quantised as they are computed."""
    import logging

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
