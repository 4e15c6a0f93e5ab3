"""Estimators: what learns from features to score labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from notesearch.tagging.features import Vocabulary, WeighedTerms, count_terms, term_matrix
from notesearch.tagging.labels import Examples, name_hints

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float32]
    Vectors = NDArray[np.float32]
    Rows = NDArray[np.int64]
    Kernel = NDArray[np.float32]


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


# Linear classifiers by least squares, from kernels: one solve for all labels, and nothing to iterate.

# Rows of a kernel computed at once, so that no sparse product of the whole is ever in memory.
_BLOCK_ROWS = 512


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


def solve_ridge(kernel: NDArray[np.float32], targets: NDArray[np.bool_], strength: float) -> NDArray[np.float32]:
    """Fits kernel ridge regression to 0/1 targets.

    Args:
        kernel: Inner products of the examples, `(n, n)`; a constant feature of 1 is added, which is the bias.
        targets: `(n, labels)`.
        strength: How much fitting counts against small weights, > 0: the inverse of the usual λ.

    Returns:
        Dual weights, float32 `(n, labels)`: scores of new texts are `(their kernel with the examples + 1) @ weights`.
    """
    from scipy import linalg

    system = kernel + np.float32(1)
    system[np.diag_indices_from(system)] += np.float32(1 / strength)
    factor = linalg.cho_factor(system, lower=True, overwrite_a=True, check_finite=False)
    weights: NDArray[np.float32] = linalg.cho_solve(factor, targets.astype(np.float32), check_finite=False)
    return weights


# What was learnt, as arrays: scores of notes with numpy alone.

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


# The ways to learn labels that compete, and what each has learnt in the end.

_STRENGTHS = (2.0, 6.0, 20.0)
_MIXTURES = (0.1, 0.25, 0.5, 1.0)
_NEIGHBOURS = (5, 10, 20)


class Material:
    """Examples, as features.

    Attributes:
        examples: The examples.
        vectors: Their embeddings, float32 `(n, dim)`, each row of length 1.
        name_vectors: The embeddings of the labels' names, float32 `(labels, dim)`.
        hints: What the names say about the examples, see `name_hints`.
        vocabulary: The terms of all examples; it knows no labels.
    """

    def __init__(self, examples: Examples, vectors: Vectors, name_vectors: Vectors) -> None:
        self.examples = examples
        self.vectors = vectors
        self.name_vectors = name_vectors
        counts = [count_terms(content.text) for content in examples.contents]
        self.vocabulary = Vocabulary.learn(counts)
        self.hints = name_hints(examples.labels, name_vectors, counts, vectors)
        self.terms: Any = term_matrix(map(self.vocabulary.weigh, counts), len(self.vocabulary.terms))

    @property
    def targets(self) -> NDArray[np.bool_]:
        """Which example has which label, `(n, labels)`."""
        return self.examples.targets

    @cached_property
    def term_kernel(self) -> Kernel:
        """Inner products of the examples' TF-IDF weights."""
        return kernel_of(self.terms)

    @cached_property
    def vector_kernel(self) -> Kernel:
        """Cosines of the examples' embeddings."""
        return kernel_of(self.vectors)


class Learner(Protocol):
    """A way to learn labels.

    Attributes:
        slow: Whether it takes minutes.
    """

    slow: bool

    @property
    def hinted(self) -> bool:
        """Whether what the labels' names say is counted in."""
        ...

    @property
    def name(self) -> str:
        """As the table of results calls it."""
        ...

    def variants(self) -> Sequence[Learner]:
        """The settings of it to choose from."""
        ...

    def score(self, train: Rows, test: Rows) -> Scores:
        """Learns from some examples and scores others, float32 `(len(test), labels)`."""
        ...

    def learn(self, train: Rows) -> Heads:
        """Learns from some examples, for good."""
        ...


@dataclass(frozen=True)
class MostFrequent:
    """Knows nothing of a note but, where `hinted`, the names of labels in it: what any other way must beat."""

    material: Material
    hinted: bool = False
    slow = False

    @property
    def name(self) -> str:
        """See `Learner`."""
        return "names of labels" if self.hinted else "most frequent"

    def variants(self) -> Sequence[Learner]:
        """See `Learner`."""
        return (self,)

    def score(self, train: Rows, test: Rows) -> Scores:
        """See `Learner`."""
        return np.tile(self._frequencies(train), (len(test), 1))

    def learn(self, train: Rows) -> Heads:
        """See `Learner`."""
        return Heads(bias=self._frequencies(train))

    def _frequencies(self, train: Rows) -> Scores:
        frequencies: Scores = self.material.targets[train].mean(axis=0, dtype=np.float32)
        return frequencies


@dataclass(frozen=True)
class Neighbours:
    """Gives a note the labels of the notes that are closest to it."""

    material: Material
    count: int = _NEIGHBOURS[0]
    name = "neighbours"
    slow = False
    hinted = True

    def variants(self) -> Sequence[Learner]:
        """See `Learner`."""
        return [replace(self, count=count) for count in _NEIGHBOURS]

    def score(self, train: Rows, test: Rows) -> Scores:
        """See `Learner`."""
        cosines = self.material.vector_kernel[np.ix_(test, train)]
        return neighbour_scores(cosines, self.material.targets[train], self.count)

    def learn(self, train: Rows) -> Heads:
        """See `Learner`."""
        return Heads(bias=np.zeros(self.material.targets.shape[1], dtype=np.float32), neighbours=self.count)


@dataclass(frozen=True)
class Ridge:
    """Least squares on TF-IDF, on embeddings, or on both side by side.

    Attributes:
        material: The examples.
        terms: Whether TF-IDF takes part.
        mixture: How much the embeddings' kernel counts beside that of TF-IDF; 0 where they take no part.
        strength: See `solve_ridge`.
    """

    material: Material
    terms: bool = True
    mixture: float = _MIXTURES[1]
    strength: float = _STRENGTHS[1]
    slow = False
    hinted = True

    @property
    def name(self) -> str:
        """See `Learner`."""
        parts = ["tf-idf"] * self.terms + ["embeddings"] * bool(self.mixture)
        return " + ".join(parts)

    def variants(self) -> Sequence[Learner]:
        """See `Learner`."""
        mixtures = _MIXTURES if self.terms and self.mixture else (self.mixture,)
        return [replace(self, mixture=mixture, strength=strength) for mixture in mixtures for strength in _STRENGTHS]

    def score(self, train: Rows, test: Rows) -> Scores:
        """See `Learner`."""
        weights = solve_ridge(self._kernel(train, train), self.material.targets[train], self.strength)
        scores: Scores = (self._kernel(test, train) + 1) @ weights
        return scores

    def learn(self, train: Rows) -> Heads:
        """See `Learner`."""
        weights = solve_ridge(self._kernel(train, train), self.material.targets[train], self.strength)
        return Heads(
            bias=weights.sum(axis=0),
            terms=np.asarray(self.material.terms[train].T @ weights, dtype=np.float32) if self.terms else None,
            vectors=(self.mixture * self.material.vectors[train].T @ weights).astype(np.float32)
            if self.mixture
            else None,
        )

    def _kernel(self, rows: Rows, columns: Rows) -> Kernel:
        places = np.ix_(rows, columns)
        kernel = np.zeros((len(rows), len(columns)), dtype=np.float32)
        if self.terms:
            kernel += self.material.term_kernel[places]
        if self.mixture:
            kernel += np.float32(self.mixture) * self.material.vector_kernel[places]
        return kernel


def fast_learners(material: Material) -> list[Learner]:
    """The ways that take seconds, the simplest first."""
    return [
        MostFrequent(material),
        MostFrequent(material, hinted=True),
        Neighbours(material),
        Ridge(material, mixture=0.0),
        Ridge(material, terms=False, mixture=1.0),
        Ridge(material),
    ]
