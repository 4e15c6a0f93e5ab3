"""What was learnt, as arrays: scores of notes with numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from notesearch.tagging.terms import WeighedTerms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]
    Vectors = NDArray[np.float32]

# How fast the say of a neighbour falls with its distance: by e for so much cosine.
_CLOSENESS = 0.1


@dataclass(frozen=True, slots=True)
class Heads:
    """Linear classifiers, one a label, or nearest neighbours; the parts that take part add up.

    Attributes:
        bias: float32 `(labels,)`.
        terms: Over TF-IDF, float32 `(terms, labels)`.
        vectors: Over a note's embedding, float32 `(dim, labels)`.
        tuned: Over its embedding by the fine-tuned encoder, float32 `(dim, labels)`.
        neighbours: How many of the closest examples vote; 0 for none.
    """

    bias: Scores
    terms: NDArray[np.float32] | None = None
    vectors: NDArray[np.float32] | None = None
    tuned: NDArray[np.float32] | None = None
    neighbours: int = 0


def neighbour_scores(cosines: Scores, targets: NDArray[np.bool_], count: int) -> Scores:
    """The share of each label among the closest examples, the closer ones counting more.

    Args:
        cosines: Of notes with examples, `(n, examples)`.
        targets: Of the examples, `(examples, labels)`.
        count: How many vote.

    Returns:
        float32 `(n, labels)`, from 0 to 1.
    """
    count = min(count, cosines.shape[1])
    closest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    near = np.take_along_axis(cosines, closest, axis=1)
    say = np.exp((near - near.max(axis=1, keepdims=True)) / np.float32(_CLOSENESS))
    votes: Scores = np.einsum("nk,nkl->nl", say, targets[closest].astype(np.float32), dtype=np.float32)
    votes /= say.sum(axis=1, keepdims=True)
    return votes


def term_scores(weights: NDArray[np.float32], texts: list[WeighedTerms]) -> Scores:
    """What the terms of texts say for each label, float32 `(texts, labels)`."""
    scores = np.zeros((len(texts), weights.shape[1]), dtype=np.float32)
    for row, text in enumerate(texts):
        scores[row] = text.weights @ weights[text.places]
    return scores
