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

from notesearch import files
from notesearch.encoders import PreparedModel, ScoreScale, preparing
from notesearch.encoders.encoder import load_tokenizer
from notesearch.encoders.forward import OnnxForward
from notesearch.encoders.models import find_prepared, fingerprint_of, open_encoder, prepare
from notesearch.errors import ModelError
from notesearch.settings import DEFAULT_MODEL

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
        ("encoder.json", _without_key("sha256")),
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
def test_a_flipped_bit_is_noticed_where_there_is_time_to_look(
    tiny_bert: Path, own_cache: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(str(tiny_bert))
    expected = open_encoder(first).encode_query("river").vector
    monkeypatch.setattr(files, "_TICK_NS", 0)
    assert find_prepared(first.config.fingerprint) == first
    with monkeypatch.context() as patch:  # whatever was changed, the disk does not tell
        remembered = preparing._stamps(first.directory)
        patch.setattr(preparing, "_stamps", lambda directory: remembered)
        flip_a_bit(first.directory / file)
        assert find_prepared(first.config.fingerprint) is not None  # a search has no time
        assert find_prepared(first.config.fingerprint, thoroughly=True) is None
    assert find_prepared(first.config.fingerprint, thoroughly=True) is None
    again = prepare(str(tiny_bert))
    assert find_prepared(first.config.fingerprint, thoroughly=True) == again == first
    np.testing.assert_array_equal(open_encoder(again).encode_query("river").vector, expected)
    assert list(own_cache.iterdir()) == [again.directory]


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json"])
def test_a_change_that_keeps_size_and_time_is_noticed_at_once(
    tiny_bert: Path, own_cache: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_TICK_NS", 0)
    first = prepare(str(tiny_bert))
    with monkeypatch.context() as patch:
        assert find_prepared(first.config.fingerprint) == first
        patch.setattr(preparing, "_digests", None)  # the check is not made twice
        assert find_prepared(first.config.fingerprint) == first
    flip_a_bit(first.directory / file)
    assert find_prepared(first.config.fingerprint) is None


def test_a_check_that_cannot_be_remembered_is_made_again(
    tiny_bert: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_TICK_NS", 0)
    first = prepare(str(tiny_bert))
    (first.directory / "checked.json").unlink(missing_ok=True)
    (first.directory / "checked.json").mkdir()
    assert find_prepared(first.config.fingerprint) == first
    flip_a_bit(first.directory / "model.onnx")
    assert find_prepared(first.config.fingerprint) is None


def test_what_is_prepared_is_private_whatever_the_umask(tiny_bert: Path, own_cache: Path) -> None:
    before = os.umask(0)
    try:
        first = prepare(str(tiny_bert))
    finally:
        os.umask(before)
    folders = [first.directory, *own_cache.parents[:2], own_cache]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in first.directory.iterdir()} == {0o600}


def test_processes_that_prepare_a_model_at_once_do_not_hinder_each_other(own_cache: Path) -> None:
    code = "import sys; from notesearch.encoders.models import prepare; print(prepare(sys.argv[1]).directory)"
    command = [sys.executable, "-c", code, DEFAULT_MODEL]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") for _ in range(3)]
    said = {process.communicate(timeout=120)[0].strip() for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    assert said == {str(path) for path in own_cache.iterdir()}
    assert find_prepared(fingerprint_of(DEFAULT_MODEL), thoroughly=True) is not None


@pytest.mark.parametrize("step", ["_write_float_model", "quantise_where"])
@pytest.mark.parametrize("error", [ModelError("no", "no"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_nothing_half_written_stays(
    tiny_bert: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    real = getattr(preparing, step)

    def fail(*arguments: Any) -> None:
        real(*arguments)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(preparing, step, fail)
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
def test_weights_that_lack_a_layer_are_a_model_error(
    request: pytest.FixtureRequest, own_cache: Path, model: str, change_json: Callable[..., None]
) -> None:
    # transformers alone would fill the layer in at random, with a warning.
    directory = request.getfixturevalue(model)
    change_json(directory / "config.json", **{"num_hidden_layers" if model == "tiny_bert" else "n_layers": 3})
    assert "layer.2" in failure(directory).message


def test_a_model_without_any_tokenizer_is_a_model_error(tiny_bert: Path, own_cache: Path) -> None:
    (tiny_bert / "tokenizer.json").unlink()
    failure(tiny_bert)
    (tiny_bert / "tokenizer_config.json").unlink()
    failure(tiny_bert)


def test_a_vocabulary_does_for_a_tokenizer(default_source: Path, own_cache: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(default_source, tmp_path / "copy"))
    (copy / "tokenizer.json").unlink()
    text = "Impermanence: naïve Übergänge, 分布式 🙂"
    directories = prepare(str(copy)).directory, default_source
    written, shipped = (load_tokenizer(path / "tokenizer.json").encode(text).ids for path in directories)
    assert written == shipped


def test_a_damaged_graph_is_a_model_error(default_model: PreparedModel, tmp_path: Path) -> None:
    graph = (default_model.directory / "model.onnx").read_bytes()
    for number, content in enumerate((b"", b"no graph", graph[:5000], graph[: len(graph) // 2])):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(content)
        with pytest.raises(ModelError) as caught:
            OnnxForward(path)
        assert str(path) in caught.value.message
        assert "notesearch doctor --repair" in caught.value.hint


def test_the_default_model_is_int8_and_fused_where_int8_is_exact(default_model: PreparedModel) -> None:
    assert default_model.fused
    size = (default_model.directory / "model.onnx").stat().st_size
    assert size < 25e6 if default_model.precision == "int8" else size > 80e6


def test_the_scale_is_the_mean_of_the_pairs_and_of_the_rest() -> None:
    scores = np.array([[0.8, 0.6, 0], [0.6, 0.8, 1], [0.8, 0.6, 0]], dtype=np.float32)
    # The diagonal is .8 + .8 + 0, the rest .6 + 0 + .6 + 1 + .8 + .6.
    scale = preparing._scale_of(scores)
    assert scale.related == pytest.approx(1.6 / 3)
    assert scale.unrelated == pytest.approx(3.6 / 6)


def test_similarity_is_0_where_unrelated_and_1_for_an_answer() -> None:
    cosines = np.array([0.7, 0.9, 0.8, 0.6, 1.0], dtype=np.float32)
    expected = [0, 1, 0.5, -0.5, 1.5]
    np.testing.assert_allclose(ScoreScale(0.7, 0.9).similarity(cosines), expected, atol=1e-5)


def test_a_model_that_tells_nothing_apart_divides_by_no_zero() -> None:
    similarity = ScoreScale(0.5, 0.5).similarity(np.array([0.5, 0.6], dtype=np.float32))
    assert np.isfinite(similarity).all()
    assert similarity[0] == 0


def test_the_default_model_tells_answers_from_the_rest(default_model: PreparedModel) -> None:
    assert -0.1 < default_model.scale.unrelated < 0.2
    assert 0.4 < default_model.scale.related < 0.9
