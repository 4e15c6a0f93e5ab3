"""A query and a passage → how well the passage answers it, read together: slower than vectors, and more exact."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.encoders.encoder import load_tokenizer
from notesearch.encoders.files import ModelFiles, find_model, load_model, loading
from notesearch.encoders.forward import available_cores, open_session
from notesearch.encoders.graphs import export_graph
from notesearch.encoders.preparing import (
    PROBES,
    Precision,
    max_tokens,
    prepare_once,
    quantise_where,
    read_record,
    write_record,
    write_tokenizer,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]

# How far int8 scores of the probe pairs may be from float32 ones, in standard deviations of a query's scores: passages
# further apart than twice this keep their order. Int8 is 2.4 times faster, but exactness is what a query and a passage
# are read together for: a model whose int8 was 0.9 off put another passage first for one query in five.
_GREATEST_ERROR = 0.1


@dataclass(frozen=True, slots=True)
class CrossEncoderConfig:
    """How a cross-encoder is to be used.

    Attributes:
        name: As the user gave it; a local directory by its absolute path.
        fingerprint: 32 hex digits; two cross-encoders with one fingerprint give the same scores.
        max_tokens: The most tokens the model reads of a query and a passage together, special tokens included.
        query_prompt: Put before each query.
    """

    name: str
    fingerprint: str
    max_tokens: int
    query_prompt: str


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
        encodings = self._tokenizer.encode_batch(pairs)
        with ThreadPoolExecutor(self._forward.concurrency) as pool:
            return np.fromiter(pool.map(self._forward.logit, encodings), dtype=np.float32, count=len(encodings))


def open_cross_encoder(name: str) -> CrossEncoder:
    """Opens a cross-encoder by ONNX Runtime; prepares it first, unless that was done before.

    Raises:
        ModelError: See `prepare_cross_encoder`.
    """
    prepared = prepare_cross_encoder(name)
    return CrossEncoder(prepared.config, prepared.directory / "tokenizer.json", prepared.directory / "model.onnx")


def prepare_cross_encoder(name: str) -> PreparedCrossEncoder:
    """Prepares a cross-encoder for ONNX Runtime, unless that was done before.

    Args:
        name: A local directory or a hub id.

    Raises:
        ModelError: The model is unknown, unsafe, damaged, no cross-encoder with one output, or of an architecture that
            cannot be exported.
    """
    files = find_model(name, "cross-encoder")
    prepared = prepare_once(files, lambda directory: _prepare_into(directory, files), _read_prepared)
    # It may have been prepared under another name.
    return replace(prepared, config=replace(prepared.config, name=files.name))


def _read_prepared(directory: Path) -> PreparedCrossEncoder | None:
    record = read_record(directory, thoroughly=False)
    try:
        return PreparedCrossEncoder(directory, CrossEncoderConfig(**record["config"]), record["precision"])
    except (KeyError, TypeError):  # nothing was found
        return None


def _prepare_into(directory: Path, files: ModelFiles) -> None:
    with loading(files.directory):
        model = load_model(files)
        transformer = model[0].auto_model
        known = {*model.tokenizer.model_input_names} & {*inspect.signature(transformer.forward).parameters}
        inputs = ["input_ids", "attention_mask", *({"token_type_ids"} & known)]
        config = CrossEncoderConfig(
            name=files.name,
            fingerprint=files.fingerprint,
            max_tokens=max_tokens(model),
            query_prompt=model.prompts.get(model.default_prompt_name) or "",
        )
        write_tokenizer(model, directory / "tokenizer.json")
        export_graph(transformer, inputs, "logits", directory / "float32.onnx")

    def agree(float_file: Path, int8_file: Path) -> bool:
        exact, quantised = (
            _score_probes(CrossEncoder(config, directory / "tokenizer.json", file)) for file in (float_file, int8_file)
        )
        return float(np.abs(quantised - exact).max()) <= _GREATEST_ERROR * float(exact.std())

    precision = quantise_where(agree, directory, files)
    write_record(directory, {"config": asdict(config), "precision": precision})


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
