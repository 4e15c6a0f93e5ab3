"""A trained classifier on disk: saved, loaded, checked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.encoders import PreparedModel, find_model, prepare_into, read_prepared
from notesearch.errors import ModelError, UsageError
from notesearch.private import seal, working_folder
from notesearch.tagging.calibration import Calibration
from notesearch.tagging.estimators import Heads
from notesearch.tagging.features import Vocabulary
from notesearch.tagging.labels import Example

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def require_sense(classifier: Classifier) -> None:
    """Looks at what checksums say nothing about, since whoever writes the files can compute these.

    Raises:
        ValueError: Parts do not fit together, or values are none that training gives.
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
        (np.array(classifier.calibration.hints), (2,)),
    ]
    calibration = [value for value in asdict(classifier.calibration).values() if not isinstance(value, tuple)]
    arrays = [(array, shape) for array, shape in shapes if array is not None]
    if any(array.shape != shape for array, shape in arrays):
        raise ValueError("its parts do not fit together")
    if not all(np.isfinite(array).all() for array in (*(array for array, _ in arrays), np.array(calibration))):
        raise ValueError("a value in it is no number")
    texts = (*classifier.labels, *classifier.vocabulary.terms, classifier.model, classifier.encoder)
    if not all(isinstance(text, str) for text in texts) or (heads.neighbours > 0) > (examples > 0):
        raise ValueError("a value in it is of the wrong kind")


# A trained classifier on disk: numpy and the standard library read it, and a half-written one is never read.

DEFAULT_NAME = "default"
REPORT_PAGE = "report.html"
# Within the directory of a fine-tuned encoder, what ONNX Runtime needs of it.
PREPARED = "onnx"

# Raise this when the files mean something else than before.
_FORMAT = 1
_RECORD = "classifier.json"
_ARRAYS = "heads.safetensors"
_VOCABULARY = "vocabulary.json"
_EXAMPLES = "examples.json"
_TUNED = "encoder"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Classifier:
    """What is needed to tag a note.

    Attributes:
        labels: The labels it knows.
        method: How it was learnt.
        exclusive: Whether a note gets one label at most.
        heads: What was learnt; `terms` is there also where it only explains.
        scored_by_terms: Whether `heads.terms` takes part in the scores.
        vocabulary: The terms.
        calibration: What scores mean.
        thresholds: From which probability on a label is suggested, float32 `(labels,)`.
        examples: The notes it has learnt from.
        vectors: Their embeddings, float32 `(examples, dim)`.
        name_vectors: The embeddings of the labels' names, float32 `(labels, dim)`.
        model: The bi-encoder of these, as the user named it.
        encoder: The fingerprint of that.
        budget_tokens: How notes are cut for it.
        tuned: The fine-tuned encoder, ready to be opened; `None` where there is none.
        trained: When, ISO 8601.
        data: A hash of the notes and labels that it has learnt from.
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
        UsageError: The name is none for a folder, or differs only in case from that of another classifier.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a classifier", "Use up to 64 letters, digits, dots, dashes and underscores."
        )
    # Not every file system can tell them apart.
    folder = classifiers_dir(index_dir)
    known = [path.name for path in folder.iterdir()] if os.access(folder, os.R_OK) else []
    alike = [other for other in known if other.lower() == name.lower()]
    if alike and name not in alike:
        raise UsageError(f"there is no classifier {name!r}, but one called {alike[0]!r}", "Use that name, or another.")
    return folder / name


def save_classifier(directory: Path, classifier: Classifier, write_more: Callable[[Path], None]) -> None:
    """Writes a classifier in the place of the one that may be there; it appears at once and complete, or not at all.

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
            files = _write_parts(made, classifier)
            write_more(made)
            if classifier.heads.tuned is not None:
                files += _prepare_tuned(made)
            _write_record(made, classifier, files)
            seal(made)
            _put_in_place(made, directory)
    except (OSError, SafetensorError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise ModelError(
            f"cannot write the classifier to {directory}: {reason}", "Is the disk full, or read-only?"
        ) from error


def _put_in_place(made: Path, directory: Path) -> None:
    """Puts a folder in the place of another, which `load_classifier` finds even if this is cut short."""
    former = _former(directory)
    if directory.exists():
        shutil.rmtree(former, ignore_errors=True)  # of a process that was killed
        directory.rename(former)
    try:
        made.rename(directory)
    except BaseException:
        with suppress(FileNotFoundError):
            former.rename(directory)
        raise
    shutil.rmtree(former, ignore_errors=True)


def _former(directory: Path) -> Path:
    """Where a classifier is while another is put in its place."""
    return directory.with_name(f".former-{directory.name}")


def load_classifier(directory: Path) -> Classifier | None:
    """Reads a classifier; `None` where there is none.

    Raises:
        ModelError: It is damaged, or was written by another version of notesearch.
    """
    found = next((place for place in (directory, _former(directory)) if place.is_dir()), None)
    if found is None:
        return None
    with _damage_told(directory):
        record = json.loads((found / _RECORD).read_text(encoding="utf-8"))
        if record.get("format") != _FORMAT:
            raise ModelError(
                f"the classifier in {directory} is of another version of notesearch", _how_to_mend(directory)
            )
        if record.pop("sha256") != _record_digest(record):
            raise ValueError(f"{_RECORD} is not as it was written")
        for name, digest in record["files"].items():
            if _digest(found / name) != digest:
                raise ValueError(f"{name} is not as it was written")
        classifier = _read(found, record)
        require_sense(classifier)
        return classifier


def tuned_dir(directory: Path) -> Path:
    """Where a classifier keeps its fine-tuned encoder, as a model directory."""
    return directory / _TUNED


def _prepare_tuned(directory: Path) -> list[str]:
    """Exports the fine-tuned encoder, so that nothing but ONNX Runtime is needed to use it; names the files."""
    source = tuned_dir(directory)
    prepared = source / PREPARED
    prepared.mkdir(mode=0o700)
    prepare_into(prepared, replace(find_model(str(source)), name=_TUNED))
    return [str(file.relative_to(directory)) for file in sorted(prepared.iterdir())]


def _write_parts(directory: Path, classifier: Classifier) -> list[str]:
    """Writes the arrays, the vocabulary and the examples; names the files."""
    from safetensors.numpy import save_file

    heads = classifier.heads
    arrays = {
        "bias": heads.bias,
        "terms": heads.terms,
        "vectors": heads.vectors,
        "tuned": heads.tuned,
        "idf": classifier.vocabulary.idf,
        "thresholds": classifier.thresholds,
        "examples": classifier.vectors,
        "names": classifier.name_vectors,
    }
    save_file(
        {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items() if array is not None},
        directory / _ARRAYS,
    )
    _write_json(directory / _VOCABULARY, classifier.vocabulary.terms)
    _write_json(directory / _EXAMPLES, [[note.path, note.title, note.labels] for note in classifier.examples])
    return [_ARRAYS, _VOCABULARY, _EXAMPLES]


def _write_record(directory: Path, classifier: Classifier, files: Sequence[str]) -> None:
    """Writes all that is no array, and by which the files are known to be whole."""
    heads = classifier.heads
    record: dict[str, Any] = {
        "format": _FORMAT,
        "method": classifier.method,
        "labels": classifier.labels,
        "exclusive": classifier.exclusive,
        "scored_by_terms": classifier.scored_by_terms,
        "neighbours": heads.neighbours,
        "calibration": asdict(classifier.calibration),
        "model": classifier.model,
        "encoder": classifier.encoder,
        "budget_tokens": classifier.budget_tokens,
        "tuned": heads.tuned is not None,
        "trained": classifier.trained,
        "data": classifier.data,
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
    return Classifier(
        labels=tuple(record["labels"]),
        method=record["method"],
        exclusive=record["exclusive"],
        heads=Heads(
            bias=arrays["bias"],
            terms=arrays.get("terms"),
            vectors=arrays.get("vectors"),
            tuned=arrays.get("tuned"),
            neighbours=record["neighbours"],
        ),
        scored_by_terms=record["scored_by_terms"],
        vocabulary=Vocabulary(terms, arrays["idf"]),
        calibration=Calibration(**calibration),
        thresholds=arrays["thresholds"],
        examples=tuple(Example(path, title, tuple(labels)) for path, title, labels in examples),
        vectors=arrays["examples"],
        name_vectors=arrays["names"],
        model=record["model"],
        encoder=record["encoder"],
        budget_tokens=record["budget_tokens"],
        tuned=_read_tuned(directory) if record["tuned"] else None,
        trained=record["trained"],
        data=record["data"],
    )


def _read_tuned(directory: Path) -> PreparedModel:
    tuned = read_prepared(directory / _TUNED / PREPARED)
    if tuned is None:
        raise ValueError(f"{_TUNED} is not as it was written")
    return tuned


@contextmanager
def _damage_told(directory: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        reason = f"{error.filename} is missing" if isinstance(error, FileNotFoundError) else error
        raise ModelError(f"the classifier in {directory} is damaged: {reason}", _how_to_mend(directory)) from error


def _write_json(file: Path, value: Sequence[Any]) -> None:
    file.write_text(json.dumps(value), encoding="utf-8")


def _how_to_mend(directory: Path) -> str:
    name = "" if directory.name == DEFAULT_NAME else f" --name {directory.name}"
    return f"Train it again: notesearch train-classifier{name}"


def _record_digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
