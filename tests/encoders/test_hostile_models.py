"""Model directories made to do harm, or damaged: refused by a message, with nothing run and nothing left behind."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from notesearch.encoders.cross_encoder import open_cross_encoder
from notesearch.encoders.models import prepare
from notesearch.encoders.multi_vector import open_multi_vector_model
from notesearch.errors import ModelError

from .test_multi_vector import save as save_colbert

Attack = Callable[[Path], object]
DEEP = "[" * 200_000
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def cross_source(tiny_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny cross-encoder."""
    from transformers import BertConfig, BertForSequenceClassification

    directory = tmp_path_factory.mktemp("cross") / "model"
    shutil.copytree(tiny_models.directory("bert"), directory)
    shutil.rmtree(directory / "1_Pooling")
    (directory / "modules.json").unlink()
    config = BertConfig.from_pretrained(directory, num_labels=1)
    BertForSequenceClassification(config).save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def colbert_source(tiny_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny multi-vector model."""
    return save_colbert(tmp_path_factory.mktemp("colbert") / "model", tiny_models.directory("bert"))


@pytest.fixture
def sources(tiny_models: Any, cross_source: Path, colbert_source: Path) -> dict[str, Path]:
    """Models by what they are."""
    own = {kind: tiny_models.directory(kind) for kind in ("bert", "distilbert")}
    return {**own, "cross-encoder": cross_source, "multi-vector": colbert_source}


OPEN: dict[str, Callable[[str], object]] = {
    "bert": prepare,
    "distilbert": prepare,
    "cross-encoder": open_cross_encoder,
    "multi-vector": open_multi_vector_model,
}


def changed(file: str, **values: Any) -> Attack:
    """Sets keys of a JSON object."""

    def change(directory: Path) -> None:
        path = directory / file
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(known | values))

    return change


def longest(tokens: float) -> Attack:
    """Sets how much the model reads, in each of the places where that may be said."""

    def change(directory: Path) -> None:
        changed("sentence_bert_config.json", max_seq_length=tokens)(directory)
        changed("tokenizer_config.json", model_max_length=tokens)(directory)

    return change


def written(file: str, content: bytes | str) -> Attack:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda directory: (directory / file).write_bytes(data)


def cut(part: float) -> Attack:
    def cut_short(directory: Path) -> None:
        data = (directory / WEIGHTS).read_bytes()
        (directory / WEIGHTS).write_bytes(data[: int(len(data) * part)])

    return cut_short


def with_header(change: Callable[[dict[str, Any]], object]) -> Attack:
    """Changes what a safetensors file says of its tensors."""

    def rewrite(directory: Path) -> None:
        data = (directory / WEIGHTS).read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        change(header)
        text = json.dumps(header).encode()
        (directory / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])

    return rewrite


def first_tensor(header: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(value for name, value in header.items() if name != "__metadata__")
    return found


def not_a_number(directory: Path) -> None:
    """Makes a weight of a rare token NaN: none of the probes would come upon it."""
    from safetensors.numpy import load_file, save_file

    weights = load_file(directory / WEIGHTS)
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    weights[name] = weights[name].copy()
    weights[name][-1, -1] = float("nan")
    save_file(weights, directory / WEIGHTS, {"format": "pt"})


class Exploit:
    """Once unpickled, it has been there."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._mark),)


def pickles(directory: Path) -> None:
    (directory / "pytorch_model.bin").write_bytes(pickle.dumps(Exploit(directory.parent / "was-run")))


def only_pickles(directory: Path) -> None:
    pickles(directory)
    (directory / WEIGHTS).unlink()


def own_code(model_type: str) -> Attack:
    def bring(directory: Path) -> None:
        (directory / "modeling_own.py").write_text(f"import os\nos.mkdir({str(directory.parent / 'was-run')!r})\n")
        auto_map = dict.fromkeys(("AutoConfig", "AutoModel", "AutoTokenizer"), "modeling_own.Own")
        changed("config.json", auto_map=auto_map, model_type=model_type)(directory)
        changed("tokenizer_config.json", auto_map={"AutoTokenizer": ["modeling_own.Own", None]})(directory)

    return bring


def own_tokenizer(directory: Path) -> None:
    """Has no tokenizer.json, so that transformers is asked to make one."""
    own_code("bert")(directory)
    changed("config.json", auto_map=None)(directory)
    (directory / "tokenizer.json").unlink()
    (directory / "vocab.txt").write_text("[PAD]\n[UNK]\n")


def a_pipe(file: str) -> Attack:
    def make(directory: Path) -> None:
        (directory / file).unlink()
        os.mkfifo(directory / file)

    return make


def link_to_nothing(directory: Path) -> None:
    (directory / "config.json").unlink()
    (directory / "config.json").symlink_to("/nowhere/config.json")


def another_tokenizer(directory: Path) -> None:
    """One with a token that the model has no vector for."""
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["zyzzyva"] = 600
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))


ATTACKS: dict[str, Attack] = {
    "pickles only": only_pickles,
    "own code": own_code("own"),
    "own code of a known kind": own_code("bert"),
    "adapter": written("adapter_config.json", '{"base_model_name_or_path": "/elsewhere", "peft_type": "LORA"}'),
    "no layers": changed("config.json", num_hidden_layers=0, n_layers=0),
    "a billion layers": changed("config.json", num_hidden_layers=10**9, n_layers=10**9),
    "a billion components": changed("config.json", hidden_size=10**9, dim=10**9),
    "more components than there are": changed("config.json", hidden_size=64, dim=64),
    "a billion words": changed("config.json", vocab_size=10**9),
    "fewer words than there are": changed("config.json", vocab_size=10),
    "a billion positions": changed("config.json", max_position_embeddings=10**9),
    "no attention heads": changed("config.json", num_attention_heads=0, n_heads=0),
    "fewer than no attention heads": changed("config.json", num_attention_heads=-2, n_heads=-2),
    "attention heads that do not divide": changed("config.json", num_attention_heads=7, n_heads=7),
    "sizes that are words": changed("config.json", num_hidden_layers="two", n_layers="two"),
    "sizes that are no numbers": changed("config.json", hidden_size=float("nan"), dim=float("nan")),
    "an unheard-of function": changed("config.json", hidden_act="os.system", activation="os.system"),
    "a model type that is a list": changed("config.json", model_type=["bert"]),
    "padding with no word": changed("config.json", pad_token_id=10**9),
    "fewer than no tokens": longest(-5),
    "weights cut to nothing": cut(0),
    "weights cut in the header": cut(0.01),
    "weights cut at the end": cut(0.99),
    "weights that are text": written(WEIGHTS, "weights"),
    "weights with an endless header": written(WEIGHTS, struct.pack("<Q", 2**63) + b"{}"),
    "weights with a deep header": written(WEIGHTS, struct.pack("<Q", len(DEEP)) + DEEP.encode()),
    "weights beyond the file": with_header(lambda header: first_tensor(header).update(data_offsets=[0, 2**40])),
    "weights of another shape": with_header(lambda header: first_tensor(header).update(shape=[2**40, 2**40])),
    "weights of no kind": with_header(lambda header: first_tensor(header).update(dtype="PICKLE")),
    "weights that lack one": with_header(lambda header: header.pop(next(iter(header.keys() - {"__metadata__"})))),
    "weights that are no numbers": not_a_number,
    "tokenizer of another model": another_tokenizer,
    "tokenizer that is text": written("tokenizer.json", "\0\xff"),
    "tokenizer without a model": written("tokenizer.json", "{}"),
    "tokenizer a million deep": written("tokenizer.json", '{"model": ' + DEEP),
    "own tokenizer": own_tokenizer,
    "architecture a million deep": written("config.json", DEEP),
    "architecture that is a pipe": a_pipe("config.json"),
    "architecture that is a link to nothing": link_to_nothing,
    "modules a million deep": written("modules.json", DEEP),
    "modules elsewhere": written(
        "modules.json", '[{"type": "sentence_transformers.models.Transformer", "path": "../x"}]'
    ),
    "modules at the root": written(
        "modules.json", '[{"type": "sentence_transformers.models.Transformer", "path": "/x"}]'
    ),
    "modules of its own": written("modules.json", '[{"type": "modeling_own.Transformer", "path": ""}]'),
    "modules that are none": written("modules.json", '{"type": "Transformer"}'),
}


@pytest.mark.parametrize("kind", OPEN)
@pytest.mark.parametrize("attack", ATTACKS)
def test_it_is_refused(attack: str, kind: str, sources: dict[str, Path], own_cache: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(sources[kind], tmp_path / "model"))
    ATTACKS[attack](directory)
    with pytest.raises(ModelError) as caught:
        OPEN[kind](str(directory))
    error = caught.value
    assert error.message and error.hint and "\n" not in error.message + error.hint
    assert not (tmp_path / "was-run").exists()
    assert [path for folder in own_cache.parent.glob("*") for path in folder.iterdir()] == []


@pytest.mark.parametrize("kind", OPEN)
def test_weights_that_are_no_numbers_are_named_as_such(
    kind: str, sources: dict[str, Path], own_cache: Path, tmp_path: Path
) -> None:
    directory = Path(shutil.copytree(sources[kind], tmp_path / "model"))
    not_a_number(directory)
    with pytest.raises(ModelError, match="no numbers"):
        OPEN[kind](str(directory))
