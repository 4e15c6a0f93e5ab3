"""ColBERT models: a vector for each token of a passage, from a model that was trained for late interaction."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from notesearch.encoders.calibration import PROBES, ScoreScale, measure_late_scale
from notesearch.encoders.model_files import (
    WEIGHTS,
    absolute_name,
    file_sha256,
    find_model,
    max_tokens,
    read_json,
    read_modules,
    read_optional_json,
)
from notesearch.encoders.model_safety import check_architecture
from notesearch.encoders.prepared import check_vocabulary
from notesearch.encoders.token_codes import CodedWord, Span, code_bits, compress
from notesearch.encoders.torch_forward import load_model
from notesearch.errors import ModelError
from notesearch.private import seal, working_folder
from notesearch.settings import cache_dir
from notesearch.words import UNSPACED_CHARACTER, find_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

Task = Literal["query", "document"]

_AGAIN = "Fetch or make the model again."
_CHOOSE_ANOTHER = "Choose a ColBERT model for text, such as answerdotai/answerai-colbert-small-v1."
# The modules whose output is one vector for each token; one that merges tokens would leave a code without its word.
_MODULES = {"Transformer", "Dense", "MultiVectorMask", "Normalize"}
# Where the checkpoints of Stanford's ColBERT keep their markers and lengths.
_STANFORD_SETTINGS = "artifact.metadata"
# What the vectors of a checkpoint depend on.
_FILES = ("*.json", "*.txt", "*.model", "*.safetensors", _STANFORD_SETTINGS)
# A class of torch's own layers, which sentence-transformers makes one of.
_FUNCTION = re.compile(r"torch\.nn\.(modules\.\w+\.)?[A-Z]\w*")
# Raise this when scales must be measured anew: a change of the probes or of the codes.
_FORMAT = 1


class TokenModel:
    """A late-interaction model (ColBERT), which stands in for the bi-encoder's own token vectors.

    Attributes:
        fingerprint: 32 hex digits; two models with one fingerprint give codes that can be compared.
        code_bits: Bits of a token code.
        late_scale: What the scores of late interaction between a query and token codes mean.
    """

    def __init__(
        self, model: Any, fingerprint: str, late_scale: ScoreScale = ScoreScale(unrelated=0.0, related=1.0)
    ) -> None:
        """Wraps a `MultiVectorEncoder`."""
        self.fingerprint = fingerprint
        self.code_bits = code_bits(model.get_embedding_dimension())
        self.late_scale = late_scale
        self._model = model

    def encode_query(self, query: str) -> tuple[tuple[CodedWord, ...], Vectors]:
        """Encodes a query; what goes beyond the model's length for queries is cut off.

        Returns:
            For each token vector, in order, what it stands for: the word that its token is a part of, or an empty one
            without a place for markers and for the [MASK]s that the query is filled up with. And the vectors, float32
            `(n, code_bits)`, each of length 1.
        """
        kept = self._encode(self._model.encode_query, [query])[0]
        vectors: Vectors = kept / np.maximum(np.linalg.norm(kept, axis=1, keepdims=True), np.float32(1e-12))
        return tuple(self._words(query, "query")), vectors

    def encode_passages(self, passages: Sequence[str]) -> list[bytes]:
        """Encodes passages, in the order given; what goes beyond the model's length for documents is cut off.

        Returns:
            Token codes, see `token_codes`: one for each token that the model keeps.
        """
        return [compress(kept) for kept in self._encode(self._model.encode_document, passages)]

    def words_of_codes(self, passage: str) -> list[CodedWord]:
        """What the codes of a passage stand for, code by code: the word that the token is a part of."""
        return self._words(passage, "document")

    def _encode(self, encode: Callable[..., list[Vectors]], texts: Sequence[str]) -> list[Vectors]:
        """Token vectors of texts, float32 `(n, code_bits)` each, n ≥ 1."""
        # It sorts by length, so that little padding is computed.
        encoded = encode(list(texts), convert_to_numpy=True, show_progress_bar=False)
        # A text of which the model keeps nothing gets a blank vector: late interaction needs one.
        return [own[:, -self.code_bits :] if len(own) else np.zeros((1, self.code_bits), np.float32) for own in encoded]

    def _words(self, text: str, task: Task) -> list[CodedWord]:
        runs = find_runs(text)
        words = [_word_at(text, runs, span) for span in self._kept_spans(text, task)] or [("", ())]
        return [CodedWord(word, (number,), spans) for number, (word, spans) in enumerate(words)]

    def _kept_spans(self, text: str, task: Task) -> list[Span]:
        """Start and end in a text of each token that has a vector; equal for those that are not of it."""
        prompt = self._model.prompts[task]
        features = self._model.preprocess(
            [text], prompt=prompt, task=task, processing_kwargs={"text": {"return_offsets_mapping": True}}
        )
        offsets = features["offset_mapping"][0].tolist()
        # A query's padding that became [MASK]s may lie beyond what the tokenizer made.
        offsets += [(0, 0)] * (features["input_ids"].shape[1] - len(offsets))
        for module in self._model:
            if type(module).__name__ == "MultiVectorMask":
                features = module(features, task=task)
        kept = features["attention_mask"][0].tolist()
        before = len(prompt)
        return [
            (max(start - before, 0), max(end - before, 0))
            for (start, end), keep in zip(offsets, kept, strict=True)
            if keep
        ]


def token_model_fingerprint(name: str) -> str:
    """The fingerprint of a late-interaction model, without loading it.

    Args:
        name: A local directory or a hub id.

    Raises:
        ModelError: See `open_token_model`; what shows only once the model is loaded is not found here.
    """
    return _find_checkpoint(name)[1]


def open_token_model(name: str) -> TokenModel:
    """Opens a late-interaction model: a checkpoint of sentence-transformers, of PyLate or of Stanford's ColBERT.

    Args:
        name: A local directory or a hub id.

    Raises:
        ModelError: The model is unknown, unsafe, damaged, no late-interaction model for text, or sentence-transformers
            is missing.
    """
    directory, fingerprint = _find_checkpoint(name)
    model = TokenModel(_load_modules(name, directory), fingerprint)
    if scale := _read_scale(fingerprint):
        model.late_scale = scale
    else:
        model.late_scale = _measure_scale(model)
        _keep_scale(fingerprint, model.late_scale)
    return model


def _find_checkpoint(name: str) -> tuple[Path, str]:
    """Finds the directory of a checkpoint, and the fingerprint of the files that its vectors depend on."""
    name = absolute_name(name)
    directory = _find_directory(name)
    try:
        folders = _read_folders(name, directory)
        paths = {path for folder in folders for kind in _FILES for path in folder.glob(kind)}
        digest = hashlib.sha256()
        for path in sorted(paths):
            digest.update(f"{path.relative_to(directory)} {file_sha256(path)}\n".encode())
    except (OSError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelError(f"the files of model {name} in {directory} are damaged: {error!r}", _AGAIN) from error
    return directory, digest.hexdigest()[:32]


def _find_directory(name: str) -> Path:
    """Finds the directory of a checkpoint; one in the hub's cache has the file that its layout cannot do without."""
    files = (WEIGHTS, "config.json")
    directory = find_model(name, needed=files)
    layout = _STANFORD_SETTINGS if _is_stanford(directory) else "modules.json"
    return directory if (directory / layout).is_file() else find_model(name, needed=(*files, layout))


def _is_stanford(directory: Path) -> bool:
    return "HF_ColBERT" in (read_json(directory / "config.json").get("architectures") or ())


def _read_folders(name: str, directory: Path) -> set[Path]:
    """The folders of a checkpoint's modules.

    Raises:
        ModelError: It is none of a late-interaction model, or not a safe or complete one.
    """
    architecture = read_json(directory / "config.json")
    check_architecture(name, directory, architecture)
    max_tokens(directory, architecture, read_optional_json(directory / "sentence_bert_config.json"))  # raises
    if not (directory / "modules.json").exists():
        if not _is_stanford(directory):
            raise _not_late_interaction(name)
        # Without its settings, sentence-transformers would make some up.
        if not (directory / _STANFORD_SETTINGS).is_file():
            raise ModelError(
                f"model {name}: no {_STANFORD_SETTINGS} in {directory}",
                "Fetch the whole repository of the model, and give its directory.",
            )
        return {directory}
    modules = [(kind, directory / folder) for kind, folder in read_modules(name, directory)]
    kinds = {kind for kind, _ in modules}
    config = read_optional_json(directory / "config_sentence_transformers.json")
    # PyLate named its models only of late; before, their markers and the projection of each token tell them.
    named = config.get("model_type") in {"MultiVectorEncoder", "ColBERT"}
    if not named and not ("Dense" in kinds and {"query_prefix", "document_prefix"} & set(config)):
        raise _not_late_interaction(name)
    if unknown := kinds - _MODULES:
        raise ModelError(
            f"model {name} has a module that notesearch cannot run: {', '.join(sorted(unknown))}", _CHOOSE_ANOTHER
        )
    for kind, folder in modules:
        if kind == "Dense":
            _check_projection(name, folder)
    return {directory, *(folder for _, folder in modules)}


def _check_projection(name: str, folder: Path) -> None:
    if not (folder / WEIGHTS).is_file():
        raise ModelError(
            f"model {name}: no {WEIGHTS} in {folder}",
            "notesearch loads weights from safetensors files only; pickled weights are refused.",
        )
    # In place of a function that is not torch's, sentence-transformers would take another one.
    function = str(read_json(folder / "config.json").get("activation_function", "torch.nn.Tanh"))
    if not _FUNCTION.fullmatch(function):
        raise ModelError(f"model {name} has a function that notesearch cannot run: {function}", _CHOOSE_ANOTHER)


def _not_late_interaction(name: str) -> ModelError:
    return ModelError(f"model {name} is no late-interaction model", _CHOOSE_ANOTHER)


def _load_modules(name: str, directory: Path) -> Any:
    """Loads a checkpoint from safetensors; code that a model directory may bring along is never run."""
    try:
        from sentence_transformers import MultiVectorEncoder
    except ImportError as error:
        raise ModelError(
            "ColBERT models need sentence-transformers 6.2 or later", "pip install 'sentence-transformers>=6.2'"
        ) from error
    from safetensors import SafetensorError

    if (directory / "tokenizer.json").is_file():
        check_vocabulary(directory, directory / "tokenizer.json")
    load_model(directory)  # for its checks: what the file lacks, sentence-transformers would fill in at random
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    try:
        model = MultiVectorEncoder(
            str(directory),
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RuntimeError,
        ImportError,
        SafetensorError,
    ) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise ModelError(f"cannot load {directory}: {reason}", "Is it a ColBERT model?") from error
    # One for images too would take a passage that is no more than the address of an image for an image, and fetch it.
    if model.modalities != ["text"]:
        raise ModelError(f"model {name} is for more than plain text: {model.modalities}", _CHOOSE_ANOTHER)
    return model.float().eval()


def _word_at(text: str, runs: Sequence[Span], span: Span) -> tuple[str, tuple[Span, ...]]:
    """The word that a token is a part of, in lower case, and where it stands; the token itself if it is of none."""
    start, end = span
    start += len(text[start:end]) - len(text[start:end].lstrip())  # some tokenizers add the space before to a word
    if start >= end:
        return "", ()
    # A run of an unspaced script is a whole sentence: there, each token is a word.
    if not UNSPACED_CHARACTER.match(text, start):
        start, end = next((run for run in runs if run[0] < end and start < run[1]), (start, end))
    return text[start:end].lower(), ((start, end),)


def _read_scale(fingerprint: str) -> ScoreScale | None:
    """Looks up the scale of a model; `None` where it was not measured yet."""
    try:
        return ScoreScale(**json.loads(_scale_file(fingerprint).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _measure_scale(model: TokenModel) -> ScoreScale:
    """Measures by the probes what scores of late interaction mean."""
    codes = model.encode_passages([passage for _, passage in PROBES])
    return measure_late_scale([model.encode_query(query)[1] for query, _ in PROBES], codes, model.code_bits)


def _keep_scale(fingerprint: str, scale: ScoreScale) -> None:
    target = _scale_file(fingerprint)
    # Where it cannot be kept, it is measured each time, which takes a moment.
    with contextlib.suppress(OSError), working_folder(target.parent, ".measuring-") as folder:
        (folder / target.name).write_text(json.dumps(asdict(scale)), encoding="utf-8")
        seal(folder)
        (folder / target.name).replace(target)


def _scale_file(fingerprint: str) -> Path:
    return cache_dir() / "token-models" / f"{fingerprint}-{_FORMAT}.json"
