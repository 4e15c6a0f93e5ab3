"""Fixtures for tests of training and tagging: an indexed collection about two things, and the fake encoder for it.

PYTEST_DONT_REWRITE: nothing is asserted here.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fake_encoder import LONG_AGO_S
from threadpoolctl import threadpool_limits

from notesearch.encoders import preparing
from notesearch.finetuning import classification, trainer
from notesearch.library.index import sync_index
from notesearch.library.tag import TagRun, suggest_tags
from notesearch.library.train import TrainingOptions, train_classifier
from notesearch.settings import Settings
from notesearch.tagging.report import Report

_DIMENSIONS = 1024
_TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}

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
            os.utime(self.folder / name, (LONG_AGO_S, LONG_AGO_S))
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
def one_thread() -> Iterator[None]:
    """Tiny matrices gain nothing from more threads, and where other processes run they wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def tagging_encoder(fake_models, fake_encoder, one_thread):
    """The fake encoder, in so many dimensions that no two words of ours are alike."""
    fake_models.dim = _DIMENSIONS
    fake_encoder.config = replace(fake_encoder.config, dim=_DIMENSIONS)
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


@pytest.fixture
def tiny_training(one_thread, monkeypatch, tmp_path) -> None:
    """Trains encoders as befits tiny ones: these must move further than large ones to make a difference."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(trainer, "available_cores", lambda: 1)
    monkeypatch.setattr(preparing, "_LEAST_AGREEMENT", 2.0)  # float32: int8 is too coarse for so small a model
    monkeypatch.setattr(classification, "_LAYER_RATE", 5e-3)
    monkeypatch.setattr(classification, "_CONTRASTIVE_RATE", 5e-3)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory) -> Path:
    """The directory of a BERT with random weights that knows the words of both topics, and letters."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    directory = tmp_path_factory.mktemp("tiny") / "encoder"
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = [word for own in WORDS.values() for word in own]
    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(models.WordPiece({word: place for place, word in enumerate(known)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    named = {f"{name.lower()}_token": f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP", "MASK")}
    config = BertConfig(vocab_size=len(known), **_TINY, max_position_embeddings=64, initializer_range=0.2)
    with torch.random.fork_rng():
        torch.manual_seed(20)
        BertModel(config).eval().save_pretrained(directory)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(directory)
    (directory / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 48}))
    return directory
