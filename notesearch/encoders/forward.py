"""The forward pass of a bi-encoder: by ONNX Runtime always, by torch for large batches where it is faster."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from notesearch.encoders.files import ModelFiles, load_transformer
from notesearch.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    TokenIds = NDArray[np.int64]
    Vectors = NDArray[np.float32]

Device = Literal["cpu", "cuda", "mps"]


class Forward(Protocol):
    """A model's forward pass, by whichever runtime.

    Attributes:
        batch_tokens: The most padded tokens that it should be given at once; a longer text goes alone.
        concurrency: How many calls should run at the same time.
    """

    batch_tokens: int
    concurrency: int

    def __call__(self, input_ids: TokenIds, attention_mask: TokenIds) -> Vectors:
        """Runs the model on int64 arrays `(batch, tokens)`; returns token vectors, float32 `(batch, tokens, dim)`."""
        ...


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


class TorchForward:
    """A model run by torch; bf16 on the CPU, where its caller has made sure that the CPU has it in hardware."""

    # Enough to keep the cores busy, few enough for the activations of a small model to stay in cache.
    batch_tokens = 2048
    concurrency = 1

    def __init__(self, files: ModelFiles, device: Device, *, bf16: bool, threads: int | None = None) -> None:
        import torch

        if threads:
            torch.set_num_threads(threads)
        self._device = device
        self._model = load_transformer(files).to(device=device, dtype=torch.bfloat16 if bf16 else torch.float32)

    def __call__(self, input_ids: TokenIds, attention_mask: TokenIds) -> Vectors:
        """See `Forward`."""
        import torch

        with torch.inference_mode():
            output = self._model(
                input_ids=torch.from_numpy(input_ids).to(self._device),
                attention_mask=torch.from_numpy(attention_mask).to(self._device),
            )
            vectors: Vectors = output.last_hidden_state.float().cpu().numpy()
        return vectors


def open_session(model_file: Path) -> Any:
    """Opens a model by ONNX Runtime for calls that take one core each.

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
            f"cannot load {model_file}: {error}", "Prepare the model again: notesearch doctor --repair"
        ) from error


def available_cores() -> int:
    """The cores that this process may use: fewer than the machine has, in a container or under taskset."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_flags() -> frozenset[str]:
    """The x86 feature flags as Linux lists them; empty elsewhere."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("flags"):
                return frozenset(line.split())
    except OSError:
        pass
    return frozenset()


def bf16_beats_int8(cpu_flags: frozenset[str], *, fused: bool) -> bool:
    """Says whether torch in bf16 encodes faster than ONNX Runtime in int8 on a CPU with these flags.

    Without bf16 in hardware it can be a hundred times slower; with AMX it is the fastest; with avx512_bf16 alone it
    beats only a graph whose attention is not fused.
    """
    return "amx_bf16" in cpu_flags or ("avx512_bf16" in cpu_flags and not fused)


def accelerator() -> Device | None:
    """A device that torch can use. Looks for signs of one first, since importing torch takes seconds."""
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    if not apple and not Path("/dev/nvidiactl").exists():
        return None
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None
