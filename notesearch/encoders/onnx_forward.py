"""The forward pass by ONNX Runtime: what every query and every small update uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from notesearch.errors import ModelError

if TYPE_CHECKING:
    from notesearch.encoders.encoder import TokenIds, Vectors


class OnnxForward:
    """A model in an ONNX file with inputs `input_ids`, `attention_mask` and output `token_vectors`."""

    def __init__(self, model_file: Path) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors

        damaged = (errors.Fail, errors.InvalidGraph, errors.InvalidProtobuf, errors.InvalidArgument, errors.NoSuchFile)

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(model_file), options, providers=["CPUExecutionProvider"])
        except damaged as error:
            raise ModelError(
                f"cannot load {model_file}: {error}", f"Delete the directory {model_file.parent}; it is made again."
            ) from error

    def __call__(self, input_ids: TokenIds, attention_mask: TokenIds) -> Vectors:
        """See `Forward`."""
        feeds = {"input_ids": input_ids, "attention_mask": attention_mask}
        vectors: Vectors = self._session.run(["token_vectors"], feeds)[0]
        return vectors
