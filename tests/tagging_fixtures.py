"""Fixtures for tests of training and tagging: an indexed collection about two things, and the fake encoder for it.

PYTEST_DONT_REWRITE: nothing is asserted here.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import notesearch.api
from notesearch.api import sync_index
from notesearch.settings import Settings
from notesearch.tagging.report import Report
from notesearch.tagging_api import TagRun, suggest_tags
from notesearch.training_api import TrainingOptions, train_classifier

_DIMENSIONS = 1024

WORDS = {
    "cooking": "soup salt flour butter onion garlic oven rice".split(),
    "databases": "table index query transaction replica quorum disk btree".split(),
}


def text_about(topic: str, number: int) -> str:
    """One of the texts about a topic: five of its words."""
    words = WORDS[topic]
    return " ".join(words[(number + place) % len(words)] for place in range(5))


def note_about(topic: str, number: int, front_matter: str = "") -> str:
    return f"---\ndate: 2024-01-{number + 1:02}\n{front_matter}---\n# About {topic} {number}\n\n" + text_about(
        topic, number
    )


def tagged(topic: str, number: int, *more: str) -> str:
    """A note with its topic for a tag, and more tags."""
    return note_about(topic, number, f"tags: {json.dumps([topic, *more])}\n")


def write_labels(file: Path, labels: Mapping[str, str], count: int = 5) -> Path:
    """A file of labelled texts: for each label, some about the topic."""
    rows = [
        {"text": text_about(topic, number), "labels": [label]}
        for label, topic in labels.items()
        for number in range(count)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@dataclass(frozen=True)
class Vault:
    """Notes and their index.

    Attributes:
        folder: The notes.
        settings: Of the index.
    """

    folder: Path
    settings: Settings

    @property
    def classifiers(self) -> Path:
        return self.settings.index_dir / "classifiers"

    def write(self, notes: Mapping[str, str]) -> list[Path]:
        for name, text in notes.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text, encoding="utf-8")
        return [self.folder / name for name in notes]

    def index(self, model: str | None = None) -> None:
        """Indexes the notes; anew if a model is named."""
        sync_index(replace(self.settings, model=model), [self.folder], rebuild=model is not None)

    def train(self, method: str = "tf-idf", progress: Callable[[str, int, int], None] | None = None, **more) -> Report:
        report, _ = train_classifier(self.settings, TrainingOptions(quick=True, method=method, **more), progress)
        return report

    def suggest(self, *paths: Path, **options) -> TagRun:
        return suggest_tags(self.settings, list(paths) or None, **options)

    def holds(self) -> dict[str, bytes]:
        """All bytes of all notes."""
        return bytes_below(self.folder)


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def tagging_encoder(fake_encoder, monkeypatch):
    """The fake encoder in training and tagging too; any name is that of a model. No two words of ours are alike."""
    fake_model = notesearch.api.prepare  # which `fake_encoder` put there

    def prepare(name: str):
        model = fake_model(name)
        return replace(model, config=replace(model.config, dim=_DIMENSIONS))

    fake_encoder.config = replace(fake_encoder.config, dim=_DIMENSIONS)
    places = ("notesearch.api", "notesearch.tagging.opening", "notesearch.training_api", "notesearch.tagging_api")
    for place in places:
        monkeypatch.setattr(f"{place}.prepare", prepare)
    monkeypatch.setattr("notesearch.tagging.opening.load_prepared", lambda fingerprint: None)
    monkeypatch.setattr("notesearch.tagging.opening.open_encoder", lambda prepared: fake_encoder)
    monkeypatch.setattr("notesearch.training_api.open_fastest_encoder", lambda prepared, passages: fake_encoder)
    return fake_encoder


@pytest.fixture
def empty_vault(tmp_path, tagging_encoder, monkeypatch) -> Vault:
    """A folder without notes; commands and functions look for the index beside it."""
    monkeypatch.setenv("NOTESEARCH_INDEX_DIR", str(tmp_path / "index"))
    (tmp_path / "notes").mkdir()
    return Vault(tmp_path / "notes", Settings(tmp_path / "index"))


@pytest.fixture
def vault(empty_vault) -> Vault:
    """Six tagged notes about each topic and one without tags, indexed."""
    notes = {f"{topic}/{number}.md": tagged(topic, number) for topic in WORDS for number in range(6)}
    empty_vault.write({**notes, "inbox/new.md": note_about("databases", 7)})
    empty_vault.index()
    return empty_vault


@pytest.fixture
def trained(vault) -> Vault:
    """The same, with a classifier."""
    vault.train()
    return vault
