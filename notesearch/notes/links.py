"""Which note a link leads to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from notesearch.file_kinds import NOTE_SUFFIXES
from notesearch.records import LinkKind
from notesearch.words import key_of, spelled


class LinkResolver:
    """Finds the notes that links lead to, among those there are.

    Args:
        paths: Absolute paths of the notes.
        ids: The ids by which links may call them.
    """

    def __init__(self, paths: Iterable[Path], ids: Mapping[str, Path] = MappingProxyType({})) -> None:
        self._paths = {spelled(str(path)): path for path in paths}
        self._ids = ids
        self._by_name: dict[str, list[Path]] = {}
        for path in sorted(self._paths.values(), key=lambda path: (len(path.parts), path)):
            self._by_name.setdefault(_name(path.name), []).append(path)

    def resolve(self, source: Path, target: str, kind: LinkKind) -> Path | None:
        """Finds the note that a link leads to.

        Args:
            source: Absolute path of the note that the link is in.
            target: See `Link`.
            kind: See `Link`.

        Returns:
            A path, or `None` where the link leads to no note. Where several notes have a wikilink's name, it is the one
            beside the source, else the one that is least deep in folders, as in Obsidian.
        """
        if kind == "id":
            return self._ids.get(target)
        if kind == "relative":
            return self._paths.get(spelled(os.path.normpath(source.parent / target)))
        *folders, name = PurePosixPath(target).parts or ("",)
        named = [path for path in self._by_name.get(_name(name), ()) if _is_below(path, folders)]
        beside = [path for path in named if path.parent == source.parent]
        return next(iter([*beside, *named]), None)


def _name(file_name: str) -> str:
    """A note's name as wikilinks give it: in any case, with or without the suffix."""
    lowered = key_of(file_name)
    suffix = next((suffix for suffix in NOTE_SUFFIXES if lowered.endswith(suffix)), "")
    return lowered.removesuffix(suffix)


def _is_below(path: Path, folders: list[str]) -> bool:
    """Whether a note's folders end as a wikilink says."""
    wanted = [key_of(folder) for folder in folders if folder not in (".", "..", "/")]
    found = [key_of(folder) for folder in path.parent.parts]
    return not wanted or found[-len(wanted) :] == wanted
