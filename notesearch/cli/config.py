"""`notesearch config`: the settings in force, and where each comes from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from notesearch.cli.options import IndexOptions, MessageOptions, flag
from notesearch.cli.terminal import harmless, json_text, show, write, write_json

if TYPE_CHECKING:
    from notesearch.settings import Setting

_OF_COLLECTIONS = ("folders", "tags", "not_tags", "path")


def config(
    only_path: Annotated[bool, flag("Print the path of the settings file.", "--path")] = False,
    as_json: Annotated[bool, flag("Print it as JSON.", "--json")] = False,
    *,
    index: IndexOptions,
    messages: MessageOptions,
) -> None:
    """Show the settings in force, and where each comes from.

    An option overrides an environment variable, that the collection, and that the rest of the settings file.

    Example: notesearch config --collection work

    Edit them: $EDITOR "$(notesearch config --path)"
    """
    from notesearch.settings import collection_names, config_file, resolve_settings

    if only_path:
        write([f"{config_file()}\n"])
        return
    settings = resolve_settings(index.collection, {"index_dir": index.index_dir} if index.index_dir else {})
    if index.collection is None:
        settings = {name: setting for name, setting in settings.items() if name not in _OF_COLLECTIONS}
    names = collection_names()
    if as_json:
        values = {
            "file": str(config_file()),
            "collection": index.collection,
            "collections": list(names),
            "settings": {name: _as_json(setting) for name, setting in settings.items()},
        }
        write_json(values, indent=2)
    else:
        show(harmless(line) for line in _lines(config_file(), names, settings))


def _lines(file: Path, collections: tuple[str, ...], settings: dict[str, Setting]) -> Iterator[str]:
    """The settings as they would stand in a file of settings."""
    yield f"# {file}{'' if file.exists() else ' (not there)'}"
    if collections:
        yield f"# collections: {', '.join(collections)}"
    for name, setting in settings.items():
        value = _plain(setting.value)
        if value in (None, [], ""):
            yield f"# {name} is not set"
        else:
            yield f"{name} = {json_text(value)}  # {_origin(file, setting)}"


def _origin(file: Path, setting: Setting) -> str:
    """Where a setting comes from, in a word or two: the file is named above."""
    return setting.place.removeprefix(str(file)).strip() or setting.source


def _as_json(setting: Setting) -> dict[str, Any]:
    return {"value": _plain(setting.value), "source": setting.source, "place": setting.place}


def _plain(value: Any) -> Any:
    """A value as TOML and JSON have it; what is not set is `None`."""
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value
