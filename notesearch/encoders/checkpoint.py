"""Training that can be gone on with after it was interrupted."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from notesearch.errors import ModelError

if TYPE_CHECKING:
    import torch

# What an interruption costs at most; writing 40 MB takes about a hundredth of it.
_SECONDS_BETWEEN = 15.0


class Checkpoint:
    """A file with the state of a training, rewritten while it runs.

    Args:
        file: Where it is; its folder is made.
        key: Says which training it is of: texts, settings and weights. That of another one is not gone on with.
    """

    def __init__(self, file: Path, key: str) -> None:
        self._file = file
        self._new = file.with_name(f"{file.name}.new")
        self._key = key
        self._last = time.monotonic()

    def read(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        """Reads the steps done and the tensors; `None` where nothing can be gone on with."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._file, framework="pt") as stored:
                about = stored.metadata() or {}
                if about.get("key") != self._key:
                    return None
                return int(about["step"]), {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, ValueError):
            return None

    @property
    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() - self._last >= _SECONDS_BETWEEN

    def write(self, step: int, tensors: dict[str, torch.Tensor]) -> None:
        """Writes the state after a step; the file is the old one or the new one, never a part.

        Raises:
            ModelError: The file cannot be written.
        """
        from safetensors.torch import save

        # Not by `save_file`: what that leaves when it is killed has a name that nobody can foretell.
        data = save(tensors, {"key": self._key, "step": str(step)})
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(self._new, self._file)  # noqa: PTH105 - says that it replaces
        except OSError as error:
            with suppress(OSError):
                self._new.unlink()
            raise ModelError(f"cannot write {self._file}: {error}", "Is the disk full?") from error
        self._last = time.monotonic()

    def remove(self) -> None:
        """Removes the file, once the training is over, and what a write that was killed has left."""
        for file in (self._new, self._file):
            file.unlink(missing_ok=True)
