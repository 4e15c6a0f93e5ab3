"""A query and a passage → how well the passage answers it, read together: slower than vectors, and more exact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.encoders.calibration import PROBES
from notesearch.encoders.encoder import load_tokenizer
from notesearch.encoders.model_cache import install, read_record, write_record
from notesearch.encoders.model_files import (
    WEIGHTS,
    absolute_name,
    file_sha256,
    find_model,
    max_tokens,
    read_json,
    read_modules,
    read_optional_json,
)
from notesearch.encoders.model_safety import check_architecture
from notesearch.encoders.onnx_forward import available_cores, open_session
from notesearch.encoders.prepared import (
    Precision,
    check_vocabulary,
    quantize,
    untrusted_graph,
    write_tokenizer,
)
from notesearch.errors import ModelError
from notesearch.settings import cache_dir

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]

_CHOOSE_ANOTHER = "Choose a cross-encoder for ranking, such as cross-encoder/ms-marco-MiniLM-L6-v2."
# What a model directory holds beside its weights, and its scores may depend on.
_SMALL_FILES = ("*.json", "*.txt", "*.model")
# Raise this when a prepared model must be made anew: a change of the graph, of the files or of the agreement check.
_FORMAT = 1
# How far int8 scores of the probe pairs may be from float32 ones, in standard deviations of a query's scores: passages
# further apart than twice this keep their order. Int8 is 2.4 times faster, but exactness is what a query and a passage
# are read together for: a model whose int8 was 0.9 off put another passage first for one query in five.
_GREATEST_ERROR = 0.1


@dataclass(frozen=True, slots=True)
class CrossEncoderConfig:
    """How a cross-encoder is to be used, read from its sentence-transformers files.

    Attributes:
        name: As the user gave it, a local directory by its absolute path.
        weights_sha256: Hex digest of `model.safetensors`.
        files_sha256: Hex digest of the small files beside it: the architecture, the tokenizer and so on.
        max_tokens: The most tokens the model reads of a query and a passage together, special tokens included.
        lowercase: Whether the texts are lower-cased before tokenisation.
        query_prompt: Put before each query.
    """

    name: str
    weights_sha256: str
    files_sha256: str
    max_tokens: int
    lowercase: bool
    query_prompt: str

    @property
    def fingerprint(self) -> str:
        """32 hex digits; two cross-encoders with one fingerprint give the same scores."""
        values = asdict(self)
        del values["name"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class PreparedCrossEncoder:
    """A cross-encoder on disk, ready for queries.

    Attributes:
        directory: Holds `model.onnx`, `tokenizer.json` and `encoder.json`.
        config: How to use it.
        precision: Of the weights in `model.onnx`.
    """

    directory: Path
    config: CrossEncoderConfig
    precision: Precision


class CrossEncoder:
    """A cross-encoder: scores a query and a passage read together.

    Attributes:
        config: How the model is to be used.
    """

    def __init__(self, config: CrossEncoderConfig, tokenizer_file: Path, model_file: Path) -> None:
        self.config = config
        self._tokenizer = load_tokenizer(tokenizer_file)
        # Cuts the longer of the two: of a query, nothing that leaves the passage half of the tokens.
        self._tokenizer.enable_truncation(config.max_tokens, strategy="longest_first")
        self._forward = _PairForward(model_file)

    def score(self, query: str, passages: Sequence[str]) -> Scores:
        """Scores passages by how well they answer a query.

        What goes beyond the model's `max_tokens` is cut off the passage; of the query, only what goes beyond half.

        Returns:
            float32 `(len(passages),)`, in the order given: the model's raw outputs, higher is better. Only their order
            for one query has a meaning; their scale differs from model to model.
        """
        pairs = [(self.config.query_prompt + query, passage) for passage in passages]
        if self.config.lowercase:
            pairs = [(first.lower(), second.lower()) for first, second in pairs]
        encodings = self._tokenizer.encode_batch(pairs)
        with ThreadPoolExecutor(self._forward.concurrency) as pool:
            return np.fromiter(pool.map(self._forward.logit, encodings), dtype=np.float32, count=len(encodings))


def open_cross_encoder(name: str) -> CrossEncoder:
    """Opens a cross-encoder by ONNX Runtime; prepares it first, unless that was done before.

    Args:
        name: A local directory or a hub id.

    Raises:
        ModelError: See `prepare_cross_encoder`.
    """
    prepared = prepare_cross_encoder(name)
    directory = prepared.directory
    return CrossEncoder(prepared.config, directory / "tokenizer.json", directory / "model.onnx")


def prepare_cross_encoder(name: str) -> PreparedCrossEncoder:
    """Prepares a cross-encoder for ONNX Runtime, unless that was done before.

    Args:
        name: A local directory or a hub id.

    Returns:
        The prepared model. Its directory appears at once and complete, or not at all.

    Raises:
        ModelError: The model is unknown, unsafe, damaged, no cross-encoder with one output, or of an architecture that
            cannot be exported.
    """
    name = absolute_name(name)
    source = find_model(name, needed=(WEIGHTS, "config.json"))
    config = _read_config(name, source)
    if known := _load_prepared(config.fingerprint):
        return replace(known, config=config)  # it may have been prepared under another name
    target = _directory(config.fingerprint)

    def make(directory: Path) -> PreparedCrossEncoder:
        from notesearch.encoders.torch_forward import export_cross_encoder_to_onnx

        write_tokenizer(source, directory / "tokenizer.json")
        check_vocabulary(source, directory / "tokenizer.json")
        export_cross_encoder_to_onnx(source, directory / "float32.onnx")
        with untrusted_graph(source):
            precision = _keep_best_precision(directory, config)
        write_record(directory, {"config": asdict(config), "precision": precision})
        return PreparedCrossEncoder(target, config, precision)

    return replace(install(name, target, make, lambda: _load_prepared(config.fingerprint)), config=config)


def _load_prepared(fingerprint: str) -> PreparedCrossEncoder | None:
    directory = _directory(fingerprint)
    try:
        record = read_record(directory, thoroughly=False)
        prepared = PreparedCrossEncoder(directory, CrossEncoderConfig(**record["config"]), record["precision"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return prepared if prepared.config.fingerprint == fingerprint else None


def _directory(fingerprint: str) -> Path:
    return cache_dir() / "cross-encoders" / f"{fingerprint}-{_FORMAT}"


def _read_config(name: str, directory: Path) -> CrossEncoderConfig:
    try:
        architecture = read_json(directory / "config.json")
        _check_architecture(name, directory, architecture)
        sentence = read_optional_json(directory / "sentence_bert_config.json")
        prompting = read_optional_json(directory / "config_sentence_transformers.json")
        prompts = prompting.get("prompts") or {}
        return CrossEncoderConfig(
            name=name,
            weights_sha256=file_sha256(directory / WEIGHTS),
            files_sha256=_small_files_sha256(directory),
            max_tokens=max_tokens(directory, architecture, sentence),
            lowercase=bool(sentence.get("do_lower_case", False)),
            query_prompt=str(prompts.get(prompting.get("default_prompt_name")) or ""),
        )
    except (OSError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelError(
            f"the files of model {name} in {directory} are damaged: {error!r}", "Fetch or make the model again."
        ) from error


def _check_architecture(name: str, directory: Path, architecture: dict[str, Any]) -> None:
    """Refuses what is no cross-encoder with one output."""
    check_architecture(name, directory, architecture)
    kinds = [kind for kind, _ in read_modules(name, directory)]  # only since sentence-transformers 6
    if kinds and kinds != ["Transformer"]:
        raise ModelError(
            f"model {name} is no cross-encoder that notesearch knows, but made of {', '.join(kinds)}", _CHOOSE_ANOTHER
        )
    classes = architecture.get("architectures") or []
    if not any(str(kind).endswith("ForSequenceClassification") for kind in classes):
        raise ModelError(
            f"model {name} is no cross-encoder, but {', '.join(map(str, classes)) or 'of an unnamed architecture'}",
            _CHOOSE_ANOTHER,
        )
    # transformers takes a classifier that says nothing of its labels to have two.
    labels = len(architecture.get("id2label") or ()) or int(architecture.get("num_labels") or 2)
    if labels != 1:
        raise ModelError(
            f"model {name} has {labels} outputs, where a cross-encoder for ranking has one",
            _CHOOSE_ANOTHER,
        )


def _small_files_sha256(directory: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _SMALL_FILES for path in directory.glob(pattern)):
        digest.update(f"{path.name} {file_sha256(path)}\n".encode())
    return digest.hexdigest()


def _keep_best_precision(directory: Path, config: CrossEncoderConfig) -> Precision:
    """Quantises the model to int8 and keeps it if it agrees with float32 on this CPU; the other file goes."""
    float_file, int8_file = directory / "float32.onnx", directory / "int8.onnx"
    quantize(float_file, int8_file)
    exact, quantized = (
        _score_probes(CrossEncoder(config, directory / "tokenizer.json", file)) for file in (float_file, int8_file)
    )
    agrees = float(np.abs(quantized - exact).max()) <= _GREATEST_ERROR * float(exact.std())
    kept, dropped = (int8_file, float_file) if agrees else (float_file, int8_file)
    dropped.unlink()
    kept.rename(directory / "model.onnx")
    return "int8" if agrees else "float32"


def _score_probes(encoder: CrossEncoder) -> Scores:
    """Scores each probe query with each probe passage, a row a query; only differences within a row mean anything."""
    passages = [passage for _, passage in PROBES]
    scores = np.stack([encoder.score(query, passages) for query, _ in PROBES])
    centred: Scores = scores - scores.mean(axis=1, keepdims=True)
    return centred


class _PairForward:
    """A cross-encoder in an ONNX file with output `logits`, and as inputs some of what a tokenizer gives."""

    def __init__(self, model_file: Path) -> None:
        self.concurrency = available_cores()
        self._session = open_session(model_file)

    def logit(self, encoding: Any) -> float:
        """The score of one encoded pair."""
        given = {
            "input_ids": encoding.ids,
            "attention_mask": encoding.attention_mask,
            "token_type_ids": encoding.type_ids,
        }
        feeds = {put.name: np.array([given[put.name]], dtype=np.int64) for put in self._session.get_inputs()}
        return float(self._session.run(["logits"], feeds)[0][0, 0])
