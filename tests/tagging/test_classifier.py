import errno
import json
import os
import resource
import shutil
import stat
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from notesearch.errors import ModelError, UsageError
from notesearch.tagging.calibration import Calibration
from notesearch.tagging.classifier import Classifier, classifier_dir, classifiers_dir, load_classifier, save_classifier
from notesearch.tagging.estimators import Heads
from notesearch.tagging.features import Vocabulary
from notesearch.tagging.labels import Example

ARRAYS = ["heads.safetensors", "vocabulary.json", "examples.json"]
FILES = ["classifier.json", *ARRAYS]


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


CLASSIFIER = Classifier(
    labels=("work", "späť 🙂"),
    method="tf-idf + embeddings",
    exclusive=False,
    heads=Heads(floats(2), terms=floats(3, 2), vectors=floats(4, 2)),
    scored_by_terms=True,
    vocabulary=Vocabulary(("cup", "green tea", "čaj"), floats(3)),
    calibration=Calibration(False, 2.0, (0.25, 0.125), 1.5, 0.25, -0.5, (0.75, 2.0), -1.0),
    thresholds=np.array([0.3, 0.4], dtype=np.float32),
    examples=(Example("/a.md", "Čaj", ("work",)), Example("", "", ()), Example("/b.md", "B", ("work", "späť 🙂"))),
    vectors=floats(3, 4),
    name_vectors=floats(2, 4),
    model="some/model",
    encoder="0123",
    budget_tokens=128,
    tuned=None,
    trained="2024-01-02T03:04:05+00:00",
    data="abc",
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return classifier_dir(tmp_path / "index", "mine")


def save(directory: Path, classifier: Classifier = CLASSIFIER, write_more: Callable[[Path], object] = str) -> None:
    save_classifier(directory, classifier, lambda folder: write_more(folder) and None)


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def assert_damaged(directory: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_classifier(directory)
    assert str(directory) in caught.value.message
    assert "train-classifier" in caught.value.hint


@pytest.mark.parametrize(
    "classifier",
    [
        CLASSIFIER,
        replace(CLASSIFIER, exclusive=True, scored_by_terms=False, heads=Heads(floats(2), terms=floats(3, 2))),
        replace(CLASSIFIER, heads=Heads(floats(2), neighbours=5)),
        replace(
            CLASSIFIER,
            heads=Heads(np.asfortranarray(floats(2, 2))[0], terms=floats(0, 2)),
            vocabulary=Vocabulary((), floats(0)),
        ),
    ],
)
def test_a_classifier_is_read_as_it_was_written(directory: Path, classifier: Classifier) -> None:
    save(directory, classifier)
    found = load_classifier(directory)
    assert found is not None
    pairs = [(getattr(found, field.name), getattr(classifier, field.name)) for field in fields(Classifier)]
    pairs += [(getattr(found.heads, field.name), getattr(classifier.heads, field.name)) for field in fields(Heads)]
    for own, wanted in pairs:
        if isinstance(wanted, np.ndarray):
            assert own.dtype == np.float32
            np.testing.assert_array_equal(own, wanted)
        elif not isinstance(wanted, Heads | Vocabulary):
            assert own == wanted and type(own) is type(wanted)
    assert found.vocabulary.terms == classifier.vocabulary.terms
    np.testing.assert_array_equal(found.vocabulary.idf, classifier.vocabulary.idf)


@pytest.mark.parametrize("mask", [0, 0o022])
def test_files_and_directories_are_private_whatever_the_umask(directory: Path, mask: int) -> None:
    directory.parent.parent.mkdir()
    previous = os.umask(mask)
    try:
        save(directory, write_more=lambda folder: (folder / "report.html").write_text("x"))
    finally:
        os.umask(previous)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert modes == dict.fromkeys([*FILES, "report.html"], 0o600)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory, directory.parent)] == [0o700, 0o700]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_short_or_missing_is_damage(directory: Path, name: str) -> None:
    save(directory)
    data = (directory / name).read_bytes()
    for length in (0, 1, len(data) // 2, len(data) - 1):
        (directory / name).write_bytes(data[:length])
        assert_damaged(directory)
    (directory / name).unlink()
    assert_damaged(directory)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_damage(directory: Path, name: str) -> None:
    save(directory)
    data = (directory / name).read_bytes()
    for place in range(0, len(data), max(1, len(data) // 40)):
        (directory / name).write_bytes(flip(data, place))
        assert_damaged(directory)


@pytest.mark.parametrize(
    "record", ["", "[]", "null", "{}", '{"format": 1}', '{"format": 2, "files": {"none": ""}}', '{"format": 2}', "\xff"]
)
def test_a_record_of_another_kind(directory: Path, record: str) -> None:
    save(directory)
    (directory / "classifier.json").write_bytes(record.encode("latin-1"))
    assert_damaged(directory)


def test_another_format_is_told_from_damage(directory: Path) -> None:
    save(directory)
    file = directory / "classifier.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 99}))
    with pytest.raises(ModelError, match="another version of notesearch"):
        load_classifier(directory)


def test_a_classifier_takes_the_place_of_the_one_before(directory: Path) -> None:
    save(directory, write_more=lambda folder: (folder / "old.txt").write_text("old"))
    save(directory, replace(CLASSIFIER, method="another"))
    found = load_classifier(directory)
    assert found is not None and found.method == "another"
    assert sorted(path.name for path in directory.iterdir()) == sorted(FILES)
    assert [path.name for path in directory.parent.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (ValueError("x"), ValueError),
        (OSError(errno.ENOSPC, "No space left on device"), ModelError),
    ],
)
def test_the_old_one_stays_where_the_new_one_cannot_be_finished(
    directory: Path, error: BaseException, raised: type[BaseException]
) -> None:
    def fail(folder: Path) -> None:
        (folder / "report.html").write_text("half")
        raise error

    with pytest.raises(raised):
        save(directory, write_more=fail)
    assert list(directory.parent.iterdir()) == []
    save(directory)
    with pytest.raises(raised):
        save(directory, replace(CLASSIFIER, method="another"), fail)
    found = load_classifier(directory)
    assert found is not None and found.method == CLASSIFIER.method
    assert [path.name for path in directory.parent.iterdir()] == ["mine"]


def test_the_old_one_stays_where_the_new_one_cannot_take_its_place(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(directory)
    rename = Path.rename

    def fail_on_the_new_one(source: Path, target: Path) -> Path:
        if source.name == "classifier" and target == directory:
            raise OSError(errno.EIO, "Input/output error")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", fail_on_the_new_one)
    with pytest.raises(ModelError):
        save(directory, replace(CLASSIFIER, method="another"))
    monkeypatch.undo()
    assert load_classifier(directory) is not None


def test_a_run_that_is_killed_between_the_old_one_and_the_new_one_loses_neither(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    save(directory)
    rename = Path.rename

    def die_before_the_new_one(source: Path, target: Path) -> Path:
        if target == directory:
            raise Killed
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", die_before_the_new_one)
    with pytest.raises(Killed):
        save(directory, replace(CLASSIFIER, method="another"))
    monkeypatch.undo()
    assert not directory.exists()
    found = load_classifier(directory)
    assert found is not None and found.method == CLASSIFIER.method

    save(directory, replace(CLASSIFIER, method="a third"))
    save(directory, replace(CLASSIFIER, method="a fourth"))
    found = load_classifier(directory)
    assert found is not None and found.method == "a fourth"
    assert [path.name for path in directory.parent.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "change",
    [
        {"thresholds": np.array([np.nan, 0.4], dtype=np.float32)},
        {"thresholds": floats(3)},
        {"vectors": floats(2, 4)},
        {"name_vectors": floats(2, 5)},
        {"labels": ("work",)},
        {"labels": ("work", 7)},
        {"heads": Heads(floats(2), vectors=np.full((4, 2), np.inf, dtype=np.float32))},
        {"heads": Heads(floats(2), terms=floats(4, 2))},
        {"heads": Heads(floats(2), neighbours=10**9), "examples": (), "vectors": floats(0, 4)},
        {"vocabulary": Vocabulary(("cup",), floats(3))},
        {"calibration": Calibration(False, float("nan"), (0.25, 0.125))},
        {"calibration": Calibration(False, 1.0, (0.25,))},
        {"calibration": Calibration(False, "x", (0.25, 0.125))},
    ],
)
def test_values_that_training_never_gives_are_damage_even_with_the_right_checksums(
    directory: Path, change: dict[str, object]
) -> None:
    save(directory, replace(CLASSIFIER, **change))
    assert_damaged(directory)


def test_a_record_that_is_nested_without_end_is_damage(directory: Path) -> None:
    save(directory)
    (directory / "classifier.json").write_text("[" * 200_000)
    assert_damaged(directory)


def test_pickled_arrays_are_never_read(directory: Path) -> None:
    save(directory)
    np.save(directory / "heads.npy", np.array([{}], dtype=object), allow_pickle=True)
    shutil.move(directory / "heads.npy", directory / "heads.safetensors")
    assert_damaged(directory)


def test_a_directory_that_cannot_be_made(directory: Path) -> None:
    directory.parent.parent.write_text("a file")
    with pytest.raises(ModelError) as caught:
        save(directory)
    assert caught.value.message == f"cannot write the classifier to {directory}: Not a directory"
    assert caught.value.hint


def test_a_full_disk(directory: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(ModelError):
            save(directory)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_labels_and_titles_with_half_a_character(directory: Path) -> None:
    examples = (Example("", "\ud83d", ()),)
    save(directory, replace(CLASSIFIER, labels=("work", "\ud83d"), examples=examples, vectors=floats(1, 4)))
    assert load_classifier(directory) is not None


@pytest.mark.parametrize("name", ["default", "a", "7", "My-classifier_2.0", "x" * 64])
def test_names_of_classifiers(tmp_path: Path, name: str) -> None:
    assert classifier_dir(tmp_path, name) == classifiers_dir(tmp_path) / name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../../x", ".hidden", "-x", "a/b", "a\\b", "a\n", "a b", "ä", "x" * 65, "a\0"]
)
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        classifier_dir(tmp_path, name)
    assert caught.value.message == f"{name!r} cannot be the name of a classifier"
    assert caught.value.hint


def test_names_that_differ_only_in_case_are_one_name(directory: Path, tmp_path: Path) -> None:
    save(directory)
    assert classifier_dir(tmp_path / "index", "mine") == directory
    with pytest.raises(UsageError) as caught:
        classifier_dir(tmp_path / "index", "Mine")
    assert "'Mine'" in caught.value.message and "'mine'" in caught.value.message and caught.value.hint
