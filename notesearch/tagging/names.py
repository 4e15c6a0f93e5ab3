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


def name_features(
    labels: Sequence[str], name_vectors: Vectors, texts: Sequence[Counter[str]], vectors: Vectors
) -> NDArray[np.float32]:
    """Compares notes with the names of labels.

    Args:
        labels: The labels.
        name_vectors: The embeddings of their names, float32 `(labels, dim)`.
        texts: The terms of each note, see `count_terms`.
        vectors: The embeddings of the notes, float32 `(n, dim)`.

    Returns:
        float32 `(n, labels, 2)`: the cosine of note and name, and ln(1 + occurrences of the name). A name of more than
        two words occurs as often as the rarest of them.
    """
    features = np.zeros((len(texts), len(labels), 2), dtype=np.float32)
    features[:, :, 0] = vectors @ name_vectors.T
    names = [[word for _, _, word in find_words(name_text(label))] for label in labels]
    terms = [[" ".join(words)] if len(words) == 2 else words for words in names]
    for row, counts in enumerate(texts):
        features[row, :, 1] = [min((counts[term] for term in own), default=0) for own in terms]
    features[:, :, 1] = np.log1p(features[:, :, 1])
    return features
