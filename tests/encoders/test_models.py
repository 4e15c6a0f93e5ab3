"""Which runtime is chosen, and what a query imports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from notesearch.encoders import PreparedModel, models
from notesearch.encoders.forward import bf16_beats_int8
from notesearch.encoders.models import open_encoder, prepare
from notesearch.settings import DEFAULT_MODEL


@pytest.mark.parametrize(
    ("flags", "fused", "expected"),
    [
        ("", True, False),
        ("", False, False),
        ("avx2 avx512f avx512_vnni", False, False),
        ("avx512_bf16", True, False),
        ("avx512_bf16", False, True),
        ("amx_bf16", True, True),
        ("amx_bf16", False, True),
        ("avx512_bf16 amx_tile amx_int8 amx_bf16", True, True),
        ("amx_int8 amx_tile", True, False),
    ],
)
def test_bf16_is_chosen_only_where_hardware_has_it(flags: str, fused: bool, expected: bool) -> None:
    assert bf16_beats_int8(frozenset(flags.split()), fused=fused) == expected


class Ones:
    """A forward pass that answers the same to everything."""

    batch_tokens = 2048
    concurrency = 1

    def __call__(self, input_ids: Any, attention_mask: Any) -> Any:
        return np.ones((*input_ids.shape, 384), dtype=np.float32)


class Chosen:
    """Stands for `TorchForward`, and remembers what it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, flags: str, device: str | None) -> None:
        self.calls: list[tuple[Path, str, bool]] = []
        monkeypatch.setattr(models, "cpu_flags", lambda: frozenset(flags.split()))
        monkeypatch.setattr(models, "accelerator", lambda: device)
        monkeypatch.setattr(models, "TorchForward", self)

    def __call__(self, files: Any, device: str, *, bf16: bool, threads: int | None) -> Any:
        self.calls.append((files.directory, device, bf16))
        self.threads = threads
        return Ones()


@pytest.mark.parametrize(
    ("passages", "flags", "device", "expected"),
    [
        (10, "amx_bf16", "cuda", []),
        (10_000, "", None, []),
        (10_000, "avx512_bf16", None, []),  # the default model's graph is fused
        (10_000, "amx_bf16", None, [("cpu", True)]),
        (10_000, "", "cuda", [("cuda", False)]),
        (10_000, "amx_bf16", "mps", [("mps", False)]),
    ],
)
def test_torch_is_chosen_for_large_batches_where_it_is_faster(
    default_model: PreparedModel,
    default_source: Path,
    monkeypatch: pytest.MonkeyPatch,
    passages: int,
    flags: str,
    device: str | None,
    expected: list[tuple[str, bool]],
) -> None:
    chosen = Chosen(monkeypatch, flags, device)
    encoder = open_encoder(default_model, passages=passages)
    assert chosen.calls == [(default_source, *call) for call in expected]
    assert encoder.encode_passages(["one"]).vectors.shape == (1, 384)
    assert encoder.config == default_model.config


def test_an_unfused_graph_loses_to_bf16(
    default_model: PreparedModel, default_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    chosen = Chosen(monkeypatch, "avx512_bf16", None)
    open_encoder(replace(default_model, fused=False), passages=10_000)
    assert chosen.calls == [(default_source, "cpu", True)]


def test_torch_gets_the_directory_that_was_asked_for_last(
    tiny_bert: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same model, prepared from another place before: that place need not exist any more.
    prepare(str(tiny_bert))
    moved = tiny_bert.rename(tiny_bert.with_name("moved"))
    chosen = Chosen(monkeypatch, "amx_bf16", None)
    open_encoder(prepare(str(moved)), passages=10_000)
    assert chosen.calls == [(moved, "cpu", True)]


def test_the_fastest_encoder_of_this_machine_agrees_with_the_one_for_queries(
    default_model: PreparedModel, passages: list[str], cosines: Any
) -> None:
    fastest = open_encoder(default_model, passages=1_000_000).encode_passages(passages).vectors
    assert cosines(fastest, open_encoder(default_model).encode_passages(passages).vectors).min() >= 0.97


def _loaded(code: str, modules: str) -> list[str]:
    """Runs code in a fresh Python; returns which of the modules it ended up with."""
    code += f"\nimport sys\nprint(*sorted(set({modules.split()!r}) & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    return run.stdout.split()


def test_importing_the_package_imports_no_runtime() -> None:
    heavy = (
        "torch transformers sentence_transformers onnx onnxruntime onnxscript tokenizers huggingface_hub safetensors"
    )
    assert _loaded("import notesearch.encoders", heavy) == []


def test_a_query_imports_onnxruntime_and_tokenizers_alone(default_model: PreparedModel) -> None:
    code = f"""
from notesearch.encoders.models import find_prepared, open_encoder
prepared = find_prepared({default_model.config.fingerprint!r})
assert open_encoder(prepared).encode_query("what is a quorum?").vector.shape == (384,)
"""
    modules = "torch transformers sentence_transformers onnx onnxscript huggingface_hub onnxruntime tokenizers"
    assert _loaded(code, modules) == ["onnxruntime", "tokenizers"]


def test_preparing_the_default_model_imports_no_torch(own_cache: Path) -> None:
    code = f"from notesearch.encoders.models import prepare\nassert prepare({DEFAULT_MODEL!r}).fused"
    assert _loaded(code, "torch transformers sentence_transformers") == []


def test_finding_a_prepared_model_by_its_name_imports_no_torch(
    tiny_bert: Path, prepare_shared: Callable[..., PreparedModel]
) -> None:
    prepare_shared(tiny_bert)
    code = f"from notesearch.encoders.models import prepare\nassert prepare({str(tiny_bert)!r}).fused"
    assert _loaded(code, "torch transformers sentence_transformers onnxruntime") == []


def test_no_more_cores_are_taken_than_allowed(default_model: PreparedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_encoder(default_model, passages=10, threads=1)._forward.concurrency == 1
    cores = open_encoder(default_model, passages=10)._forward.concurrency
    assert open_encoder(default_model, passages=10, threads=10_000)._forward.concurrency == cores
    chosen = Chosen(monkeypatch, "amx_bf16", None)
    open_encoder(default_model, passages=10_000, threads=1)
    assert chosen.threads == 1
