"""Choosing the runtime for a job: ONNX Runtime always works; torch only where it is faster."""

from __future__ import annotations

import platform
from pathlib import Path

from notesearch.encoders.encoder import Encoder, Forward
from notesearch.encoders.model_files import find_model
from notesearch.encoders.onnx_forward import OnnxForward
from notesearch.encoders.prepared import PreparedModel
from notesearch.encoders.torch_forward import Device, TorchForward

# Below this, importing torch and loading the model costs more than it saves.
_LARGE_BATCH_PASSAGES = 1000


def open_encoder(prepared: PreparedModel, token_model: str = "", *, threads: int | None = None) -> Encoder:
    """Opens the encoder for queries and small updates: ONNX Runtime, ready in about 0.1 s.

    Args:
        prepared: The bi-encoder.
        token_model: A ColBERT model for late interaction, which takes seconds; empty for the bi-encoder's own.
        threads: The most cores to take; `None` for all.
    """
    forward = OnnxForward(prepared.directory / "model.onnx", threads)
    return _encoder(prepared, forward, token_model)


def open_fastest_encoder(
    prepared: PreparedModel, passages: int, token_model: str = "", *, threads: int | None = None
) -> Encoder:
    """Opens the encoder that is fastest on this machine for a number of passages, on so many cores at most.

    That is an accelerator where there is one, else bf16 torch where this CPU computes it faster than int8, else
    ONNX Runtime; measured in docs/decisions/0002-encoding-paths.md.
    """
    if passages < _LARGE_BATCH_PASSAGES:
        return open_encoder(prepared, token_model, threads=threads)
    device = _accelerator()
    if device is None and not bf16_beats_int8(cpu_flags(), fused=prepared.fused):
        return open_encoder(prepared, token_model, threads=threads)
    source = find_model(prepared.config.name)
    forward = TorchForward(source, device or "cpu", bf16=device is None, threads=threads)
    return _encoder(prepared, forward, token_model)


def _encoder(prepared: PreparedModel, forward: Forward, token_model: str) -> Encoder:
    opened = None
    if token_model:
        from notesearch.encoders.token_model import open_token_model

        opened = open_token_model(token_model)
    tokenizer = prepared.directory / "tokenizer.json"
    return Encoder(prepared.config, tokenizer, forward, prepared.scale, prepared.late_scale, opened)


def bf16_beats_int8(cpu_flags: frozenset[str], *, fused: bool) -> bool:
    """Says whether torch in bf16 encodes faster than ONNX Runtime in int8 on a CPU with these flags.

    Without bf16 in hardware it can be a hundred times slower; with AMX it is the fastest; with avx512_bf16 alone it
    beats only a graph whose attention is not fused.
    """
    return "amx_bf16" in cpu_flags or ("avx512_bf16" in cpu_flags and not fused)


def cpu_flags() -> frozenset[str]:
    """The x86 feature flags as Linux lists them; empty elsewhere."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("flags"):
                return frozenset(line.split())
    except OSError:
        pass
    return frozenset()


def _accelerator() -> Device | None:
    """A device that torch can use. Looks for signs of one first, since importing torch takes seconds."""
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    if not apple and not Path("/dev/nvidiactl").exists():
        return None
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None
