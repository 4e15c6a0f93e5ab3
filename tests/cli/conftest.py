import io
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from fake_encoder import LONG_AGO_S
from hypothesis import HealthCheck, settings
from outcome import Outcome, Run

from notesearch.cli import main

from .sample_index import SampleIndex, sample_index

# A busy machine is no defect.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleIndex:
    """The sample notes, indexed with the real model; for reading only."""
    return sample_index(tmp_path_factory.getbasetemp())


@pytest.fixture(autouse=True)
def commands_see_nothing_of_the_user(own_folders: None) -> None:
    """All tests here run commands."""


@pytest.fixture
def terminals() -> set[str]:
    """The names of the streams of `sys` that commands take for a terminal, one that can show colours."""
    return set()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminals: set[str]) -> Run:
    """Runs a command through `main`, in this process."""

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["notesearch", *map(str, arguments)])
        monkeypatch.setattr(sys, "warnoptions", ["default"])  # warnings count in tests
        for name in terminals:
            monkeypatch.setenv("TERM", "xterm-256color")
            monkeypatch.setattr(getattr(sys, name), "isatty", lambda: True)
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        code = caught.value.code
        out, err = capsys.readouterr()
        return Outcome(code if isinstance(code, int) else int(code is not None), out, err)

    return call


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], None]:
    """Gives what a command reads from stdin."""

    def give(data: str | bytes) -> None:
        raw = io.BytesIO(data.encode() if isinstance(data, str) else data)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw, encoding="utf-8"))

    return give


@pytest.fixture
def write_notes(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """Writes notes; returns their folder."""

    def write(notes: Mapping[str, str]) -> Path:
        folder = tmp_path / "notes"
        for name, text in notes.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
            os.utime(folder / name, (LONG_AGO_S, LONG_AGO_S))
        return folder

    return write


NOTES = {
    "cap.md": "---\ntags: [databases, theory]\ndate: 2024-02-10\n---\n# CAP theorem\n\nConsistency or availability.",
    "cooking/dal.md": "---\ntags: cooking\ndate: 2023-05-01\n---\n# Dal\n\nLentils, turmeric, salt.",
    "cooking/white bread.md": "---\ntags: cooking\ndate: 2025-05-01\n---\n# Bread\n\n## Dough\n\nFlour, water, salt.",
}


@pytest.fixture
def indexed(fake_encoder, run: Run, write_notes: Callable[[Mapping[str, str]], Path]) -> Path:
    """Three notes, indexed with the fake encoder where commands look by default; returns their folder."""
    folder = write_notes(NOTES)
    assert run("index", folder, "--quiet").code == 0
    return folder


class CrossEncoderOfLengths:
    """Likes long passages."""

    def score(self, query, passages):
        return np.array([len(passage) for passage in passages], dtype=np.float32)


@pytest.fixture
def cross_encoder(monkeypatch) -> list[str]:
    """Makes any name that of a cross-encoder; returns the names that were asked for."""
    names = []

    def open_cross_encoder(name):
        names.append(name)
        return CrossEncoderOfLengths()

    monkeypatch.setattr("notesearch.encoders.models.open_cross_encoder", open_cross_encoder)
    return names
