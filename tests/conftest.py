"""Fixtures that all tests share."""

import os
from collections.abc import Iterator

import pytest
from fake_encoder import FakeEncoder, make_fake_model

from notesearch.encoders import PreparedModel


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
def fake_encoder(fake_model: PreparedModel, monkeypatch: pytest.MonkeyPatch) -> FakeEncoder:
    """Makes indexing and searching use a fake encoder instead of a model."""
    encoder = FakeEncoder(fake_model.config)
    monkeypatch.setattr("notesearch.indexing.sync.open_fastest_encoder", lambda *arguments, **options: encoder)
    monkeypatch.setattr("notesearch.api.prepare", make_fake_model)
    monkeypatch.setattr("notesearch.api.load_prepared", lambda fingerprint: None)
    monkeypatch.setattr("notesearch.api.open_encoder", lambda model, token_model="": encoder)
    return encoder
