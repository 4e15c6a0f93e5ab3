"""Training a bi-encoder on its owner's pairs, and choosing how much of it to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders import EncoderConfig
from notesearch.encoders.checkpoint import Checkpoint
from notesearch.encoders.pair_tuning import Pair, PairTuning
from notesearch.evaluation.collections import GeneralSet
from notesearch.library.evaluate import Progress
from notesearch.tuning.material import Material
from notesearch.tuning.validation import ndcg_of_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

# Parts of the way from the weights as they were to those after training.
SHARES = (0.33, 0.67, 1.0)
# What tuning may cost on the general set, in nDCG@10: about what one query in a hundred is worth.
GENERAL_LOSS = 0.005


@dataclass(frozen=True, slots=True)
class ShareQuality:
    """How good the vectors are with a share of the training.

    Attributes:
        share: 0 for the encoder as it was, 1 for as it was trained.
        own: nDCG@10 on the notes kept for this choice, by vectors alone.
        general: nDCG@10 on one half of the general set.
    """

    share: float
    own: float
    general: float


class Trainer:
    """A bi-encoder with the texts that it learns from and is validated on.

    Args:
        source: The encoder's directory.
        config: How it is used.
        material: What to learn from, and known items to validate on.
        general: The general set; its even queries are used.
        seed: Of all that is random.
        progress: Told what is being done.
    """

    def __init__(
        self,
        source: Path,
        config: EncoderConfig,
        material: Material,
        general: GeneralSet,
        *,
        seed: int,
        progress: Progress,
    ) -> None:
        self._material = material
        self._general = general
        self._progress = progress
        queries, passages = _Numbers(), _Numbers()
        self._pairs = [
            Pair(
                queries.of(pair.query),
                passages.of(pair.passage),
                passages.of(pair.negative) if pair.negative else None,
                pair.groups,
            )
            for pair in material.pairs
        ]
        self._asked = [queries.of(item.query) for item in material.validation]
        self._rivals = [passages.of(material.answers.to(item)) for item in material.rivals]
        self._general_asked = [queries.of(text) for text in general.queries[::2]]
        self._general_answers = [passages.of(text) for text in general.passages]
        self._tuning = PairTuning(
            source,
            config,
            queries.texts,
            passages.texts,
            seed=seed,
            progress=lambda done, total: progress("lower layers", done, total),
        )

    def fit(self, checkpoint: Checkpoint) -> None:
        """Trains the encoder; an interrupted training is gone on with."""
        self._tuning.fit(
            self._pairs, checkpoint=checkpoint, progress=lambda done, total: self._progress("training", done, total)
        )

    def qualities(self) -> list[ShareQuality]:
        """How good the encoder is as it was, and with each share of the training."""
        found = []
        for done, share in enumerate((0.0, *SHARES), start=1):
            self._tuning.interpolate(share)
            found.append(ShareQuality(share, float(self._own().mean()), float(self._general_quality().mean())))
            self._progress("choosing the strength", done, 1 + len(SHARES))
        return found

    def save(self, share: float, directory: Path) -> None:
        """Saves the encoder with a share of the training, as a model directory.

        Raises:
            ModelError: It cannot be written.
        """
        self._tuning.interpolate(share)
        self._tuning.save(directory)

    def _own(self) -> Values:
        return ndcg_of_vectors(
            self._tuning.embed_queries(self._asked),
            self._tuning.embed_passages(self._rivals),
            [item.target for item in self._material.rivals],
            [frozenset((item.target,)) for item in self._material.validation],
        )

    def _general_quality(self) -> Values:
        return ndcg_of_vectors(
            self._tuning.embed_queries(self._general_asked),
            self._tuning.embed_passages(self._general_answers),
            range(len(self._general_answers)),
            self._general.relevant[::2],
        )


def choose_share(qualities: Sequence[ShareQuality]) -> float:
    """The share that is best on the notes, of those that lose nothing on the general set; 0 where none is better.

    Args:
        qualities: As `Trainer.qualities` gives them, the encoder as it was first.
    """
    before = qualities[0]
    allowed = [quality for quality in qualities if quality.general >= before.general - GENERAL_LOSS]
    return max(allowed, key=lambda quality: (quality.own, -quality.share)).share


class _Numbers:
    """Gives each text a number, the same one wherever it is met again."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def texts(self) -> list[str]:
        return list(self._numbers)
