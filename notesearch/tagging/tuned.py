"""Estimators that train the encoder itself: they take minutes, and are chosen only if they are clearly better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders import models
from notesearch.finetuning.classification import fit_classifier, fit_contrastive
from notesearch.finetuning.trainer import TrainableEncoder
from notesearch.tagging.estimators import Estimator, Features, Heads, Ridge, solve_ridge
from notesearch.tagging.selection import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Scores = NDArray[np.float32]

# What logits count beside the scores of least squares, which are mostly between 0 and 1.
_LOGIT_WEIGHTS = (0.01, 0.03, 0.1)
_REGULARISATION = 1 / 6
# Two do no better on notes, and take twice as long.
_TRAINED_LAYERS = 1
# More cost time and tell little.
_MOST_TOKENS = 128


class Tuning:
    """The encoder that slow estimators train, one after the other.

    Args:
        model: The encoder, as the user named it.
        features: The examples.
        seed: Of all that is random.
        progress: Told what is being done.
    """

    def __init__(self, model: str, features: Features, seed: int, progress: Progress) -> None:
        self._model = model
        self._features = features
        self._seed = seed
        self._progress = progress
        self._logits: dict[tuple[bytes, bytes], Scores] = {}

    @cached_property
    def _encoder(self) -> TrainableEncoder:
        config = models.prepare(self._model).config
        return TrainableEncoder(
            self._model,
            [config.passage_prompt + content.text for content in self._features.examples.contents],
            tokens=min(_MOST_TOKENS, config.max_tokens),
            layers=_TRAINED_LAYERS,
            seed=self._seed,
            progress=partial(self._progress, "lower layers"),
        )

    def classify(self, train: Rows, test: Rows) -> Scores:
        """Trains the encoder with a head on some examples; gives the logits of others, float32 `(len(test), labels)`.

        Results are remembered.
        """
        key = (train.tobytes(), test.tobytes())
        if key not in self._logits:
            weights, bias = self.fit(train)
            self._logits[key] = self._encoder.embed(test.tolist()) @ weights + bias
        return self._logits[key]

    def fit(self, train: Rows) -> tuple[Scores, Scores]:
        """Trains the encoder with a head; gives the head's weights `(dim, labels)` and bias `(labels,)`."""
        exclusive, progress = self._features.examples.exclusive, partial(self._progress, "fine-tuned")
        targets = self._features.targets[train]
        return fit_classifier(self._encoder, train.tolist(), targets, exclusive=exclusive, progress=progress)

    def contrast(self, train: Rows, rows: Rows) -> Scores:
        """Trains the encoder to bring examples of one label together; embeds examples, float32 `(len(rows), dim)`."""
        progress = partial(self._progress, "contrastive")
        fit_contrastive(self._encoder, train.tolist(), self._features.targets[train], progress=progress)
        return self._encoder.embed(rows.tolist())

    def save(self, directory: Path) -> None:
        """Writes the encoder as it was trained last, as a model directory."""
        self._encoder.save(directory)


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned encoder with a head, alone or beside least squares on TF-IDF and frozen embeddings.

    Attributes:
        features: The examples.
        tuning: The encoder.
        beside: Whether least squares takes part.
        logit_weight: What the head's logits count beside it.
    """

    features: Features
    tuning: Tuning
    beside: bool = False
    logit_weight: float = _LOGIT_WEIGHTS[1]
    slow = True
    uses_names = True

    @property
    def name(self) -> str:
        """See `Estimator`."""
        return "fine-tuned + tf-idf" if self.beside else "fine-tuned"

    def variants(self) -> Sequence[Estimator]:
        """See `Estimator`."""
        return [replace(self, logit_weight=weight) for weight in _LOGIT_WEIGHTS] if self.beside else (self,)

    def score(self, train: Rows, test: Rows) -> Scores:
        """See `Estimator`."""
        logits = self.tuning.classify(train, test)
        if not self.beside:
            return logits
        return Ridge(self.features).score(train, test) + np.float32(self.logit_weight) * logits

    def fit(self, train: Rows) -> Heads:
        """See `Estimator`."""
        weights, bias = self.tuning.fit(train)
        if not self.beside:
            return Heads(bias=bias, tuned=weights)
        frozen = Ridge(self.features).fit(train)
        share = np.float32(self.logit_weight)
        return replace(frozen, bias=frozen.bias + share * bias, tuned=share * weights)


@dataclass(frozen=True)
class Contrastive:
    """An encoder tuned on pairs of examples, then least squares on its embeddings (SetFit, Tunstall et al. 2022)."""

    features: Features
    tuning: Tuning
    name = "contrastive"
    slow = True
    uses_names = True

    def variants(self) -> Sequence[Estimator]:
        """See `Estimator`."""
        return (self,)

    def score(self, train: Rows, test: Rows) -> Scores:
        """See `Estimator`."""
        vectors = self.tuning.contrast(train, np.concatenate([train, test]))
        own, others = vectors[: len(train)], vectors[len(train) :]
        weights = solve_ridge(own @ own.T, self.features.targets[train], _REGULARISATION)
        return ((others @ own.T + np.float32(1)) @ weights).astype(np.float32)

    def fit(self, train: Rows) -> Heads:
        """See `Estimator`."""
        own = self.tuning.contrast(train, train)
        weights = solve_ridge(own @ own.T, self.features.targets[train], _REGULARISATION)
        return Heads(bias=weights.sum(axis=0), tuned=(own.T @ weights).astype(np.float32))


def slow_estimators(features: Features, tuning: Tuning) -> list[Estimator]:
    """The slow estimators."""
    return [
        Contrastive(features, tuning),
        FineTuned(features, tuning),
        FineTuned(features, tuning, beside=True),
    ]
