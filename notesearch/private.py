"""Folders that are for their owner only."""

from __future__ import annotations

from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Makes a folder for its owner only, whatever the umask, and likewise the folders above it that are missing.

    Raises:
        OSError: It cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)
