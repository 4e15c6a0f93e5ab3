"""Checkpoints: read again as written, and never taken for another training's or when damaged."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import torch

from notesearch.encoders import checkpoint
from notesearch.encoders.checkpoint import Checkpoint
from notesearch.errors import ModelError

TENSORS = {"0.value": torch.arange(6.0).reshape(2, 3), "0.step": torch.tensor(7.0)}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "models" / "state.safetensors"
    Checkpoint(file, "a").write(7, TENSORS)
    found = Checkpoint(file, "a").read()
    assert found is not None
    step, tensors = found
    assert step == 7
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_nothing_is_read_of_another_training(tmp_path: Path) -> None:
    file = tmp_path / "state.safetensors"
    assert Checkpoint(file, "a").read() is None
    Checkpoint(file, "a").write(7, TENSORS)
    assert Checkpoint(file, "b").read() is None
    Checkpoint(file, "b").remove()
    assert not file.exists()
    Checkpoint(file, "b").remove()


@pytest.mark.parametrize("size", [0, 3, 40, -1])
def test_nothing_is_read_of_a_damaged_file(tmp_path: Path, size: int) -> None:
    file = tmp_path / "state.safetensors"
    Checkpoint(file, "a").write(7, TENSORS)
    file.write_bytes(file.read_bytes()[:size])
    assert Checkpoint(file, "a").read() is None


def test_it_is_due_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: clock)
    state = Checkpoint(tmp_path / "state", "a")
    assert not state.due
    clock += checkpoint._SECONDS_BETWEEN
    assert state.due
    state.write(1, TENSORS)
    assert not state.due


def test_a_full_disk_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(ModelError, match="cannot write"):
        Checkpoint(tmp_path / "models" / "state", "a").write(1, TENSORS)
