"""Directories of prepared files: they appear at once and complete, and damage is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from notesearch.encoders.model_files import file_sha256
from notesearch.errors import ModelError
from notesearch.private import seal, working_folder
from notesearch.settings import cache_dir

Prepared = TypeVar("Prepared")

_RECORD = "encoder.json"
_FILES = ("model.onnx", "tokenizer.json")


def install(name: str, target: Path, make: Callable[[Path], Prepared], load: Callable[[], Prepared | None]) -> Prepared:
    """Makes a directory of prepared files, which appears at once and complete, or not at all.

    Args:
        name: Of the model, for messages.
        target: Where the directory is to be; a damaged one there is replaced.
        make: Fills the empty directory that it is given, and returns what will be in `target`.
        load: Looks for what is in `target`: another process may have been faster, and be using it already.

    Raises:
        ModelError: The files cannot be written, or `make` raised it.
    """
    try:
        with working_folder(target.parent, ".preparing-") as folder:
            directory = folder / "model"
            directory.mkdir(mode=0o700)
            made = make(directory)
            seal(directory)
            if faster := load():
                return faster
            if target.exists():  # damaged
                target.rename(folder / "damaged")
            directory.rename(target)
        return made
    except OSError as error:
        raise ModelError(
            f"cannot prepare the model {name} in {cache_dir()}: {error.strerror or error}",
            "Is the disk full, or the directory not yours? XDG_CACHE_HOME chooses another.",
        ) from error


def write_record(directory: Path, record: dict[str, Any]) -> None:
    """Writes down what a directory of prepared files holds, and by what these are known to be whole."""
    marks = {"sizes": _sizes(directory), "mtimes_ns": _mtimes_ns(directory), "sha256": _digests(directory)}
    (directory / _RECORD).write_text(json.dumps(record | marks, indent=1), encoding="utf-8")


def read_record(directory: Path, *, thoroughly: bool) -> dict[str, Any]:
    """Reads what `write_record` wrote.

    Args:
        directory: The prepared files.
        thoroughly: Whether the files' checksums are computed in any case: some 15 ms for the model that comes with
            notesearch. Otherwise they are only where the files' times have changed, as in a copy; that misses what
            a failing disk does to them. Of files written before there were checksums, the sizes alone are compared.

    Raises:
        OSError, ValueError, KeyError, TypeError: It is missing or damaged, or the files are not those it tells of.
    """
    record: dict[str, Any] = json.loads((directory / _RECORD).read_text(encoding="utf-8"))
    if record["sizes"] != _sizes(directory):
        raise ValueError(f"a file in {directory} has another size than when it was written")
    times = _mtimes_ns(directory)
    if (thoroughly or record.get("mtimes_ns", times) != times) and record["sha256"] != _digests(directory):
        raise ValueError(f"a file in {directory} is not as it was written")
    return record


def _sizes(directory: Path) -> dict[str, int]:
    return {name: (directory / name).stat().st_size for name in _FILES}


def _mtimes_ns(directory: Path) -> dict[str, int]:
    return {name: (directory / name).stat().st_mtime_ns for name in _FILES}


def _digests(directory: Path) -> dict[str, str]:
    return {name: file_sha256(directory / name) for name in _FILES}
