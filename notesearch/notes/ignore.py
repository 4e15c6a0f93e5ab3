"""Which files and folders their owner wants left out: `.gitignore` and `.notesearchignore`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from notesearch.records import Skipped

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

# The later file of a folder overrules the earlier one.
IGNORE_FILES = (".gitignore", ".notesearchignore")


class IgnoreRules:
    """The ignore files of one folder, on top of those of the folders above it."""

    def __init__(self, folder: str, spec: GitIgnoreSpec, above: IgnoreRules | None) -> None:
        self._prefix_length = len(folder.rstrip(os.sep)) + 1
        self._spec = spec
        self._above = above

    @classmethod
    def read(cls, folder: str, above: IgnoreRules | None) -> tuple[IgnoreRules, list[Skipped]]:
        """Read the ignore files of a folder.

        Args:
            folder: A folder that has at least one.
            above: The rules in force in the folder above.

        Returns:
            The rules in force in the folder, and what could not be read.
        """
        from pathspec import GitIgnoreSpec

        lines: list[str] = []
        problems: list[Skipped] = []
        for name in IGNORE_FILES:
            path = Path(folder, name)
            try:
                found = path.read_bytes().decode("utf-8-sig", "surrogateescape").splitlines() if path.is_file() else []
            except OSError as error:
                problems.append(Skipped(str(path), (error.strerror or "cannot be read").lower()))
                continue
            for line in found:
                try:
                    GitIgnoreSpec.from_lines([line])
                except (ValueError, re.error):
                    problems.append(Skipped(str(path), f"not a valid pattern: {line}", by_rule=True))
                else:
                    lines.append(line)
        return cls(folder, GitIgnoreSpec.from_lines(lines), above), problems

    def excludes(self, path: str, is_folder: bool) -> bool:
        """Whether a file or folder below is to be left out; the closest ignore file that mentions it decides."""
        rules: IgnoreRules | None = self
        while rules is not None:
            relative = path[rules._prefix_length :].replace(os.sep, "/")
            decision = rules._spec.check_file(relative + "/" if is_folder else relative).include
            if decision is not None:
                return decision
            rules = rules._above
        return False
