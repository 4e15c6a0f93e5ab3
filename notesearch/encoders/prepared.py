"""Models prepared for ONNX Runtime, kept in the user's cache directory by fingerprint."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from notesearch.encoders.bert_graph import build_bert_graph, is_plain_bert
from notesearch.encoders.calibration import PROBES, CosineScale, measure_scale
from notesearch.encoders.model_files import EncoderConfig, absolute_name, find_model, read_encoder_config, read_json
from notesearch.errors import ModelError
from notesearch.settings import cache_dir

if TYPE_CHECKING:
    from numpy.typing import NDArray

Precision = Literal["int8", "float32"]

_AGAIN = "Fetch or install the model again."
# Raise this when a prepared model must be made anew: a change of the graph, of the files or of the agreement check.
_FORMAT = 2
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
    """

    directory: Path
    config: EncoderConfig
    precision: Precision
    fused: bool
    scale: CosineScale


def load_prepared(fingerprint: str) -> PreparedModel | None:
    """Looks up a prepared model by its fingerprint; `None` where there is none, or only a damaged one."""
    directory = _directory(fingerprint)
    try:
        record = json.loads((directory / "encoder.json").read_text(encoding="utf-8"))
        config = EncoderConfig(**record["config"])
        scale = CosineScale(**record["scale"])
        prepared = PreparedModel(directory, config, record["precision"], record["fused"], scale)
        sizes = {name: (directory / name).stat().st_size for name in ("model.onnx", "tokenizer.json")}
        sound = sizes == record["sizes"] and config.fingerprint == fingerprint
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return prepared if sound else None


def prepare(name: str) -> PreparedModel:
    """Prepares a model, unless that was done before.

    Returns:
        The prepared model. Its directory appears at once and complete, or not at all.

    Raises:
        ModelError: The model is unknown, unsafe, damaged, or of an architecture that cannot be exported.
    """
    name = absolute_name(name)
    source = find_model(name)
    config = read_encoder_config(name, source)
    if known := load_prepared(config.fingerprint):
        return replace(known, config=config)  # it may have been prepared under another name
    try:
        return _prepare(source, config)
    except OSError as error:
        raise ModelError(
            f"cannot prepare the model {name} in {cache_dir()}: {error.strerror or error}",
            "Is the disk full, or the directory not yours? XDG_CACHE_HOME chooses another.",
        ) from error


def _prepare(source: Path, config: EncoderConfig) -> PreparedModel:
    target = _directory(config.fingerprint)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".preparing-") as temporary:
        directory = Path(temporary) / "model"
        directory.mkdir()
        _write_tokenizer(source, directory / "tokenizer.json")
        fused = _write_float_model(source, directory / "float32.onnx")
        precision, scale = _keep_best_precision(directory, config)
        sizes = {file: (directory / file).stat().st_size for file in ("model.onnx", "tokenizer.json")}
        record = {
            "config": asdict(config),
            "precision": precision,
            "fused": fused,
            "scale": asdict(scale),
            "sizes": sizes,
        }
        (directory / "encoder.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
        if faster := load_prepared(config.fingerprint):  # by another process; it may be in use already
            return replace(faster, config=config)
        if target.exists():  # damaged
            shutil.rmtree(target, ignore_errors=True)
        directory.rename(target)
    return PreparedModel(target, config, precision, fused, scale)


def _directory(fingerprint: str) -> Path:
    return cache_dir() / "encoders" / f"{fingerprint}-{_FORMAT}"


def _write_tokenizer(source: Path, target: Path) -> None:
    if (source / "tokenizer.json").is_file():
        shutil.copyfile(source / "tokenizer.json", target)
        return
    from transformers import AutoTokenizer

    try:
        if not [*source.glob("vocab.*"), *source.glob("*.model")]:  # transformers would make an empty one up
            raise ValueError("no vocabulary")
        AutoTokenizer.from_pretrained(source, local_files_only=True).backend_tokenizer.save(str(target))
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{source} has no usable tokenizer: {error}", "It needs a tokenizer.json.") from error


def _write_float_model(source: Path, target: Path) -> bool:
    """Writes the float32 graph; returns whether it is fused."""
    architecture = read_json(source / "config.json")
    if is_plain_bert(architecture):
        import onnx

        try:
            graph = build_bert_graph(architecture, _read_weights(source))
        except (KeyError, ValueError) as error:
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
    return {name.removeprefix("bert."): np.asarray(tensor, dtype=np.float32) for name, tensor in tensors.items()}


def _keep_best_precision(directory: Path, config: EncoderConfig) -> tuple[Precision, CosineScale]:
    """Quantises the model to int8 and keeps it if it agrees with float32 on this CPU; the other file goes.

    Returns:
        The precision kept, and what its cosines mean.
    """
    import logging

    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from notesearch.encoders.encoder import Encoder
    from notesearch.encoders.onnx_forward import OnnxForward

    float_file, int8_file = directory / "float32.onnx", directory / "int8.onnx"
    logging.disable(logging.WARNING)  # quantize_dynamic advises a pre-processing step that changes nothing here
    try:
        quantize_dynamic(
            float_file,
            int8_file,
            weight_type=QuantType.QInt8,
            per_channel=True,
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
        )
    finally:
        logging.disable(logging.NOTSET)
    tokenizer = directory / "tokenizer.json"
    passages = [passage for _, passage in PROBES]
    exact = Encoder(config, tokenizer, OnnxForward(float_file))
    quantized = Encoder(config, tokenizer, OnnxForward(int8_file))
    exact_vectors, quantized_vectors = exact.encode_passages(passages), quantized.encode_passages(passages)
    agrees = float((exact_vectors * quantized_vectors).sum(axis=1).min()) >= _LEAST_AGREEMENT
    kept, dropped = (int8_file, float_file) if agrees else (float_file, int8_file)
    encoder, vectors = (quantized, quantized_vectors) if agrees else (exact, exact_vectors)
    scale = measure_scale(np.stack([encoder.encode_query(query) for query, _ in PROBES]), vectors)
    dropped.unlink()
    kept.rename(directory / "model.onnx")
    return "int8" if agrees else "float32", scale
