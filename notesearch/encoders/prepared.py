"""Models prepared for ONNX Runtime, kept in the user's cache directory by fingerprint."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from notesearch.encoders.bert_graph import build_bert_graph, is_plain_bert
from notesearch.encoders.calibration import PROBES, ScoreScale, measure_late_scale, measure_scale
from notesearch.encoders.model_files import EncoderConfig, absolute_name, find_model, read_encoder_config, read_json
from notesearch.errors import ModelError
from notesearch.settings import cache_dir

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from notesearch.encoders.encoder import EncodedPassages, Encoder

Precision = Literal["int8", "float32"]
Prepared = TypeVar("Prepared")

_AGAIN = "Fetch or install the model again."
# Raise this when a prepared model must be made anew: a change of the graph, of the files or of the agreement check.
_FORMAT = 3
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


def load_prepared(fingerprint: str) -> PreparedModel | None:
    """Looks up a prepared model by its fingerprint; `None` where there is none, or only a damaged one."""
    prepared = read_prepared(_directory(fingerprint))
    return prepared if prepared and prepared.config.fingerprint == fingerprint else None


def forget_prepared(fingerprint: str) -> None:
    """Deletes a prepared model that will not be used again; does nothing where there is none."""
    shutil.rmtree(_directory(fingerprint), ignore_errors=True)


def read_prepared(directory: Path) -> PreparedModel | None:
    """Reads a prepared model from its directory; `None` where there is none, or only a damaged one."""
    try:
        record = read_record(directory)
        config = EncoderConfig(**record["config"])
        scales = (ScoreScale(**record["scale"]), ScoreScale(**record["late_scale"]))
        return PreparedModel(directory, config, record["precision"], record["fused"], *scales)
    except (OSError, ValueError, KeyError, TypeError):
        return None


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
    target = _directory(config.fingerprint)

    def make(directory: Path) -> PreparedModel:
        return replace(prepare_into(directory, source, config), directory=target)

    return replace(install(name, target, make, lambda: load_prepared(config.fingerprint)), config=config)


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
    fused = _write_float_model(source, directory / "float32.onnx")
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


def install(name: str, target: Path, make: Callable[[Path], Prepared], load: Callable[[], Prepared | None]) -> Prepared:
    """Makes a directory of prepared files, which appears at once and complete, or not at all.

    Args:
        name: Of the model, for messages.
        target: Where the directory is to be; a damaged one there is replaced.
        make: Fills the empty directory that it is given, and returns what will be in `target`.
        load: Looks for what is in `target`: another process may have been faster, and be using it already.

    Raises:
        ModelError: The files cannot be written, or `make` raised it.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".preparing-") as temporary:
            directory = Path(temporary) / "model"
            directory.mkdir()
            made = make(directory)
            if faster := load():
                return faster
            if target.exists():  # damaged
                shutil.rmtree(target, ignore_errors=True)
            directory.rename(target)
        return made
    except OSError as error:
        raise ModelError(
            f"cannot prepare the model {name} in {cache_dir()}: {error.strerror or error}",
            "Is the disk full, or the directory not yours? XDG_CACHE_HOME chooses another.",
        ) from error


def write_record(directory: Path, record: dict[str, Any]) -> None:
    """Writes down what a directory of prepared files holds, and their sizes, by which damage is noticed."""
    text = json.dumps(record | {"sizes": _sizes(directory)}, indent=1)
    (directory / "encoder.json").write_text(text, encoding="utf-8")


def read_record(directory: Path) -> dict[str, Any]:
    """Reads what `write_record` wrote.

    Raises:
        OSError, ValueError, KeyError, TypeError: It is missing or damaged, or the files are not those it tells of.
    """
    record: dict[str, Any] = json.loads((directory / "encoder.json").read_text(encoding="utf-8"))
    if record["sizes"] != _sizes(directory):
        raise ValueError(f"a file in {directory} has another size than when it was written")
    return record


def _sizes(directory: Path) -> dict[str, int]:
    return {name: (directory / name).stat().st_size for name in ("model.onnx", "tokenizer.json")}


def _directory(fingerprint: str) -> Path:
    return cache_dir() / "encoders" / f"{fingerprint}-{_FORMAT}"


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
