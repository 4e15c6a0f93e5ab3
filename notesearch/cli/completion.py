"""What a shell completes after an option: names of collections, tags of the index."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from notesearch.errors import NotesearchError

# Shells evaluate what completes a line, and anyone may have written a tag: only what means nothing to any of them.
_HARMLESS = re.compile(r"\w[\w/.+-]*")


def complete_collection(incomplete: str) -> list[str]:
    """The collections of the settings whose names begin like this."""
    from notesearch.settings import collection_names

    try:
        return _beginning(collection_names(), incomplete)
    except NotesearchError:  # there is no place for a message within a line that is being typed
        return []


def complete_tag(context: typer.Context, incomplete: str) -> list[str]:
    """The tags of the index, or of the collections that were named, that begin like this; frequent ones first."""
    from notesearch.settings import load_settings
    from notesearch.storage import IndexReader

    index_dir: Path | None = context.params.get("index_dir")
    named: str | list[str] = context.params.get("collection") or []  # one for some commands, several for others
    collections: list[str | None] = [named] if isinstance(named, str) else [*named] or [None]
    tags: dict[str, None] = {}
    try:
        for collection in collections:
            with IndexReader(load_settings(collection=collection, index_dir=index_dir).index_dir) as reader:
                tags |= dict.fromkeys(tag for tag, _ in reader.tag_counts())
    except NotesearchError:
        return []
    return _beginning(tags, incomplete)


def _beginning(names: dict[str, None] | tuple[str, ...], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete) and _HARMLESS.fullmatch(name)]
