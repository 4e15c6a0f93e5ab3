"""What torch refuses; that it agrees with ONNX Runtime is tested in test_bert_graph and test_tiny_models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from notesearch.encoders.torch_forward import TorchForward, export_to_onnx
from notesearch.errors import ModelError


def test_bf16_comes_back_as_float32(tiny_bert: Path) -> None:
    ids = np.array([[2, 30, 40, 3], [2, 30, 3, 0]])
    mask = np.array([[1, 1, 1, 1], [1, 1, 1, 0]])
    full = TorchForward(tiny_bert, "cpu", bf16=False)(ids, mask)
    short = TorchForward(tiny_bert, "cpu", bf16=True)(ids, mask)
    assert full.dtype == short.dtype == np.float32
    assert full.shape == short.shape == (2, 4, 32)
    np.testing.assert_allclose(short, full, atol=0.15)
    assert not np.array_equal(short, full)


def test_pickled_weights_are_refused(tiny_bert: Path) -> None:
    import torch

    (tiny_bert / "model.safetensors").unlink()
    torch.save({}, tiny_bert / "pytorch_model.bin")
    with pytest.raises(ModelError) as caught:
        TorchForward(tiny_bert, "cpu", bf16=False)
    assert str(tiny_bert) in caught.value.message


@pytest.mark.parametrize("failing", ["raises", "returns nothing"])
def test_an_architecture_that_cannot_be_exported_is_a_model_error(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    import torch

    def export(*arguments: Any, **options: Any) -> None:
        if failing == "raises":
            raise torch.onnx.OnnxExporterError("an operator is unknown\nand a long story follows")

    monkeypatch.setattr(torch.onnx, "export", export)
    with pytest.raises(ModelError) as caught:
        export_to_onnx(tiny_bert, tmp_path / "model.onnx")
    assert str(tiny_bert) in caught.value.message
    assert "\n" not in caught.value.message
    assert not (tmp_path / "model.onnx").exists()
