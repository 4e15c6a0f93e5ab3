"""How well vectors alone rank: what the strength of tuning is chosen by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Values = NDArray[np.float64]

_DEPTH = 10


def ndcg_of_vectors(
    queries: Vectors, passages: Vectors, documents: Sequence[int], relevant: Sequence[frozenset[int]]
) -> Values:
    """nDCG@10 of ranking documents by their passage closest to each query.

    Args:
        queries: float32 `(n, dim)`, of length 1.
        passages: float32 `(m, dim)`, of length 1.
        documents: The number of the document that each passage is of.
        relevant: The documents that answer each query; not empty.

    Returns:
        float64 `(n,)`.
    """
    order = np.argsort(np.asarray(documents), kind="stable")
    numbers, firsts = np.unique(np.asarray(documents)[order], return_index=True)
    closeness = np.maximum.reduceat((queries @ passages.T)[:, order], firsts, axis=1)
    best = np.argsort(-closeness, axis=1, kind="stable")[:, :_DEPTH]
    discounts = 1 / np.log2(np.arange(_DEPTH) + 2)
    values = np.zeros(len(queries))
    for row, wanted in enumerate(relevant):
        found = [number in wanted for number in numbers[best[row]].tolist()]
        values[row] = discounts[: len(found)] @ np.array(found, dtype=np.float64) / discounts[: len(wanted)].sum()
    return values
