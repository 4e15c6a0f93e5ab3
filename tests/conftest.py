"""Fixtures that all tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_encoder import FakeEncoder, FakeModels, make_fake_model

from notesearch.encoders import PreparedModel


@pytest.fixture
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the user's index nor settings nor models are seen, nor the network."""
    for kind in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    for name in ("NOTESEARCH_INDEX_DIR", "NOTESEARCH_MODEL", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True)
def own_umask() -> Iterator[None]:
    """A command that runs in this process makes it private for good."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def fake_model() -> PreparedModel:
    """A prepared model without files, for the fake encoder."""
    return make_fake_model("fake-model")


@pytest.fixture
def other_model() -> PreparedModel:
    """Another one, whose vectors must not be mixed with those of the first."""
    return make_fake_model("other-model")


@pytest.fixture
def fake_models(monkeypatch: pytest.MonkeyPatch) -> FakeModels:
    """Puts fake models in the place of all others."""
    fakes = FakeModels()
    fakes.put_in_place(monkeypatch.setattr)
    return fakes


@pytest.fixture
def fake_encoder(fake_models: FakeModels) -> FakeEncoder:
    """Makes everything use a fake encoder instead of a model."""
    return fake_models.encoder
