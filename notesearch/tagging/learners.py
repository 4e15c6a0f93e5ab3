"""The ways to learn labels that compete, and what each has learnt in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from notesearch.tagging.heads import Heads, neighbour_scores
from notesearch.tagging.labels import Examples
from notesearch.tagging.names import name_hints
from notesearch.tagging.ridge import kernel_of, solve_ridge
from notesearch.tagging.terms import Vocabulary, count_terms, term_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Scores = NDArray[np.float32]
    Vectors = NDArray[np.float32]
    Kernel = NDArray[np.float32]

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
