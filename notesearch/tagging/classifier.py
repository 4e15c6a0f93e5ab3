"""A trained classifier on disk. Reading needs only numpy and the standard library; an incomplete one is never read."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.encoders import PreparedModel, find_model
from notesearch.encoders.preparing import prepare_into, read_prepared
from notesearch.errors import ModelError, UsageError
from notesearch.files import former_folder, put_folder, working_folder
from notesearch.tagging.calibration import Calibration
from notesearch.tagging.estimators import Heads
from notesearch.tagging.features import Vocabulary
from notesearch.tagging.labels import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_NAME = "default"
REPORT_PAGE = "report.html"

# Raise this when the meaning of the files changes.
_FORMAT = 2
_RECORD = "classifier.json"
_ARRAYS = "heads.safetensors"
_VOCABULARY = "vocabulary.json"
_EXAMPLES = "examples.json"
_TUNED = "encoder"
# Within the directory of a fine-tuned encoder, what ONNX Runtime needs of it.
_PREPARED = "onnx"
# The fields of a classifier that the record holds as they are.
_PLAIN = ("labels", "method", "exclusive", "scored_by_terms", "model", "encoder", "budget_tokens", "trained", "data")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Classifier:
    """What is needed to tag a note.

    Attributes:
        labels: The labels it knows.
        method: The name of its estimator.
        exclusive: Whether a note gets one label at most.
        heads: The weights; `terms` is there also where it only explains.
        scored_by_terms: Whether `heads.terms` takes part in the scores.
        vocabulary: The terms.
        calibration: From scores to probabilities.
        thresholds: From which probability on a label is suggested, float32 `(labels,)`.
        examples: The notes it was trained on.
        vectors: Their embeddings, float32 `(examples, dim)`.
        name_vectors: The embeddings of the labels' names, float32 `(labels, dim)`.
        model: The bi-encoder of these, as the user named it.
        encoder: The fingerprint of that.
        budget_tokens: The size of chunks for it.
        tuned: The fine-tuned encoder, ready to be opened; `None` where there is none.
        trained: When, ISO 8601.
        data: A hash of the notes and labels it was trained on.
    """

    labels: tuple[str, ...]
    method: str
    exclusive: bool
    heads: Heads
    scored_by_terms: bool
    vocabulary: Vocabulary
    calibration: Calibration
    thresholds: NDArray[np.float32]
    examples: tuple[Example, ...]
    vectors: NDArray[np.float32]
    name_vectors: NDArray[np.float32]
    model: str
    encoder: str
    budget_tokens: int
    tuned: PreparedModel | None
    trained: str
    data: str


def classifiers_dir(index_dir: Path) -> Path:
    """Where the classifiers of an index are."""
    return index_dir / "classifiers"


def classifier_dir(index_dir: Path, name: str) -> Path:
    """Where a classifier is, or is to be.

    Raises:
        UsageError: The name cannot be that of a folder, or differs only in case from that of another classifier.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a classifier",
            "Use up to 64 letters, digits, dots, dashes and underscores.",
        )
    # Not every file system can tell them apart.
    folder = classifiers_dir(index_dir)
    known = [path.name for path in folder.iterdir()] if os.access(folder, os.R_OK) else []
    alike = [other for other in known if other.lower() == name.lower()]
    if alike and name not in alike:
        raise UsageError(f"there is no classifier {name!r}, but one called {alike[0]!r}", "Use that name, or another.")
    return folder / name


def tuned_dir(directory: Path) -> Path:
    """Where a classifier keeps its fine-tuned encoder, as a model directory."""
    return directory / _TUNED


def save_classifier(directory: Path, classifier: Classifier, write_more: Callable[[Path], None]) -> None:
    """Writes a classifier, in place of one that may be there; it appears at once and complete, or not at all.

    Args:
        directory: Where to.
        classifier: The classifier.
        write_more: Writes into the same folder what goes with it, a report say.

    Raises:
        ModelError: It cannot be written.
    """
    from safetensors import SafetensorError

    try:
        with working_folder(directory.parent, ".writing-") as folder:
            made = folder / "classifier"
            made.mkdir(mode=0o700)
            write_more(made)
            _write(made, classifier)
            put_folder(made, directory)
    except (OSError, SafetensorError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise ModelError(
            f"cannot write the classifier to {directory}: {reason}", "Is the disk full, or read-only?"
        ) from error


def load_classifier(directory: Path) -> Classifier | None:
    """Reads a classifier; `None` where there is none.

    Raises:
        ModelError: It is damaged, or was written by another version of notesearch.
    """
    found = next((place for place in (directory, former_folder(directory)) if place.is_dir()), None)
    if found is None:
        return None
    with _damage_reported(directory):
        record = json.loads((found / _RECORD).read_text(encoding="utf-8"))
        if record.get("format") != _FORMAT:
            raise ModelError(f"the classifier in {directory} is of another version of notesearch", _hint(directory))
        if record.pop("sha256") != _record_digest(record):
            raise ValueError(f"{_RECORD} was changed since it was written")
        for name, digest in record["files"].items():
            if _digest(found / name) != digest:
                raise ValueError(f"{name} was changed since it was written")
        classifier = _read(found, record)
        _check_values(classifier)
        return classifier


def _write(directory: Path, classifier: Classifier) -> None:
    """Writes the files of a classifier and, last, the record with their digests."""
    from safetensors.numpy import save_file

    heads = classifier.heads
    arrays = {
        **{name: getattr(heads, name) for name in ("bias", "terms", "vectors", "tuned")},
        "idf": classifier.vocabulary.idf,
        "thresholds": classifier.thresholds,
        "examples": classifier.vectors,
        "names": classifier.name_vectors,
    }
    save_file(
        {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items() if array is not None},
        directory / _ARRAYS,
    )
    examples = [[note.path, note.title, note.labels] for note in classifier.examples]
    for name, values in ((_VOCABULARY, classifier.vocabulary.terms), (_EXAMPLES, examples)):
        (directory / name).write_text(json.dumps(values), encoding="utf-8")
    files = [_ARRAYS, _VOCABULARY, _EXAMPLES]
    if heads.tuned is not None:  # exported, so that ONNX Runtime is enough to use it
        prepared = tuned_dir(directory) / _PREPARED
        prepared.mkdir(mode=0o700)
        prepare_into(prepared, replace(find_model(str(tuned_dir(directory))), name=_TUNED))
        files += [str(file.relative_to(directory)) for file in sorted(prepared.iterdir())]
    record = {
        "format": _FORMAT,
        **{name: getattr(classifier, name) for name in _PLAIN},
        "neighbours": heads.neighbours,
        "calibration": asdict(classifier.calibration),
        "tuned": heads.tuned is not None,
        "files": {name: _digest(directory / name) for name in files},
    }
    record["sha256"] = _record_digest(record)
    (directory / _RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")


def _read(directory: Path, record: dict[str, Any]) -> Classifier:
    from safetensors.numpy import load_file

    arrays = load_file(directory / _ARRAYS)
    terms = json.loads((directory / _VOCABULARY).read_text(encoding="utf-8"))
    examples = json.loads((directory / _EXAMPLES).read_text(encoding="utf-8"))
    calibration: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in record["calibration"].items()
    }
    plain: dict[str, Any] = {name: record[name] for name in _PLAIN}
    heads = {name: arrays.get(name) for name in ("terms", "vectors", "tuned")}
    tuned = read_prepared(tuned_dir(directory) / _PREPARED) if record["tuned"] else None
    if record["tuned"] and tuned is None:
        raise ValueError(f"{_TUNED} was changed since it was written")
    return Classifier(
        heads=Heads(arrays["bias"], **heads, neighbours=record["neighbours"]),
        vocabulary=Vocabulary(terms, arrays["idf"]),
        calibration=Calibration(**calibration),
        thresholds=arrays["thresholds"],
        examples=tuple(Example(path, title, tuple(labels)) for path, title, labels in examples),
        vectors=arrays["examples"],
        name_vectors=arrays["names"],
        tuned=tuned,
        **plain | {"labels": tuple(record["labels"])},
    )


def _check_values(classifier: Classifier) -> None:
    """Checks what checksums do not, since whoever writes the files can compute them.

    Raises:
        ValueError: Parts do not fit together, or values are not such as training gives.
        TypeError: Values are of the wrong kind.
    """
    heads, labels = classifier.heads, len(classifier.labels)
    examples, terms = len(classifier.examples), len(classifier.vocabulary.terms)
    dim = classifier.vectors.shape[-1]
    shapes = [
        (heads.bias, (labels,)),
        (heads.terms, (terms, labels)),
        (heads.vectors, (dim, labels)),
        (heads.tuned, (classifier.tuned.config.dim if classifier.tuned else dim, labels)),
        (classifier.vocabulary.idf, (terms,)),
        (classifier.thresholds, (labels,)),
        (classifier.vectors, (examples, dim)),
        (classifier.name_vectors, (labels, dim)),
        (np.array(classifier.calibration.frequencies), (labels,)),
        (np.array(classifier.calibration.names), (2,)),
    ]
    calibration = [value for value in asdict(classifier.calibration).values() if not isinstance(value, tuple)]
    arrays = [(array, shape) for array, shape in shapes if array is not None]
    if any(array.shape != shape for array, shape in arrays):
        raise ValueError("its parts do not fit together")
    if not all(np.isfinite(array).all() for array in (*(array for array, _ in arrays), np.array(calibration))):
        raise ValueError("a value in it is not a finite number")
    texts = (*classifier.labels, *classifier.vocabulary.terms, classifier.model, classifier.encoder)
    if not all(isinstance(text, str) for text in texts) or (heads.neighbours > 0) > (examples > 0):
        raise ValueError("a value in it is of the wrong kind")


@contextmanager
def _damage_reported(directory: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        reason = f"{error.filename} is missing" if isinstance(error, FileNotFoundError) else error
        raise ModelError(f"the classifier in {directory} is damaged: {reason}", _hint(directory)) from error


def _hint(directory: Path) -> str:
    name = "" if directory.name == DEFAULT_NAME else f" --name {directory.name}"
    return f"Train it again: notesearch train-classifier{name}"


def _record_digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
