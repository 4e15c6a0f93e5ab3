"""The models of this process: found, prepared and opened here and nowhere else.

Callers ask the module (`models.prepare(…)`), so that a test can put fake models in the place of all of them at once.
"""

from __future__ import annotations

import platform
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from notesearch.encoders.encoder import Encoder, Forward
from notesearch.encoders.model_cache import install
from notesearch.encoders.model_files import EncoderConfig, absolute_name, find_model, read_encoder_config
from notesearch.encoders.onnx_forward import OnnxForward
from notesearch.encoders.prepared import FORMAT, PreparedModel, prepare_into, read_prepared
from notesearch.encoders.torch_forward import Device, TorchForward
from notesearch.errors import IndexMismatch
from notesearch.settings import cache_dir

if TYPE_CHECKING:
    from notesearch.encoders.cross_encoder import CrossEncoder

# Below this, importing torch and loading the model costs more than it saves.
_LARGE_BATCH_PASSAGES = 1000


def config_of(name: str) -> EncoderConfig:
    """How a bi-encoder is to be used.

    Raises:
        ModelError: The model is unknown, unsafe or damaged.
    """
    name = absolute_name(name)
    return read_encoder_config(name, find_model(name))


def prepare(name: str) -> PreparedModel:
    """Prepares a bi-encoder, unless that was done before and all of it is as it was written.

    Returns:
        The prepared model. Its directory appears at once and complete, or not at all.

    Raises:
        ModelError: The model is unknown, unsafe, damaged, or of an architecture that cannot be exported.
    """
    name = absolute_name(name)
    source = find_model(name)
    config = read_encoder_config(name, source)
    if known := find_prepared(config.fingerprint, thoroughly=True):
        return replace(known, config=config)  # it may have been prepared under another name
    target = _directory(config.fingerprint)

    def make(directory: Path) -> PreparedModel:
        return replace(prepare_into(directory, source, config), directory=target)

    made = install(name, target, make, lambda: find_prepared(config.fingerprint, thoroughly=True))
    return replace(made, config=config)


def find_prepared(fingerprint: str, *, thoroughly: bool = False) -> PreparedModel | None:
    """Looks up a prepared model by its fingerprint; `None` where there is none, or only a damaged one.

    Args:
        fingerprint: Of its `EncoderConfig`.
        thoroughly: See `read_prepared`.
    """
    prepared = read_prepared(_directory(fingerprint), thoroughly=thoroughly)
    return prepared if prepared and prepared.config.fingerprint == fingerprint else None


def forget_prepared(fingerprint: str) -> None:
    """Deletes a prepared model that will not be used again; does nothing where there is none."""
    shutil.rmtree(_directory(fingerprint), ignore_errors=True)


def _directory(fingerprint: str) -> Path:
    return cache_dir() / "encoders" / f"{fingerprint}-{FORMAT}"


def encoder_of(name: str, fingerprint: str, token_model: str = "", token_fingerprint: str = "") -> Encoder:
    """Opens the encoder that vectors were made with, so that new ones can be compared with them.

    Args:
        name: The bi-encoder, as the user named it.
        fingerprint: Of the bi-encoder.
        token_model: The multi-vector model that made the token codes; empty for the bi-encoder's own.
        token_fingerprint: Of the multi-vector model.

    Raises:
        ModelError: A model cannot be loaded.
        IndexMismatch: A model of this name has other files now.
    """
    prepared = find_prepared(fingerprint) or prepare(name)
    if prepared.config.fingerprint != fingerprint:
        raise _changed(f"the model {name}")
    if token_model and token_model_fingerprint(token_model) != token_fingerprint:
        raise _changed(f"the token model {token_model}")
    return open_encoder(prepared, token_model)


def _changed(model: str) -> IndexMismatch:
    return IndexMismatch(
        f"{model} is no longer the one that was used here",
        "Make the index anew (notesearch index --rebuild), and any classifier (notesearch train-classifier).",
    )


def open_encoder(
    prepared: PreparedModel, token_model: str = "", *, passages: int = 1, threads: int | None = None
) -> Encoder:
    """Opens the encoder that is fastest on this machine for a number of passages.

    For queries and small updates that is ONNX Runtime, ready in about 0.1 s; for many passages an accelerator where
    there is one, else bf16 torch where this CPU computes it faster than int8, else ONNX Runtime; measured in
    docs/decisions/0002-encoding-paths.md.

    Args:
        prepared: The bi-encoder.
        token_model: A multi-vector model for late interaction, which takes seconds; empty for the bi-encoder's own.
        passages: About how many will be encoded.
        threads: The most cores to take; `None` for all.
    """
    opened = None
    if token_model:
        from notesearch.encoders.token_model import open_token_model

        opened = open_token_model(token_model)
    forward = _fastest_forward(prepared, passages, threads)
    tokenizer = prepared.directory / "tokenizer.json"
    return Encoder(prepared.config, tokenizer, forward, prepared.scale, prepared.late_scale, opened)


def token_model_fingerprint(name: str) -> str:
    """The fingerprint of a multi-vector model, without loading it.

    Raises:
        ModelError: The model is unknown, unsafe, damaged or of another kind.
    """
    from notesearch.encoders.token_model import token_model_fingerprint

    return token_model_fingerprint(name)


def open_cross_encoder(name: str) -> CrossEncoder:
    """Opens a cross-encoder; prepares it first unless that was done before.

    Raises:
        ModelError: The model is unknown, unsafe, damaged, or no cross-encoder that gives one score.
    """
    from notesearch.encoders.cross_encoder import open_cross_encoder

    return open_cross_encoder(name)


def _fastest_forward(prepared: PreparedModel, passages: int, threads: int | None) -> Forward:
    if passages >= _LARGE_BATCH_PASSAGES:
        device = _accelerator()
        if device or bf16_beats_int8(cpu_flags(), fused=prepared.fused):
            source = find_model(prepared.config.name)
            return TorchForward(source, device or "cpu", bf16=device is None, threads=threads)
    return OnnxForward(prepared.directory / "model.onnx", threads)


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
