"""A query and a passage → how well the passage answers it, read together: slower than vectors, and more exact."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.encoders.encoder import load_tokenizer
from notesearch.encoders.files import ModelFiles, find_model, load_model, loading
from notesearch.encoders.forward import available_cores, open_session
from notesearch.encoders.graphs import export_graph
from notesearch.encoders.preparing import PROBES, max_tokens, prepare_once, quantise_where, read_record, write_record
from notesearch.words import spelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]

# How far int8 scores of the probe pairs may be from float32 ones, in standard deviations of a query's scores: passages
# further apart than twice this keep their order. Int8 is 2.4 times faster, but exactness is what a query and a passage
# are read together for: a model whose int8 was 0.9 off put another passage first for one query in five.
_GREATEST_ERROR = 0.1


class CrossEncoder:
    """A cross-encoder by ONNX Runtime: scores a query and a passage read together.

    Args:
        tokenizer_file: Its tokenizer.
        model_file: An ONNX graph with the output `logits`, and as inputs some of what a tokenizer gives.
        max_tokens: The most tokens the model reads of a query and a passage together, special tokens included.
        query_prompt: Put before each query.
    """

    def __init__(self, tokenizer_file: Path, model_file: Path, max_tokens: int, query_prompt: str) -> None:
        self._tokenizer = load_tokenizer(tokenizer_file)
        # Cuts the longer of the two: of a query, nothing that leaves the passage half of the tokens.
        self._tokenizer.enable_truncation(max_tokens, strategy="longest_first")
        self._session = open_session(model_file)
        self._inputs = [put.name for put in self._session.get_inputs()]
        self._query_prompt = query_prompt

    def score(self, query: str, passages: Sequence[str]) -> Scores:
        """Scores passages by how well they answer a query.

        What goes beyond the model's `max_tokens` is cut off the passage; of the query, only what goes beyond half.

        Returns:
            float32 `(len(passages),)`, in the order given: the model's raw outputs, higher is better. Only their order
            for one query has a meaning; their scale differs from model to model.
        """
        pairs = [(self._query_prompt + spelled(query), spelled(passage)) for passage in passages]
        encodings = self._tokenizer.encode_batch(pairs)
        with ThreadPoolExecutor(available_cores()) as pool:
            return np.fromiter(pool.map(self._logit, encodings), dtype=np.float32, count=len(encodings))

    def _logit(self, encoding: Any) -> float:
        """The score of one encoded pair."""
        given = {
            "input_ids": encoding.ids,
            "attention_mask": encoding.attention_mask,
            "token_type_ids": encoding.type_ids,
        }
        feeds = {name: np.array([given[name]], dtype=np.int64) for name in self._inputs}
        return float(self._session.run(["logits"], feeds)[0][0, 0])


def open_cross_encoder(name: str) -> CrossEncoder:
    """Opens a cross-encoder; prepares it for ONNX Runtime first, unless that was done before.

    Args:
        name: A local directory or a hub id.

    Raises:
        ModelError: The model is unknown, unsafe, damaged, no cross-encoder with one output, or of an architecture that
            cannot be exported.
    """
    files = find_model(name, "cross-encoder")
    return prepare_once(files, lambda directory: _prepare_into(directory, files), _open_prepared)


def _open_prepared(directory: Path) -> CrossEncoder | None:
    record = read_record(directory, thoroughly=False)
    files = directory / "tokenizer.json", directory / "model.onnx"
    return CrossEncoder(*files, **record["config"]) if record else None


def _prepare_into(directory: Path, files: ModelFiles) -> None:
    with loading(files.directory):
        model = load_model(files)
        transformer = model[0].auto_model
        known = {*model.tokenizer.model_input_names} & {*inspect.signature(transformer.forward).parameters}
        inputs = ["input_ids", "attention_mask", *({"token_type_ids"} & known)]
        prompt = model.prompts.get(model.default_prompt_name) or ""
        config: dict[str, Any] = {"max_tokens": max_tokens(model), "query_prompt": prompt}
        model.tokenizer.backend_tokenizer.save(str(directory / "tokenizer.json"))
        export_graph(transformer, inputs, "logits", directory / "float32.onnx")

    def agree(float_file: Path, int8_file: Path) -> bool:
        tokenizer_file = directory / "tokenizer.json"
        exact, quantised = (
            _score_probes(CrossEncoder(tokenizer_file, file, **config)) for file in (float_file, int8_file)
        )
        return float(np.abs(quantised - exact).max()) <= _GREATEST_ERROR * float(exact.std())

    write_record(directory, {"precision": quantise_where(agree, directory, files), "config": config})


def _score_probes(encoder: CrossEncoder) -> Scores:
    """Scores each probe query with each probe passage, a row a query; only differences within a row mean anything."""
    passages = [passage for _, passage in PROBES]
    scores = np.stack([encoder.score(query, passages) for query, _ in PROBES])
    centred: Scores = scores - scores.mean(axis=1, keepdims=True)
    return centred
