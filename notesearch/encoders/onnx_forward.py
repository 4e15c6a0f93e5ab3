"""The forward pass by ONNX Runtime: what every query and every small update uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from notesearch.errors import ModelError

if TYPE_CHECKING:
    from notesearch.encoders.encoder import TokenIds, Vectors


class OnnxForward:
    """A model in an ONNX file with inputs `input_ids`, `attention_mask` and output `token_vectors`.

    It takes texts one by one, one a core: a third faster than batches over all cores, and a quantised model then scales
    its activations by this text alone, so that a passage's vector does not depend on what it was encoded with.
    """

    batch_tokens = 1

    def __init__(self, model_file: Path, threads: int | None = None) -> None:
        self.concurrency = min(threads or available_cores(), available_cores())
        self._session = open_session(model_file)

    def __call__(self, input_ids: TokenIds, attention_mask: TokenIds) -> Vectors:
        """See `Forward`."""
        feeds = {"input_ids": input_ids, "attention_mask": attention_mask}
        vectors: Vectors = self._session.run(["token_vectors"], feeds)[0]
        return vectors


def open_session(model_file: Path) -> Any:
    """Opens a model for calls that take one core each.

    Raises:
        ModelError: The file is missing or damaged.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    damaged = (errors.Fail, errors.InvalidGraph, errors.InvalidProtobuf, errors.InvalidArgument, errors.NoSuchFile)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(model_file), options, providers=["CPUExecutionProvider"])
    except damaged as error:
        raise ModelError(
            f"cannot load {model_file}: {error}", f"Delete the directory {model_file.parent}; it is made again."
        ) from error


def available_cores() -> int:
    """The cores that this process may use: fewer than the machine has, in a container or under taskset."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
