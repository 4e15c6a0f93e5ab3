"""Where things are kept and what the user has set: flag, then environment, then settings file, then default."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import platformdirs

from notesearch.errors import SettingsError

DEFAULT_MODEL = "all-MiniLM-L6-v2"
_APP = "notesearch"


@dataclass(frozen=True, slots=True)
class Settings:
    """What is in force for one command.

    Attributes:
        index_dir: Directory of the index.
        model: The bi-encoder: `all-MiniLM-L6-v2` (comes with notesearch), a local directory or a hub id; `None` for the
            one that the index was made with, and for a new index the one that comes with notesearch.
        max_file_bytes: Larger files are skipped.
        token_model: A ColBERT model to take the token vectors from: a local directory or a hub id; `none` for the
            bi-encoder's own; `None` for what the index was made with, and for a new index the bi-encoder's own.
        cross_encoder: The cross-encoder for those who want one: a local directory or a hub id.
        follow_symlinks: Whether links that leave an indexed folder are followed.
        threads: The most cores that `index` takes; `None` for all.
        concepts: The file of the owner's links between ideas; `None` where none was named and the usual one,
            `concepts.toml` beside the settings file, does not exist.
    """

    index_dir: Path
    model: str | None = None
    token_model: str | None = None
    cross_encoder: str | None = None
    max_file_bytes: int = 2_000_000
    follow_symlinks: bool = False
    threads: int | None = None
    concepts: Path | None = None


def load_settings(
    *,
    index_dir: Path | None = None,
    model: str | None = None,
    token_model: str | None = None,
    cross_encoder: str | None = None,
    max_file_bytes: int | None = None,
    follow_symlinks: bool | None = None,
    threads: int | None = None,
    concepts: Path | None = None,
) -> Settings:
    """Resolves the settings of a command.

    Args:
        index_dir: The flag's value, `None` where the flag was not given; likewise the others.
        model: See `Settings`.
        token_model: See `Settings`.
        cross_encoder: See `Settings`.
        max_file_bytes: See `Settings`.
        follow_symlinks: See `Settings`.
        threads: See `Settings`.
        concepts: See `Settings`.

    Raises:
        SettingsError: The settings file is not valid TOML, or holds an unknown key or a value of the wrong type.
    """
    values: dict[str, Any] = {"index_dir": platformdirs.user_data_path(_APP)}
    if (usual_concepts := config_file().with_name("concepts.toml")).exists():
        values["concepts"] = usual_concepts
    values |= _read_settings_file(config_file())
    if from_environment := os.environ.get("NOTESEARCH_INDEX_DIR"):
        values["index_dir"] = Path(from_environment)
    if model_from_environment := os.environ.get("NOTESEARCH_MODEL"):
        values["model"] = model_from_environment
    flags = {
        "index_dir": index_dir,
        "model": model,
        "token_model": token_model,
        "cross_encoder": cross_encoder,
        "max_file_bytes": max_file_bytes,
        "follow_symlinks": follow_symlinks,
        "threads": threads,
        "concepts": concepts,
    }
    values |= {name: value for name, value in flags.items() if value is not None}
    # os.path's leaves the name of an unknown user as it is; Path's raises.
    values["index_dir"] = Path(os.path.expanduser(values["index_dir"])).absolute()  # noqa: PTH111
    return Settings(**values)


def config_file() -> Path:
    """The settings file, whether it exists or not."""
    return platformdirs.user_config_path(_APP) / "config.toml"


def cache_dir() -> Path:
    """Where prepared models are kept; everything in it can be deleted."""
    return platformdirs.user_cache_path(_APP)


def _read_settings_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot read {path}: {error}", "Mend the file, or move it away.") from error
    kinds: dict[str, type] = dict.fromkeys(("index_dir", "model", "token_model", "cross_encoder", "concepts"), str)
    kinds |= {"max_file_bytes": int, "follow_symlinks": bool, "threads": int}
    for name, value in values.items():
        if name not in kinds:
            known = ", ".join(field.name for field in fields(Settings))
            raise SettingsError(f"{path}: unknown setting {name!r}", f"Known settings: {known}.")
        if type(value) is not kinds[name]:
            raise SettingsError(f"{path}: {name} should be of type {kinds[name].__name__}", f"It is {value!r}.")
    for name in {"index_dir", "concepts"} & values.keys():  # relative to the file: the working directory may be any
        values[name] = path.parent / os.path.expanduser(values[name])  # noqa: PTH111
    return values
