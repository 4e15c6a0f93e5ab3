"""What the names of labels say about notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from notesearch.words import find_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


def name_text(label: str) -> str:
    """A label as a person would say it: `content-strategy` is "content strategy"."""
    return " ".join(label.replace("_", " ").replace("-", " ").replace("/", " ").split())


def name_hints(
    labels: Sequence[str], name_vectors: Vectors, texts: Sequence[Counter[str]], vectors: Vectors
) -> NDArray[np.float32]:
    """Holds notes against the names of labels.

    Args:
        labels: The labels.
        name_vectors: The embeddings of their names, float32 `(labels, dim)`.
        texts: The terms of each note, see `terms.count_terms`.
        vectors: The embeddings of the notes, float32 `(n, dim)`.

    Returns:
        float32 `(n, labels, 2)`: the cosine of note and name, and how often the name occurs, as ln(1 + count).
    """
    hints = np.zeros((len(texts), len(labels), 2), dtype=np.float32)
    hints[:, :, 0] = vectors @ name_vectors.T
    names = [[word for _, _, word in find_words(name_text(label))] for label in labels]
    for row, counts in enumerate(texts):
        hints[row, :, 1] = [_occurrences(name, counts) for name in names]
    hints[:, :, 1] = np.log1p(hints[:, :, 1])
    return hints


def _occurrences(words: Sequence[str], counts: Counter[str]) -> int:
    """How often a name occurs; one of more than two words as often as the rarest of these."""
    if len(words) == 2:
        return counts[" ".join(words)]
    return min((counts[word] for word in words), default=0)
