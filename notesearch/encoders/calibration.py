"""Probe texts that tell what the scores of a model mean.

Models differ in this: two texts that have nothing to do with each other have a cosine of about 0 with one model and of
0.7 with another. A few pairs of a query and its answer put them on one scale, so that what is made of a score (the
weight of the words against the meaning, say) holds for any model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders.token_codes import expand, max_similarities

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROBES = (
    (
        "how to trade off consistency and availability in a distributed database",
        "When the network splits, a replicated store must either refuse some requests or let its replicas disagree.",
    ),
    (
        "bread recipe without kneading",
        "Mix the flour, salt and water, let it rest overnight, then fold the dough and bake it in a hot pot.",
    ),
    ("average of a list in python", "def mean(values: list[float]) -> float:\n    return sum(values) / len(values)"),
    (
        "train along the river with children",
        "In the morning we took the train to the coast; the kids looked at the boats until they fell asleep.",
    ),
    ("find duplicate rows in sql", "SELECT name, count(*) FROM customers GROUP BY name HAVING count(*) > 1;"),
    (
        "why can't I sleep at night",
        "Insomnia often comes from worry, late coffee and bright screens in the evening.",
    ),
    (
        "team meeting decisions about the release date",
        "We agreed to ship the new version on Monday; Anna writes the announcement.",
    ),
    (
        "what the buddha said about suffering",
        "The four noble truths: there is suffering, it has a cause, it can end, and there is a path.",
    ),
)


@dataclass(frozen=True, slots=True)
class ScoreScale:
    """What the scores of a model mean, be they cosines or those of late interaction.

    Attributes:
        unrelated: Mean score of a query and a passage that have nothing to do with each other.
        related: Mean score of a query and a passage that answers it.
    """

    unrelated: float
    related: float

    def similarity(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores on a scale where 0 is unrelated and 1 is an answer, for any model."""
        return (scores - np.float32(self.unrelated)) / np.float32(self.spread)

    @property
    def spread(self) -> float:
        """How far the scores of an answer are above those of unrelated passages."""
        return max(self.related - self.unrelated, 1e-3)


def measure_late_scale(queries: Sequence[NDArray[np.float32]], codes: Sequence[bytes], bits: int) -> ScoreScale:
    """Measures the scale of late interaction by the probes.

    Args:
        queries: The word vectors of each probe's query, float32 `(words, bits)`.
        codes: The token codes of each probe's passage.
        bits: Bits of a code.
    """
    passages = [expand(own, bits) for own in codes]
    every_code, lengths = np.concatenate(passages), [len(own) for own in passages]
    return measure_scale(np.stack([max_similarities(query, every_code, lengths).mean(axis=1) for query in queries]))


def measure_scale(scores: NDArray[np.float32]) -> ScoreScale:
    """Measures the scale by the scores of each probe's query (rows) with each probe's passage (columns)."""
    count = len(scores)
    related = float(np.trace(scores)) / count
    unrelated = (float(scores.sum()) - float(np.trace(scores))) / (count * (count - 1))
    return ScoreScale(unrelated, related)
