"""The models of this process: found, prepared and opened here and nowhere else.

Callers ask the module (`models.prepare(…)`), so that a test can put fake models in the place of all of them at once.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from notesearch.encoders import preparing
from notesearch.encoders.encoder import Encoder
from notesearch.encoders.files import Kind, find_model
from notesearch.encoders.forward import Forward, OnnxForward, TorchForward, accelerator, bf16_beats_int8, cpu_flags
from notesearch.encoders.preparing import PreparedModel, prepared_directory, read_prepared
from notesearch.errors import IndexMismatch

if TYPE_CHECKING:
    from notesearch.encoders.cross_encoder import CrossEncoder

# Below this, importing torch and loading the model costs more than it saves.
_LARGE_BATCH_PASSAGES = 1000


def fingerprint_of(name: str, kind: Kind = "bi-encoder") -> str:
    """The fingerprint of a model's files, without loading it: 32 hex digits.

    Raises:
        ModelError: See `find_model`; what shows only once the model is loaded is not found here.
    """
    return find_model(name, kind).fingerprint


def prepare(name: str) -> PreparedModel:
    """Prepares a bi-encoder, unless that was done before and all of it is as it was written.

    Raises:
        ModelError: The model is unknown, unsafe, damaged, or of an architecture that cannot be exported.
    """
    files = find_model(name)

    def prepare_into(directory: Path) -> None:
        preparing.prepare_into(directory, files)

    prepared = preparing.prepare_once(files, prepare_into, lambda directory: read_prepared(directory, thoroughly=True))
    # It may have been prepared under another name.
    return replace(prepared, config=replace(prepared.config, name=files.name))


def find_prepared(fingerprint: str, *, thoroughly: bool = False) -> PreparedModel | None:
    """Looks up a prepared bi-encoder by its fingerprint; `None` where there is none, or only a damaged one.

    Args:
        fingerprint: Of its `EncoderConfig`.
        thoroughly: See `read_prepared`.
    """
    prepared = read_prepared(prepared_directory("bi-encoder", fingerprint), thoroughly=thoroughly)
    return prepared if prepared and prepared.config.fingerprint == fingerprint else None


def forget_prepared(fingerprint: str) -> None:
    """Deletes a prepared bi-encoder that will not be used again; does nothing where there is none."""
    shutil.rmtree(prepared_directory("bi-encoder", fingerprint), ignore_errors=True)


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
    if token_model and fingerprint_of(token_model, "multi-vector") != token_fingerprint:
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
    multi_vector = None
    if token_model:
        from notesearch.encoders.multi_vector import open_multi_vector_model

        multi_vector = open_multi_vector_model(token_model)
    forward = _fastest_forward(prepared, passages, threads)
    tokenizer = prepared.directory / "tokenizer.json"
    return Encoder(prepared.config, tokenizer, forward, prepared.scale, prepared.late_scale, multi_vector)


def _fastest_forward(prepared: PreparedModel, passages: int, threads: int | None) -> Forward:
    if passages >= _LARGE_BATCH_PASSAGES:
        device = accelerator()
        if device or bf16_beats_int8(cpu_flags(), fused=prepared.fused):
            files = find_model(prepared.config.name)
            return TorchForward(files, device or "cpu", bf16=device is None, threads=threads)
    return OnnxForward(prepared.directory / "model.onnx", threads)


def open_cross_encoder(name: str) -> CrossEncoder:
    """Opens a cross-encoder; prepares it first, unless that was done before.

    Raises:
        ModelError: The model is unknown, unsafe, damaged, or no cross-encoder that gives one score.
    """
    from notesearch.encoders.cross_encoder import open_cross_encoder

    return open_cross_encoder(name)
