"""What the directory of a model may not ask for: code of its own, files elsewhere, sizes beyond reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from notesearch.errors import ModelError

# Whose modules are known by their names.
_LIBRARIES = ("sentence_transformers.", "pylate.")
# Several times what the largest encoders have. Beyond, a file of a few bytes would take all memory, or hours.
_GREATEST = {
    **dict.fromkeys(("hidden_size", "dim", "embedding_size", "d_model"), 1 << 15),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "d_ff"), 1 << 17),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "num_layers", "num_attention_heads", "n_heads"), 1 << 9),
    **dict.fromkeys(("max_position_embeddings", "type_vocab_size"), 1 << 20),
    "vocab_size": 1 << 23,
}
_CHOOSE_ANOTHER = "Choose a model of an architecture that transformers knows."


def check_architecture(name: str, directory: Path, architecture: Mapping[str, Any]) -> None:
    """Makes sure that a model needs nothing but transformers and its own weights.

    Args:
        name: Of the model, for messages.
        directory: The model's.
        architecture: Its `config.json`.

    Raises:
        ModelError: It needs more, or cannot be what it says.
    """
    if architecture.get("auto_map"):
        raise ModelError(f"model {name} needs code that it brings along, which notesearch never runs", _CHOOSE_ANOTHER)
    if (directory / "adapter_config.json").exists():
        raise ModelError(f"model {name} is an adapter for another model", "Merge the two, and name the result.")
    for key, greatest in _GREATEST.items():
        value = architecture.get(key)
        if isinstance(value, int | float) and not 1 <= value <= greatest:
            raise _nonsense(name, directory, key, value)
    padding = architecture.get("pad_token_id")
    if isinstance(padding, int | float) and not 0 <= padding < architecture.get("vocab_size", _GREATEST["vocab_size"]):
        raise _nonsense(name, directory, "pad_token_id", padding)


def _nonsense(name: str, directory: Path, key: str, value: object) -> ModelError:
    return ModelError(
        f"the files of model {name} in {directory} are damaged: config.json has {key} {value}",
        "Fetch or make the model again.",
    )


def check_modules(name: str, directory: Path, entries: Any) -> list[tuple[str, str]]:
    """Makes sure that a model is made of the modules of known libraries, and that these are in its own directory.

    Args:
        name: Of the model, for messages.
        directory: The model's.
        entries: Its `modules.json`.

    Returns:
        The class and the folder of each module.

    Raises:
        ModelError: It is not.
        KeyError, TypeError: The entries are none of modules.
    """
    if not isinstance(entries, list) or not entries:
        raise TypeError("modules.json lists no modules")
    modules = []
    for entry in entries:
        kind, folder = str(entry["type"]), str(entry["path"])
        if not kind.startswith(_LIBRARIES):
            raise ModelError(f"model {name} has a module that notesearch cannot run: {kind}", _CHOOSE_ANOTHER)
        if PurePosixPath(folder).is_absolute() or ".." in PurePosixPath(folder).parts:
            raise ModelError(f"model {name} has a module outside of {directory}: {folder}", _CHOOSE_ANOTHER)
        modules.append((kind.rsplit(".", 1)[-1], folder))
    return modules
