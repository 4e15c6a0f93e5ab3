"""The cache of prepared models: made once, made again where damaged, never half there."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from notesearch.encoders import PreparedModel, prepared
from notesearch.encoders.models import find_prepared, open_encoder, prepare
from notesearch.encoders.onnx_forward import OnnxForward
from notesearch.errors import ModelError

FILES = ["encoder.json", "model.onnx", "tokenizer.json"]


def state(directory: Path) -> dict[str, tuple[int, int]]:
    """What tells whether a file was written again."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in directory.iterdir()}


def test_preparing_twice_works_once(tiny_bert: Path, own_cache: Path) -> None:
    first = prepare(str(tiny_bert))
    before = state(first.directory)
    second = prepare(str(tiny_bert))
    assert second == first == find_prepared(first.config.fingerprint)
    assert state(first.directory) == before
    assert sorted(before) == FILES
    assert list(own_cache.iterdir()) == [first.directory]


def test_the_same_model_under_another_name_is_not_prepared_again(tiny_bert: Path, own_cache: Path) -> None:
    first = prepare(str(tiny_bert))
    before = state(first.directory)
    copy = Path(shutil.copytree(tiny_bert, tiny_bert.with_name("copy")))
    second = prepare(str(copy))
    assert second.directory == first.directory
    assert state(first.directory) == before
    assert second.config.name == str(copy)


def test_other_weights_are_prepared_beside(tiny_bert: Path, own_cache: Path, change_json: Callable[..., None]) -> None:
    first = prepare(str(tiny_bert))
    change_json(tiny_bert / "sentence_bert_config.json", max_seq_length=10)
    second = prepare(str(tiny_bert))
    assert second.directory != first.directory
    assert find_prepared(first.config.fingerprint) == first


def test_nothing_is_found_where_nothing_was_prepared(own_cache: Path) -> None:
    assert find_prepared("0" * 32) is None


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _without_key(key: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        record = json.loads(path.read_text())
        del record[key]
        path.write_text(json.dumps(record))

    return damage


def _other_prompt(path: Path) -> None:
    path.write_text(path.read_text().replace("find: ", "found: "))


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("model.onnx", _truncate),
        ("model.onnx", Path.unlink),
        ("tokenizer.json", _truncate),
        ("tokenizer.json", Path.unlink),
        ("encoder.json", _truncate),
        ("encoder.json", Path.unlink),
        ("encoder.json", lambda path: path.write_text("[]")),
        ("encoder.json", lambda path: path.write_bytes(b"\xff")),
        ("encoder.json", _without_key("config")),
        ("encoder.json", _without_key("precision")),
        ("encoder.json", _without_key("sizes")),
        ("encoder.json", _other_prompt),
    ],
)
def test_a_damaged_cache_is_not_loaded_but_made_again(
    tiny_bert: Path, own_cache: Path, file: str, damage: Callable[[Path], Any]
) -> None:
    first = prepare(str(tiny_bert))
    expected = open_encoder(first).encode_query("river").vector
    damage(first.directory / file)
    assert find_prepared(first.config.fingerprint) is None

    again = prepare(str(tiny_bert))
    assert again == first
    assert sorted(path.name for path in again.directory.iterdir()) == FILES
    assert list(own_cache.iterdir()) == [again.directory]
    np.testing.assert_array_equal(open_encoder(again).encode_query("river").vector, expected)


def flip_a_bit(path: Path) -> None:
    """What a failing disk does: neither size nor time tell of it."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json"])
def test_a_flipped_bit_is_noticed_where_there_is_time_to_look(tiny_bert: Path, own_cache: Path, file: str) -> None:
    first = prepare(str(tiny_bert))
    expected = open_encoder(first).encode_query("river").vector
    flip_a_bit(first.directory / file)
    assert find_prepared(first.config.fingerprint) is not None  # a search has none
    assert find_prepared(first.config.fingerprint, thoroughly=True) is None
    again = prepare(str(tiny_bert))
    assert find_prepared(first.config.fingerprint, thoroughly=True) == again == first
    np.testing.assert_array_equal(open_encoder(again).encode_query("river").vector, expected)
    assert list(own_cache.iterdir()) == [again.directory]


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json"])
def test_a_flipped_bit_in_a_copy_is_noticed_at_once(tiny_bert: Path, own_cache: Path, file: str) -> None:
    first = prepare(str(tiny_bert))
    os.utime(first.directory / file)
    assert find_prepared(first.config.fingerprint) == first
    flip_a_bit(first.directory / file)
    assert find_prepared(first.config.fingerprint) is None


def test_files_without_checksums_serve_searches_and_are_made_again_by_the_next_run(
    tiny_bert: Path, own_cache: Path
) -> None:
    first = prepare(str(tiny_bert))
    record = json.loads((first.directory / "encoder.json").read_text())
    for key in ("sha256", "mtimes_ns"):
        del record[key]
    (first.directory / "encoder.json").write_text(json.dumps(record))
    assert find_prepared(first.config.fingerprint) == first
    prepare(str(tiny_bert))
    assert find_prepared(first.config.fingerprint, thoroughly=True) == first


def test_what_is_prepared_is_private_whatever_the_umask(tiny_bert: Path, own_cache: Path) -> None:
    before = os.umask(0)
    try:
        first = prepare(str(tiny_bert))
    finally:
        os.umask(before)
    folders = [first.directory, *own_cache.parents[:2], own_cache]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in first.directory.iterdir()} == {0o600}


def test_processes_that_prepare_a_model_at_once_do_not_hinder_each_other(tiny_bert: Path, own_cache: Path) -> None:
    code = "import sys; from notesearch.encoders.models import prepare; print(prepare(sys.argv[1]).directory)"
    command = [sys.executable, "-c", code, str(tiny_bert)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") for _ in range(3)]
    said = {process.communicate(timeout=120)[0].strip() for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    assert said == {str(path) for path in own_cache.iterdir()}
    assert find_prepared(prepare(str(tiny_bert)).config.fingerprint, thoroughly=True) is not None


@pytest.mark.parametrize("step", ["write_tokenizer", "_write_float_model", "_keep_best_precision"])
@pytest.mark.parametrize("error", [ModelError("no", "no"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_nothing_half_written_stays(
    tiny_bert: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    real = getattr(prepared, step)

    def fail(*arguments: Any) -> None:
        real(*arguments)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(prepared, step, fail)
        with pytest.raises(ModelError if isinstance(error, OSError) else type(error)):
            prepare(str(tiny_bert))
    assert list(own_cache.iterdir()) == []
    assert prepare(str(tiny_bert)).directory.is_dir()


def test_a_failed_preparation_leaves_the_others_alone(
    tiny_bert: Path, own_cache: Path, change_json: Callable[..., None]
) -> None:
    first = prepare(str(tiny_bert))
    change_json(tiny_bert / "sentence_bert_config.json", max_seq_length=10)
    (tiny_bert / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError):
        prepare(str(tiny_bert))
    assert list(own_cache.iterdir()) == [first.directory]
    assert find_prepared(first.config.fingerprint) == first


def failure(directory: Path) -> ModelError:
    """The error that preparing ends with."""
    with pytest.raises(ModelError) as caught:
        prepare(str(directory))
    assert caught.value.message
    assert caught.value.hint
    assert str(directory) in caught.value.message or "tokenizer.json" in caught.value.message
    return caught.value


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_distilbert"])
@pytest.mark.parametrize("length", [0, 7, 2000, -1])
def test_truncated_weights_are_a_model_error(
    request: pytest.FixtureRequest, own_cache: Path, model: str, length: int
) -> None:
    directory = request.getfixturevalue(model)
    weights = directory / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:length])
    failure(directory)
    assert list(own_cache.iterdir()) == []


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_distilbert"])
def test_weights_that_lack_a_layer_are_a_model_error(
    request: pytest.FixtureRequest, own_cache: Path, model: str, change_json: Callable[..., None]
) -> None:
    # transformers alone would fill the layer in at random, with a warning.
    directory = request.getfixturevalue(model)
    change_json(directory / "config.json", **{"num_hidden_layers" if model == "tiny_bert" else "n_layers": 3})
    assert "layer.2" in failure(directory).message


def test_a_layer_of_another_shape_is_a_model_error(
    tiny_distilbert: Path, own_cache: Path, change_json: Callable[..., None]
) -> None:
    change_json(tiny_distilbert / "config.json", hidden_dim=48)
    failure(tiny_distilbert)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[]"])
def test_a_damaged_tokenizer_is_a_model_error(tiny_bert: Path, own_cache: Path, content: bytes) -> None:
    (tiny_bert / "tokenizer.json").write_bytes(content)
    failure(tiny_bert)
    assert list(own_cache.iterdir()) == []


def test_a_model_without_any_tokenizer_is_a_model_error(tiny_bert: Path, own_cache: Path) -> None:
    (tiny_bert / "tokenizer.json").unlink()
    (tiny_bert / "tokenizer_config.json").unlink()
    failure(tiny_bert)


def test_a_vocabulary_does_for_a_tokenizer(default_source: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    for file in ("config.json", "vocab.txt", "tokenizer_config.json"):
        shutil.copy(default_source / file, tmp_path)
    prepared.write_tokenizer(tmp_path, tmp_path / "written.json")
    text = "Impermanence: naïve Übergänge, 分布式 🙂"
    written, shipped = (
        Tokenizer.from_file(str(path)).encode(text)
        for path in (tmp_path / "written.json", default_source / "tokenizer.json")
    )
    assert written.ids == [number for number in shipped.ids if number]  # the shipped one pads


def test_an_unknown_architecture_is_a_model_error(
    tiny_bert: Path, own_cache: Path, change_json: Callable[..., None]
) -> None:
    change_json(tiny_bert / "config.json", model_type="unheard-of")
    assert "unheard-of" in failure(tiny_bert).message


def test_code_that_a_model_brings_is_never_run(
    tiny_bert: Path, own_cache: Path, change_json: Callable[..., None], tmp_path: Path
) -> None:
    (tiny_bert / "evil.py").write_text(f"open({str(tmp_path / 'evil')!r}, 'w')\n")
    auto_map = {"AutoModel": "evil.Model", "AutoConfig": "evil.Config"}
    change_json(tiny_bert / "config.json", model_type="unheard-of", auto_map=auto_map)
    failure(tiny_bert)
    assert not (tmp_path / "evil").exists()


def test_a_damaged_graph_is_a_model_error(default_model: PreparedModel, tmp_path: Path) -> None:
    graph = (default_model.directory / "model.onnx").read_bytes()
    for number, content in enumerate((b"", b"no graph", graph[:5000], graph[: len(graph) // 2])):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(content)
        with pytest.raises(ModelError) as caught:
            OnnxForward(path)
        assert str(path) in caught.value.message
        assert str(tmp_path) in caught.value.hint


def test_the_default_model_is_int8_and_fused_where_int8_is_exact(default_model: PreparedModel) -> None:
    assert default_model.fused
    size = (default_model.directory / "model.onnx").stat().st_size
    assert size < 25e6 if default_model.precision == "int8" else size > 80e6
