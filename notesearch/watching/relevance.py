"""Which of the changes below watched folders may change the index: most of what a system tells of does not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from notesearch.notes import READ_SUFFIXES
from notesearch.notes.ignore import IGNORE_FILES, IgnoreRules

_MOST_FOLDERS_KEPT = 20_000


class Relevance:
    """Tells changes of notes from others by names and ignore files alone, as a walk through the folders would.

    It may take for relevant what is not, never the other way round.

    Args:
        folders: The watched folders.
        index_dir: The directory of the index, which changes with every run, and may lie in a watched folder.
    """

    def __init__(self, folders: Sequence[Path], index_dir: Path) -> None:
        self._folders = sorted(map(str, folders), key=len, reverse=True)
        self._index_dir = os.path.realpath(index_dir)
        # The rules in force in each folder; False for one that is left out.
        self._rules: dict[str, IgnoreRules | bool | None] = {}

    def forget_rules(self) -> None:
        """Reads ignore files anew from now on."""
        self._rules.clear()

    def folder_of(self, path: str) -> Path | None:
        """The watched folder in which a change at a path matters; `None` where it does not matter."""
        root = next((folder for folder in self._folders if _is_below(path, folder)), None)
        if root is None or _is_below(path, self._index_dir):
            return None
        if path == root:
            return Path(root)
        folder, name = os.path.split(path)
        if f"{os.sep}." in folder[len(root.rstrip(os.sep)) :]:
            return None
        if name in IGNORE_FILES:
            self.forget_rules()
            return Path(root)
        # What is gone may have been a folder.
        is_folder = os.path.isdir(path)  # noqa: PTH112 - for each of thousands of changes
        may_matter = name.lower().endswith(READ_SUFFIXES) or is_folder or not os.path.lexists(path)
        if name.startswith(".") or not may_matter:
            return None
        rules = self._rules_in(folder, root)
        if rules is False or (isinstance(rules, IgnoreRules) and rules.excludes(path, is_folder)):
            return None
        return Path(root)

    def _rules_in(self, folder: str, root: str) -> IgnoreRules | bool | None:
        unknown = []
        while folder not in self._rules and folder != root:
            unknown.append(folder)
            folder = os.path.dirname(folder)  # noqa: PTH120
        if folder not in self._rules:
            self._rules[folder] = _rules_below(None, folder)
        rules = self._rules[folder]
        for below in reversed(unknown):
            rules = self._rules[below] = _rules_below(rules, below)
        if len(self._rules) > _MOST_FOLDERS_KEPT:
            self.forget_rules()
        return rules


def _rules_below(above: IgnoreRules | bool | None, folder: str) -> IgnoreRules | bool | None:
    """The rules in force in a folder, from those of the folder above it."""
    if above is False or (isinstance(above, IgnoreRules) and above.excludes(folder, True)):
        return False
    if any(os.path.isfile(os.path.join(folder, name)) for name in IGNORE_FILES):  # noqa: PTH113, PTH118
        return IgnoreRules.read(folder, above if isinstance(above, IgnoreRules) else None)[0]
    return above


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
