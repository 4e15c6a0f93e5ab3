from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from notesearch import files
from notesearch.encoders import PreparedModel
from notesearch.records import IndexReport

from .vault import Vault, run_index


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """An empty folder for notes; what is written into it passes for settled at once."""
    monkeypatch.setattr(files, "_TICK_NS", 0)
    return Vault(tmp_path / "vault")


@pytest.fixture
def index_dir(tmp_path: Path) -> Path:
    """Where the index is made."""
    return tmp_path / "index"


@pytest.fixture
def index(index_dir: Path, fake_model: PreparedModel, fake_encoder: object) -> Callable[..., IndexReport]:
    """Runs `index` on folders, with the fake model."""
    return partial(run_index, index_dir, fake_model)
