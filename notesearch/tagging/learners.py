"""The estimators that model selection chooses among."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from notesearch.tagging.heads import Heads, neighbour_scores
from notesearch.tagging.labels import Examples
from notesearch.tagging.names import name_features
from notesearch.tagging.ridge import kernel_of, solve_ridge
from notesearch.tagging.terms import Vocabulary, count_terms, term_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Scores = NDArray[np.float32]
    Vectors = NDArray[np.float32]
    Kernel = NDArray[np.float32]

_REGULARISATIONS = (1 / 2, 1 / 6, 1 / 20)
_VECTOR_WEIGHTS = (0.1, 0.25, 0.5, 1.0)
_NEIGHBOURS = (5, 10, 20)


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
    """The baseline: it knows nothing of a note but, where `uses_names`, the names of labels in it."""

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
        share = np.float32(self.vector_weight)
        return Heads(
            bias=weights.sum(axis=0),
            terms=np.asarray(features.terms[train].T @ weights, dtype=np.float32) if self.terms else None,
            vectors=share * features.vectors[train].T @ weights if share else None,
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
    """Those that take seconds, the simplest first."""
    return [
        MostFrequent(features),
        MostFrequent(features, uses_names=True),
        Neighbours(features),
        Ridge(features, vector_weight=0.0),
        Ridge(features, terms=False, vector_weight=1.0),
        Ridge(features),
    ]
