"""The trained weights, which score notes with numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from notesearch.tagging.terms import WeighedTerms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]

# A neighbour's vote shrinks by a factor of e for each 0.1 that its cosine is below that of the nearest.
_TEMPERATURE = 0.1


@dataclass(frozen=True, slots=True)
class Heads:
    """Linear classifiers, one a label, whose parts add up; or the number of nearest neighbours that vote.

    Attributes:
        bias: float32 `(labels,)`.
        terms: Weights of TF-IDF, float32 `(terms, labels)`.
        vectors: Weights of a note's embedding, float32 `(dim, labels)`.
        tuned: Weights of its embedding by the fine-tuned encoder, float32 `(dim, labels)`.
        neighbours: How many of the nearest examples vote; 0 for a linear classifier.
    """

    bias: Scores
    terms: NDArray[np.float32] | None = None
    vectors: NDArray[np.float32] | None = None
    tuned: NDArray[np.float32] | None = None
    neighbours: int = 0


def neighbour_scores(cosines: Scores, targets: NDArray[np.bool_], count: int) -> Scores:
    """The share of each label among the nearest examples, weighted by a softmax of their cosines.

    Args:
        cosines: Of notes with examples, `(n, examples)`.
        targets: Of the examples, `(examples, labels)`.
        count: How many vote.

    Returns:
        float32 `(n, labels)`, from 0 to 1.
    """
    count = min(count, cosines.shape[1])
    nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    near = np.take_along_axis(cosines, nearest, axis=1)
    weights = np.exp((near - near.max(axis=1, keepdims=True)) / np.float32(_TEMPERATURE))
    votes: Scores = np.einsum("nk,nkl->nl", weights, targets[nearest].astype(np.float32), dtype=np.float32)
    votes /= weights.sum(axis=1, keepdims=True)
    return votes


def term_scores(weights: NDArray[np.float32], texts: Sequence[WeighedTerms]) -> Scores:
    """What the terms of texts add to the score of each label, float32 `(texts, labels)`."""
    scores = np.zeros((len(texts), weights.shape[1]), dtype=np.float32)
    for row, text in enumerate(texts):
        scores[row] = text.weights @ weights[text.places]
    return scores
