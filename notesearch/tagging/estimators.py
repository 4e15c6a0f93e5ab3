"""Estimators, which are fitted to features of labelled notes and score labels; and the weights that they give.

On notes, least squares on 0/1 targets with TF-IDF and embeddings side by side ranks labels better than logistic
regression and takes a fiftieth of its time (docs/decisions/0007-tagging.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from notesearch.tagging.features import Vocabulary, WeighedTerms, count_terms, term_matrix
from notesearch.tagging.labels import Examples, name_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]
    Rows = NDArray[np.int64]
    Vectors = NDArray[np.float32]
    Kernel = NDArray[np.float32]

_REGULARISATIONS = (1 / 2, 1 / 6, 1 / 20)
_VECTOR_WEIGHTS = (0.1, 0.25, 0.5, 1.0)
_NEIGHBOURS = (5, 10, 20)
# A neighbour's vote shrinks by a factor of e for each 0.1 that its cosine is below that of the nearest.
_TEMPERATURE = 0.1
# Rows of a kernel computed at once, so that the sparse product of all rows is never in memory.
_BLOCK_ROWS = 512


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Holds the BLAS of numpy and scipy to one thread.

    Beside other busy processes, their threads wait for each other ten times as long as they compute.
    """
    # The limit holds for libraries that are loaded by now; scipy has a BLAS of its own.
    import scipy.linalg
    import scipy.optimize  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def kernel_of(matrix: Any) -> NDArray[np.float32]:
    """The inner products of the rows of a matrix (dense, or scipy CSR) with each other, float32 `(n, n)`."""
    if isinstance(matrix, np.ndarray):
        dense: NDArray[np.float32] = matrix @ matrix.T
        return dense
    kernel = np.empty((matrix.shape[0], matrix.shape[0]), dtype=np.float32)
    transposed = matrix.T.tocsc()
    for first in range(0, len(kernel), _BLOCK_ROWS):
        kernel[first : first + _BLOCK_ROWS] = (matrix[first : first + _BLOCK_ROWS] @ transposed).toarray()
    return kernel


def solve_ridge(kernel: NDArray[np.float32], targets: NDArray[np.bool_], regularisation: float) -> NDArray[np.float32]:
    """Fits kernel ridge regression to 0/1 targets.

    Args:
        kernel: Inner products of the examples, `(n, n)`; a constant feature of 1, the bias, is added.
        targets: `(n, labels)`.
        regularisation: The usual λ, > 0.

    Returns:
        Dual weights, float32 `(n, labels)`: scores of new texts are `(their kernel with the examples + 1) @ weights`.
    """
    from scipy import linalg

    system = kernel + np.float32(1)
    system[np.diag_indices_from(system)] += np.float32(regularisation)
    factor = linalg.cho_factor(system, lower=True, overwrite_a=True, check_finite=False)
    weights: NDArray[np.float32] = linalg.cho_solve(factor, targets.astype(np.float32), check_finite=False)
    return weights


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


class Features:
    """The features of examples.

    Attributes:
        examples: The examples.
        targets: Which example has which label, `(n, labels)`.
        vectors: Their embeddings, float32 `(n, dim)`, each row of length 1.
        name_vectors: The embeddings of the labels' names, float32 `(labels, dim)`.
        names: See `name_features`.
        vocabulary: The terms of all examples; it knows nothing of labels.
        terms: Their TF-IDF weights, a scipy CSR matrix.
    """

    def __init__(self, examples: Examples, vectors: Vectors, name_vectors: Vectors) -> None:
        self.examples = examples
        self.targets = examples.targets
        self.vectors = vectors
        self.name_vectors = name_vectors
        counts = [count_terms(content.text) for content in examples.contents]
        self.vocabulary = Vocabulary.of(counts)
        self.names = name_features(examples.labels, name_vectors, counts, vectors)
        self.terms: Any = term_matrix(map(self.vocabulary.weigh, counts), len(self.vocabulary.terms))

    @cached_property
    def term_kernel(self) -> Kernel:
        """Inner products of the examples' TF-IDF weights."""
        return kernel_of(self.terms)

    @cached_property
    def vector_kernel(self) -> Kernel:
        """Cosines of the examples' embeddings."""
        return kernel_of(self.vectors)


class Estimator(Protocol):
    """A method that assigns labels, with its hyperparameters."""

    @property
    def name(self) -> str:
        """The method, as reports call it; variants share it."""
        ...

    @property
    def slow(self) -> bool:
        """Whether it takes minutes."""
        ...

    @property
    def uses_names(self) -> bool:
        """Whether calibration takes what the labels' names say into account."""
        ...

    def variants(self) -> Sequence[Estimator]:
        """The same method with each setting of its hyperparameters to choose from."""
        ...

    def score(self, train: Rows, test: Rows) -> Scores:
        """Fits to some examples and scores others, float32 `(len(test), labels)`."""
        ...

    def fit(self, train: Rows) -> Heads:
        """Fits to some examples."""
        ...


@dataclass(frozen=True)
class MostFrequent:
    """The baseline: it sees nothing of a note except, with `uses_names`, the names of labels in it."""

    features: Features
    uses_names: bool = False
    slow = False

    @property
    def name(self) -> str:
        """See `Estimator`."""
        return "names of labels" if self.uses_names else "most frequent"

    def variants(self) -> Sequence[Estimator]:
        """See `Estimator`."""
        return (self,)

    def score(self, train: Rows, test: Rows) -> Scores:
        """See `Estimator`."""
        return np.tile(self.fit(train).bias, (len(test), 1))

    def fit(self, train: Rows) -> Heads:
        """See `Estimator`."""
        return Heads(bias=self.features.targets[train].mean(axis=0, dtype=np.float32))


@dataclass(frozen=True)
class Neighbours:
    """Gives a note the labels of the notes that are most similar to it."""

    features: Features
    count: int = _NEIGHBOURS[0]
    name = "neighbours"
    slow = False
    uses_names = True

    def variants(self) -> Sequence[Estimator]:
        """See `Estimator`."""
        return [replace(self, count=count) for count in _NEIGHBOURS]

    def score(self, train: Rows, test: Rows) -> Scores:
        """See `Estimator`."""
        cosines = self.features.vector_kernel[np.ix_(test, train)]
        return neighbour_scores(cosines, self.features.targets[train], self.count)

    def fit(self, train: Rows) -> Heads:
        """See `Estimator`."""
        return Heads(bias=np.zeros(self.features.targets.shape[1], dtype=np.float32), neighbours=self.count)


@dataclass(frozen=True)
class Ridge:
    """Ridge regression on TF-IDF, on embeddings, or on both side by side.

    Attributes:
        features: Of the examples.
        terms: Whether TF-IDF takes part.
        vector_weight: The weight of the embeddings' kernel beside that of TF-IDF; 0 where embeddings take no part.
        regularisation: See `solve_ridge`.
    """

    features: Features
    terms: bool = True
    vector_weight: float = _VECTOR_WEIGHTS[1]
    regularisation: float = _REGULARISATIONS[1]
    slow = False
    uses_names = True

    @property
    def name(self) -> str:
        """See `Estimator`."""
        return " + ".join(["tf-idf"] * self.terms + ["embeddings"] * bool(self.vector_weight))

    def variants(self) -> Sequence[Estimator]:
        """See `Estimator`."""
        weights = _VECTOR_WEIGHTS if self.terms and self.vector_weight else (self.vector_weight,)
        return [
            replace(self, vector_weight=weight, regularisation=regularisation)
            for weight in weights
            for regularisation in _REGULARISATIONS
        ]

    def score(self, train: Rows, test: Rows) -> Scores:
        """See `Estimator`."""
        scores: Scores = (self._kernel(test, train) + 1) @ self._solve(train)
        return scores

    def fit(self, train: Rows) -> Heads:
        """See `Estimator`."""
        weights, features = self._solve(train), self.features
        share = self.vector_weight
        return Heads(
            bias=weights.sum(axis=0),
            terms=np.asarray(features.terms[train].T @ weights, dtype=np.float32) if self.terms else None,
            vectors=(share * features.vectors[train].T @ weights).astype(np.float32) if share else None,
        )

    def _solve(self, train: Rows) -> NDArray[np.float32]:
        return solve_ridge(self._kernel(train, train), self.features.targets[train], self.regularisation)

    def _kernel(self, rows: Rows, columns: Rows) -> Kernel:
        places = np.ix_(rows, columns)
        kernel = np.zeros((len(rows), len(columns)), dtype=np.float32)
        if self.terms:
            kernel += self.features.term_kernel[places]
        if self.vector_weight:
            kernel += np.float32(self.vector_weight) * self.features.vector_kernel[places]
        return kernel


def fast_estimators(features: Features) -> list[Estimator]:
    """The fast estimators, the simplest first."""
    return [
        MostFrequent(features),
        MostFrequent(features, uses_names=True),
        Neighbours(features),
        Ridge(features, vector_weight=0.0),
        Ridge(features, terms=False, vector_weight=1.0),
        Ridge(features),
    ]
