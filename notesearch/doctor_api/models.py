"""What an index needs beside itself: its model, trained classifiers, tuned models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from notesearch.doctor_api.checks import REPAIR, Check
from notesearch.encoders import PreparedModel, models
from notesearch.errors import ModelError
from notesearch.settings import DEFAULT_MODEL
from notesearch.storage import Fingerprint
from notesearch.storage.check import DatabaseCheck
from notesearch.storage.vectors import unpack
from notesearch.tagging.classifier import classifiers_dir, load_classifier
from notesearch.words import passage_text

_SAMPLE_CHUNKS = 5
# Int8 and bf16 give vectors of one text whose cosine is seldom below 0.98; another model gives anything.
_LEAST_COSINE = 0.9
_ANEW = f"Make the index anew, with a model of your choice: notesearch index --rebuild --model {DEFAULT_MODEL}"


def check_model(index_dir: Path, fingerprint: Fingerprint) -> Iterator[Check]:
    """Whether the model of an index is there, as it was, and gives the vectors that the index holds."""
    name = fingerprint.model
    try:
        other = _other_model(fingerprint)
    except ModelError as error:
        yield Check("model", "wrong", error.message, _ANEW)
        return
    if other:
        yield Check("model", "wrong", f"{other} is no longer the one that this index was made with", _ANEW)
        return
    prepared = models.find_prepared(fingerprint.encoder)
    if prepared is None:
        yield Check("model", "ok", f"{name}, to be prepared by the next command")
    elif _is_damaged(fingerprint):
        yield Check("model", "wrong", f"what was prepared of the model {name} is damaged", REPAIR)
    elif (cosine := _agreement(index_dir, fingerprint, prepared)) < _LEAST_COSINE:
        what = f"the model {name} gives other vectors than those of the index (cosine {cosine:.2f})"
        yield Check("model", "wrong", what, f"{REPAIR}; if that does not help: notesearch index --rebuild")
    else:
        yield Check("model", "ok", f"{name}, {prepared.precision}")


def prepared_is_unsound(index_dir: Path, fingerprint: Fingerprint) -> bool:
    """Whether what was prepared of a model is damaged, or gives other vectors than those of the index."""
    prepared = models.find_prepared(fingerprint.encoder)
    if prepared is None:
        return False
    try:
        return _is_damaged(fingerprint) or _agreement(index_dir, fingerprint, prepared) < _LEAST_COSINE
    except ModelError:
        return True


def _is_damaged(fingerprint: Fingerprint) -> bool:
    """Whether what was prepared passes for whole at first sight, but is not."""
    return models.find_prepared(fingerprint.encoder, thoroughly=True) is None


def _other_model(fingerprint: Fingerprint) -> str:
    """The model whose files are not those that the index was made with any more; empty where there is none.

    The files of a model of the hub are not looked for: that might fetch them.

    Raises:
        ModelError: The files are gone or damaged.
    """
    name, token_model = fingerprint.model, fingerprint.token_model
    at_hand = name == DEFAULT_MODEL or _is_there(name)
    if at_hand and models.fingerprint_of(name) != fingerprint.encoder:
        return f"the model {name}"
    if (
        token_model
        and _is_there(token_model)
        and models.fingerprint_of(token_model, "multi-vector") != fingerprint.token_encoder
    ):
        return f"the token model {token_model}"
    return ""


def _is_there(name: str) -> bool:
    """Whether a model is a local directory."""
    if Path(name).is_absolute() and not Path(name).is_dir():
        raise ModelError(f"the model of this index is gone: {name}")
    return Path(name).is_absolute()


def _agreement(index_dir: Path, fingerprint: Fingerprint, prepared: PreparedModel) -> float:
    """The median cosine between what the index holds of some chunks and what the model makes of them now."""
    with closing(DatabaseCheck(index_dir)) as check:
        sample = check.sample_chunks(_SAMPLE_CHUNKS)
    if not sample:
        return 1.0
    passages = [passage_text(title, chunk.heading, chunk.text) for title, chunk, _ in sample]
    now = models.open_encoder(prepared).encode_passages(passages).vectors
    then = unpack([vector for *_, vector in sample], fingerprint.dim)
    return float(np.nan_to_num(np.median((now * then).sum(axis=1)), nan=0.0))


def check_classifiers(index_dir: Path) -> Iterator[Check]:
    """Whether all trained classifiers can be loaded."""
    sound = []
    for directory in _folders(classifiers_dir(index_dir)):
        try:
            load_classifier(directory)
            sound.append(directory.name)
        except ModelError as error:
            yield Check("classifiers", "wrong", error.message, error.hint)
    if sound:
        yield Check("classifiers", "ok", ", ".join(sound))


def check_tuned_models(index_dir: Path) -> Iterator[Check]:
    """Whether the models that were tuned on the notes are whole."""
    from safetensors import SafetensorError, safe_open

    sound = []
    for directory in _folders(index_dir / "models"):
        try:
            models.fingerprint_of(str(directory))
            with safe_open(directory / "model.safetensors", framework="numpy"):
                sound.append(directory.name)
        except (ModelError, SafetensorError) as error:
            yield Check("tuned models", "wrong", f"{directory}: {error}", "Tune again: notesearch tune")
    if sound:
        yield Check("tuned models", "ok", ", ".join(sound))


def _folders(parent: Path) -> Sequence[Path]:
    if not parent.is_dir():
        return ()
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))
