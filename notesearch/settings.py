"""Where things are kept and what the user has set: flag, environment, collection, settings file, default."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import platformdirs

from notesearch.errors import SettingsError
from notesearch.files import read_text

DEFAULT_MODEL = "all-MiniLM-L6-v2"
_APP = "notesearch"

_COMMON_KINDS: dict[str, Any] = {
    "index_dir": str,
    "model": str,
    "token_model": str,
    "cross_encoder": str,
    "max_file_bytes": int,
    "follow_symlinks": bool,
    "concepts": str,
}
_FILE_KINDS = {**_COMMON_KINDS, "threads": int, "editor": str, "collections": dict}
_COLLECTION_KINDS = {**_COMMON_KINDS, "folders": list, "tags": list, "not_tags": list, "path": str}
_COLLECTION_NAME = re.compile(r"[A-Za-z0-9_-]+")

Source = Literal["flag", "environment", "collection", "file", "default"]


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
        editor: The command that opens a note; `None` where there is none.
        folders: The folders of the collection; `None` where it names none, and without a collection.
        tags: Tags that a note of the collection must have to be found, unless a search names others.
        not_tags: Tags that it must not have, unless a search names others.
        path: Glob for its path, unless a search names another.
    """

    index_dir: Path
    model: str | None = None
    token_model: str | None = None
    cross_encoder: str | None = None
    max_file_bytes: int = 2_000_000
    follow_symlinks: bool = False
    threads: int | None = None
    concepts: Path | None = None
    editor: str | None = None
    folders: tuple[Path, ...] | None = None
    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    path: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting, and where its value comes from.

    Attributes:
        value: See `Settings`.
        source: What kind of place that is.
        place: The flag, the variable, or the file and the table in it; empty for a default.
    """

    value: Any
    source: Source = "default"
    place: str = ""


def load_settings(
    *,
    collection: str | None = None,
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
        collection: The name of a collection in the settings file; `None` for none.
        index_dir: The flag's value, `None` where the flag was not given; likewise the others.
        model: See `Settings`.
        token_model: See `Settings`.
        cross_encoder: See `Settings`.
        max_file_bytes: See `Settings`.
        follow_symlinks: See `Settings`.
        threads: See `Settings`.
        concepts: See `Settings`.

    Raises:
        SettingsError: The settings file is not valid TOML, or holds an unknown key or a value of the wrong type; or
            there is no such collection in it.
    """
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
    resolved = resolve_settings(collection, {name: value for name, value in flags.items() if value is not None})
    return Settings(**{name: setting.value for name, setting in resolved.items()})


def resolve_settings(collection: str | None = None, flags: Mapping[str, Any] | None = None) -> dict[str, Setting]:
    """Resolves settings, by the names that they have in `Settings`, and says where each comes from.

    Args:
        collection: The name of a collection in the settings file; `None` for none.
        flags: The values of the flags that were given.

    Raises:
        SettingsError: See `load_settings`.
    """
    resolved: dict[str, Setting] = {}
    for layer in _layers(collection, flags or {}):
        resolved |= layer
    # os.path's leaves the name of an unknown user as it is; Path's raises.
    index_dir = resolved["index_dir"]
    absolute = Path(os.path.expanduser(index_dir.value)).absolute()  # noqa: PTH111
    resolved["index_dir"] = Setting(absolute, index_dir.source, index_dir.place)
    return {field.name: resolved[field.name] for field in fields(Settings)}


def collection_names() -> tuple[str, ...]:
    """The names of the collections in the settings file, in its order.

    Raises:
        SettingsError: See `load_settings`.
    """
    return tuple(_read_settings_file(config_file()).get("collections", {}))


def config_file() -> Path:
    """The settings file, whether it exists or not."""
    return platformdirs.user_config_path(_APP) / "config.toml"


def data_dir() -> Path:
    """Where indexes are kept, unless the user has another place for them."""
    return platformdirs.user_data_path(_APP)


def cache_dir() -> Path:
    """Where prepared models are kept; everything in it can be deleted."""
    return platformdirs.user_cache_path(_APP)


def _layers(collection: str | None, flags: Mapping[str, Any]) -> Iterator[dict[str, Setting]]:
    """What each place says, those that give way first."""
    file = config_file()
    in_file = _read_settings_file(file)
    tables = in_file.pop("collections", {})
    defaults = {field.name: field.default for field in fields(Settings) if field.default is not MISSING}
    usual_concepts = file.with_name("concepts.toml")
    defaults |= {"index_dir": data_dir(), "concepts": usual_concepts if usual_concepts.exists() else None}
    yield {name: Setting(value) for name, value in defaults.items()}
    # git's core.editor comes before these as well: they are every program's, the settings file is ours.
    yield _from_environment("editor", "VISUAL", "EDITOR")
    yield {name: Setting(value, "file", str(file)) for name, value in in_file.items()}
    if collection is not None:
        # A collection is never in an index that was not chosen for it, or the notes of two would be mixed in one.
        yield {"index_dir": Setting(data_dir() / "collections" / collection)}
        place = f"{file} [collections.{collection}]"
        table = _table_of(collection, tables, file)
        yield {name: Setting(value, "collection", place) for name, value in table.items()}
    else:
        yield _from_environment("index_dir", "NOTESEARCH_INDEX_DIR")
    yield _from_environment("model", "NOTESEARCH_MODEL")
    yield {name: Setting(value, "flag", f"--{name.replace('_', '-')}") for name, value in flags.items()}


def _from_environment(name: str, *variables: str) -> dict[str, Setting]:
    """A setting by the first of these variables that is set."""
    variable = next((variable for variable in variables if os.environ.get(variable)), None)
    return {name: Setting(os.environ[variable], "environment", f"${variable}")} if variable else {}


def _table_of(collection: str, tables: Mapping[str, Any], file: Path) -> dict[str, Any]:
    if collection in tables:
        return dict(tables[collection])
    known = ", ".join(tables)
    how = f'Write it into {file}: [collections.{collection}] and below that folders = ["~/notes"]'
    hint = f"Collections in {file}: {known}." if known or not _COLLECTION_NAME.fullmatch(collection) else how
    raise SettingsError(f"there is no collection {collection!r}", hint)


def _read_settings_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(read_text(path))
    except FileNotFoundError:
        return {}
    except RecursionError as error:
        raise SettingsError(f"cannot read {path}: too deeply nested", "Mend the file, or move it away.") from error
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, not TOML, a number of thousands of digits
        raise SettingsError(f"cannot read {path}: {error}", "Mend the file, or move it away.") from error
    values = _checked(values, _FILE_KINDS, path, "")
    if "collections" in values:
        values["collections"] = {
            _checked_name(name, path): _checked(table, _COLLECTION_KINDS, path, f" in [collections.{name}]")
            for name, table in values["collections"].items()
        }
    return values


def _checked_name(name: str, path: Path) -> str:
    if not _COLLECTION_NAME.fullmatch(name):
        raise SettingsError(
            f"{path}: {name!r} cannot be the name of a collection",
            "Letters from a to z, digits, - and _ can be in one.",
        )
    return name


def _checked(table: Any, kinds: Mapping[str, Any], path: Path, where: str) -> dict[str, Any]:
    """A table of the file, its paths made absolute.

    Raises:
        SettingsError: Something in it is unknown, or of the wrong type.
    """
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: a collection should be a table{where}", f"It is {table!r}.")
    for name, value in table.items():
        if name not in kinds:
            raise SettingsError(f"{path}: unknown setting {name!r}{where}", f"Known settings: {', '.join(kinds)}.")
        if type(value) is not kinds[name]:
            raise SettingsError(f"{path}: {name} should be of type {kinds[name].__name__}{where}", f"It is {value!r}.")
        if kinds[name] is list and not all(isinstance(entry, str) for entry in value):
            raise SettingsError(f"{path}: {name} should be a list of strings{where}", f"It is {value!r}.")
    return {name: _with_absolute_paths(name, value, path) for name, value in table.items()}


def _with_absolute_paths(name: str, value: Any, file: Path) -> Any:
    """Paths are relative to the file: the working directory may be any."""
    if name in ("index_dir", "concepts"):
        return file.parent / os.path.expanduser(value)  # noqa: PTH111
    if name == "folders":
        return tuple(file.parent / os.path.expanduser(folder) for folder in value)  # noqa: PTH111
    if name == "path":
        return str(file.parent / value) if value.startswith(("./", "../")) else os.path.expanduser(value)  # noqa: PTH111
    return tuple(value) if isinstance(value, list) else value
