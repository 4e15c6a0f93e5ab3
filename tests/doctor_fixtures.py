"""What lets `doctor` find the model that the fake encoder stands for."""

from pathlib import Path

import pytest
from fake_encoder import FakeEncoder

from notesearch.encoders import PreparedModel


@pytest.fixture
def fake_models(fake_encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> FakeEncoder:
    """Goes with `fake_encoder`: the model that comes with notesearch is a fake one, and prepared."""
    from notesearch.library.search import prepare

    def load_prepared(fingerprint: str, *, thoroughly: bool = False) -> PreparedModel | None:
        model = prepare("all-MiniLM-L6-v2")
        return model if model.config.fingerprint == fingerprint else None

    models = "notesearch.doctor_api.models"
    monkeypatch.setattr(f"{models}.load_prepared", load_prepared)
    monkeypatch.setattr(f"{models}.open_encoder", lambda prepared: fake_encoder)
    monkeypatch.setattr(f"{models}.find_model", lambda name: Path("/nowhere"))
    monkeypatch.setattr(f"{models}.read_encoder_config", lambda name, directory: prepare(name).config)
    return fake_encoder
