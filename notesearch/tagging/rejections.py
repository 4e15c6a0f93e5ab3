"""Suggestions that the owner rejected: remembered, so that the next training learns from them too."""

from __future__ import annotations

import json
import os
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from notesearch.errors import NoteUnreadable, StoreError
from notesearch.private import make_private_folder
from notesearch.tagging.contents import ContentReader
from notesearch.tagging.labels import Labelled

_FILE = "rejected-tags.jsonl"


def remember_rejections(index_dir: Path, rejected: Mapping[str, Sequence[str]]) -> None:
    """Adds rejected tags, by the path of the note, to those remembered.

    Raises:
        StoreError: They cannot be written.
    """
    # The first line end closes what a killed process may have left half written.
    lines = ["\n", *(json.dumps({"path": path, "tags": list(tags)}) + "\n" for path, tags in rejected.items() if tags)]
    try:
        make_private_folder(index_dir)
        descriptor = os.open(index_dir / _FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - from a descriptor
            file.writelines(lines)
    except OSError as error:
        raise StoreError(
            f"cannot write {index_dir / _FILE}: {error.strerror or error}", "Is the disk full, or read-only?"
        ) from error


def read_rejections(index_dir: Path, contents: ContentReader, labelled: Container[str]) -> list[Labelled]:
    """The notes for which tags were rejected and that no label is known of, with the tags that they have.

    What a labelled note does not have, it is an example against already. A rejected suggestion makes one of a note
    that has no label: none of the tags that were suggested, or could have been, is right for it.

    Args:
        index_dir: Where they are remembered.
        contents: Reads the notes; those that are gone are left out.
        labelled: The paths of the notes that labels are known of.
    """
    paths = []
    try:
        lines = (index_dir / _FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"cannot read {index_dir / _FILE}: {error.strerror or error}") from error
    for line in lines:
        try:
            paths.append(str(json.loads(line)["path"]))
        except (ValueError, KeyError, TypeError, RecursionError):  # half a line, of a process that was killed
            continue
    found = []
    for path in dict.fromkeys(paths):
        if path in labelled:
            continue
        try:
            content = contents.file(Path(path))
        except NoteUnreadable:
            continue
        found.append(Labelled(content, content.tags))
    return found
