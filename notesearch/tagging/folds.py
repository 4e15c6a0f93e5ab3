"""Folds in which each label has its share of examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def assign_folds(targets: NDArray[np.bool_], count: int, seed: int) -> NDArray[np.int64]:
    """Assigns examples to folds, those of the rarest label first (iterative stratification, Sechidis et al. 2011).

    Args:
        targets: `(n, labels)`.
        count: Folds, ≥ 1.
        seed: The same seed gives the same folds.

    Returns:
        The fold of each example, int64 `(n,)`, from 0.
    """
    generator = np.random.default_rng(seed)
    folds = np.full(len(targets), -1, dtype=np.int64)
    # One more label that all examples have, and that is the last, is for those that have no other.
    labels = np.column_stack([targets, np.ones(len(targets), dtype=bool)])
    held = np.zeros((count, labels.shape[1]), dtype=np.int64)
    for label in np.argsort(labels.sum(axis=0), kind="stable"):
        for row in generator.permutation(np.flatnonzero(labels[:, label] & (folds < 0))):
            # The fold that has the fewest of this label; among these the smallest; among these any.
            folds[row] = np.lexsort((generator.random(count), held[:, -1], held[:, label]))[0]
            held[folds[row]] += labels[row]
    return folds
