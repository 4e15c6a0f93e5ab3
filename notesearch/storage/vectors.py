"""How embeddings are stored in SQLite: a byte a component, and what the largest one stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST = 127


def pack(vectors: NDArray[np.float32]) -> list[bytes]:
    """Turns float32 vectors `(n, dim)` of length 1 into what is stored of each; a cosine is off by about 0.0005."""
    scales = np.maximum(np.abs(vectors).max(axis=1, initial=0), np.float32(1e-12)) / np.float32(_LARGEST)
    rows = np.empty(len(vectors), dtype=_row(vectors.shape[1]))
    rows["scale"] = scales
    rows["components"] = np.rint(vectors / scales[:, np.newaxis])
    return [row.tobytes() for row in rows]


def unpack(stored: Sequence[bytes], dim: int) -> NDArray[np.float32]:
    """Turns what `pack` made back into float32 vectors `(len(stored), dim)`."""
    rows = np.frombuffer(b"".join(stored), dtype=_row(dim))
    vectors = rows["components"].astype(np.float32)
    vectors *= rows["scale"][:, np.newaxis]
    return vectors


def _row(dim: int) -> np.dtype[np.void]:
    return np.dtype([("scale", "<f4"), ("components", "i1", (dim,))])
