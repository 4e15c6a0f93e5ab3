"""Tiny bi-encoders with random weights, saved as a user might have them, and the default model, prepared once."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from notesearch.encoders import PreparedModel
from notesearch.encoders.files import find_model
from notesearch.encoders.models import prepare
from notesearch.settings import DEFAULT_MODEL

SAMPLE_NOTES = Path(__file__).parents[2] / "sample_notes"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, shared_cache: Path) -> None:
    """No test asks the network, or touches the user's cache."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache directory that all tests share, so that a model is prepared once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache directory of the test's own; returns where prepared models are put."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "notesearch" / "encoders"


@pytest.fixture(scope="session")
def prepare_shared(shared_cache: Path) -> Callable[[str | Path], PreparedModel]:
    """`prepare` with the shared cache, for fixtures that outlive a test."""

    def run(name: str | Path) -> PreparedModel:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HF_HUB_OFFLINE", "1")
            patch.setenv("XDG_CACHE_HOME", str(shared_cache))
            return prepare(str(name))

    return run


@pytest.fixture(scope="session")
def default_model(prepare_shared: Callable[[str], PreparedModel]) -> PreparedModel:
    """The model that comes with notesearch, prepared."""
    return prepare_shared(DEFAULT_MODEL)


@pytest.fixture(scope="session")
def default_source() -> Path:
    """The directory of the model that comes with notesearch."""
    return find_model(DEFAULT_MODEL).directory


@pytest.fixture(scope="session")
def notes() -> list[str]:
    """The sample notes' text, in a fixed order."""
    return [path.read_text(encoding="utf-8") for path in sorted(SAMPLE_NOTES.rglob("*.md"))]


@pytest.fixture(scope="session")
def passages(notes: list[str]) -> list[str]:
    """Thirty passages of different lengths, out of as many notes of all folders."""
    picked = notes[:: len(notes) // 30][:30]
    return [note[100 : 160 + 37 * number] for number, note in enumerate(picked)]


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory, notes: list[str]) -> TinyModels:
    return TinyModels(tmp_path_factory.mktemp("models"), notes)


@pytest.fixture
def tiny_bert(tiny_models: TinyModels, tmp_path: Path) -> Path:
    """A copy of the tiny BERT that a test may change."""
    return Path(shutil.copytree(tiny_models.directory("bert"), tmp_path / "tiny-bert"))


@pytest.fixture
def tiny_distilbert(tiny_models: TinyModels, tmp_path: Path) -> Path:
    """A copy of the tiny DistilBERT that a test may change."""
    return Path(shutil.copytree(tiny_models.directory("distilbert"), tmp_path / "tiny-distilbert"))


class TinyModels:
    """Builds tiny bi-encoders, each once.

    bert and distilbert lie in the layout of the sentence-transformers of old (as all-MiniLM-L6-v2 does); the others
    are saved by the installed sentence-transformers itself.
    """

    names = ("bert", "roberta", "xlm-roberta", "distilbert", "modernbert")

    def __init__(self, root: Path, corpus: Sequence[str]) -> None:
        self._root = root
        self._corpus = corpus

    def directory(self, name: str) -> Path:
        """The directory of a tiny model."""
        directory = self._root / name
        if not directory.exists():
            getattr(self, "_" + name.replace("-", "_"))(directory)
        return directory

    def reference(self, name: str) -> Any:
        """The same model in sentence-transformers."""
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(str(self.directory(name)), device="cpu", local_files_only=True)

    def _bert(self, directory: Path) -> None:
        from transformers import BertConfig, BertModel

        tokenizer = self._wordpiece(lowercase=True)
        config = BertConfig(**_sizes(tokenizer), intermediate_size=64, max_position_embeddings=64)
        _write(directory, _random_weights(BertModel, config), tokenizer)
        prompts = {"query": "find: ", "passage": "note: "}
        _add_old_layout(directory, "mean", {"max_seq_length": 20, "do_lower_case": False}, prompts)

    def _distilbert(self, directory: Path) -> None:
        from transformers import DistilBertConfig, DistilBertModel

        tokenizer = self._wordpiece(lowercase=False)
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
        sizes = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2}
        config = DistilBertConfig(
            vocab_size=len(tokenizer), pad_token_id=0, max_position_embeddings=64, **sizes, initializer_range=0.2
        )
        _write(directory, _random_weights(DistilBertModel, config).half(), tokenizer)  # as some publishers do
        _add_old_layout(directory, "cls", {"max_seq_length": 32, "do_lower_case": True}, None)

    def _roberta(self, directory: Path) -> None:
        from transformers import RobertaConfig, RobertaModel

        tokenizer = self._byte_level()
        config = RobertaConfig(**_sizes(tokenizer), intermediate_size=64, max_position_embeddings=66, type_vocab_size=1)
        _save_with_sentence_transformers(directory, _random_weights(RobertaModel, config), tokenizer, "cls", 24, {})

    def _xlm_roberta(self, directory: Path) -> None:
        from transformers import XLMRobertaConfig, XLMRobertaModel

        tokenizer = self._unigram()
        config = XLMRobertaConfig(**_sizes(tokenizer), intermediate_size=64, max_position_embeddings=66)
        model = _random_weights(XLMRobertaModel, config)
        prompts = {"query": "query: ", "document": "passage: "}
        _save_with_sentence_transformers(directory, model, tokenizer, "mean", 30, prompts)

    def _modernbert(self, directory: Path) -> None:
        from transformers import ModernBertConfig, ModernBertModel

        tokenizer = self._byte_level()
        config = ModernBertConfig(
            **_sizes(tokenizer),
            intermediate_size=64,
            max_position_embeddings=128,
            local_attention=8,  # fewer than the tokens of a passage, so that the sliding window matters
            global_attn_every_n_layers=2,
            cls_token_id=0,
            sep_token_id=2,
            bos_token_id=0,
            eos_token_id=2,
        )
        model = _random_weights(ModernBertModel, config)
        prompts = {"query": "search_query: ", "document": "search_document: "}
        _save_with_sentence_transformers(directory, model, tokenizer, "mean", 48, prompts)

    def _wordpiece(self, *, lowercase: bool) -> Any:
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast

        normalizer, splitter = normalizers.BertNormalizer(lowercase=lowercase), pre_tokenizers.BertPreTokenizer()
        # Not by the package's trainer, which breaks ties at random: each run of the tests had another vocabulary.
        texts = (normalizer.normalize_str(text) for text in self._corpus)
        words = Counter(word for text in texts for word, _ in splitter.pre_tokenize_str(text))
        characters = sorted({char for word in words for char in word})[:100]
        frequent = sorted((word for word in words if len(word) > 1), key=lambda word: (-words[word], word))
        pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{char}" for char in characters)]
        vocabulary = {piece: number for number, piece in enumerate([*pieces, *frequent][:600])}
        tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token="[PAD]",
            unk_token="[UNK]",
            cls_token="[CLS]",
            sep_token="[SEP]",
            mask_token="[MASK]",
        )

    def _byte_level(self) -> Any:
        from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=_ROBERTA_SPECIALS, initial_alphabet=alphabet)
        tokenizer.train_from_iterator(self._corpus, trainer)
        tokenizer.post_processor = processors.RobertaProcessing(
            ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
        )
        return _roberta_tokenizer(tokenizer)

    def _unigram(self) -> Any:
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=600, special_tokens=_ROBERTA_SPECIALS, unk_token="<unk>")
        # Unigram wants each character in its vocabulary, and there are only 600 places.
        tokenizer.train_from_iterator((text for text in self._corpus if text.isascii()), trainer)
        tokenizer.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 0))
        return _roberta_tokenizer(tokenizer)


_ROBERTA_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def _roberta_tokenizer(tokenizer: Any) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_input_names=["input_ids", "attention_mask"],
    )


def _sizes(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "initializer_range": 0.2,  # ten times the usual, for attention to have an effect
    }


def _random_weights(kind: Any, config: Any) -> Any:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(20)
        return kind(config).eval()


def _write(directory: Path, model: Any, tokenizer: Any) -> None:
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def _add_old_layout(directory: Path, pooling: str, sentence: dict[str, Any], prompts: dict[str, str] | None) -> None:
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(kinds.items())
    ]
    flags = {
        "word_embedding_dimension": 32,
        "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "mean",
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    for folder in ("1_Pooling", "2_Normalize"):
        (directory / folder).mkdir()
    write_json(directory / "modules.json", modules)
    write_json(directory / "1_Pooling" / "config.json", flags)
    write_json(directory / "sentence_bert_config.json", sentence)
    if prompts is not None:
        write_json(directory / "config_sentence_transformers.json", {"prompts": prompts})


def _save_with_sentence_transformers(
    directory: Path, model: Any, tokenizer: Any, pooling: str, max_tokens: int, prompts: dict[str, str]
) -> None:
    import warnings

    from sentence_transformers import SentenceTransformer

    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # its place depends on the version
        from sentence_transformers.models import Normalize, Pooling, Transformer

    bare = directory.with_name(directory.name + "-bare")
    _write(bare, model, tokenizer)
    modules = [Transformer(str(bare), max_seq_length=max_tokens), Pooling(32, pooling_mode=pooling), Normalize()]
    SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save(str(directory), create_model_card=False)


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture
def change_json() -> Callable[..., None]:
    """Sets keys of a JSON object in a file."""

    def change(path: Path, **values: Any) -> None:
        write_json(path, json.loads(path.read_text(encoding="utf-8")) | values)

    return change


@pytest.fixture
def cosines() -> Callable[[Any, Any], Any]:
    """The cosine of each row of one array with the same row of another."""

    def compare(found: Any, expected: Any) -> Any:
        lengths = np.linalg.norm(found, axis=-1) * np.linalg.norm(expected, axis=-1)
        return (found * expected).sum(axis=-1) / lengths

    return compare


@pytest.fixture(autouse=True)
def no_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Whoever opens a connection fails the test."""
    import socket

    asked: list[Any] = []

    def refuse(_self: socket.socket, address: Any) -> None:
        asked.append(address)
        raise OSError("the tests have no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield asked
    assert asked == []
