"""What an encoder is trained towards: right labels, or texts of one label close together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Targets = NDArray[np.bool_]

# One text of so many is held out, where that makes enough of them to tell a better epoch from a worse one.
_HELD_OUT = 10
_LEAST_HELD_OUT = 10
# How much large weights of a linear probe cost: half the sum of their squares, times this, is added to the mean loss.
_PROBE_PENALTY = 1e-3
_PROBE_ITERATIONS = 60
_TEMPERATURE = 0.07
# What cosines are multiplied by before the softmax, as is customary with sentence encoders.
_RANKING_SCALE = 20.0
# By how much a cosine with another passage must be greater for that one to be left out of the wrong answers.
_CLEARLY_CLOSER = 0.1


@dataclass(frozen=True, slots=True)
class Labelling:
    """Which labels each of some texts has.

    Attributes:
        targets: bool `(texts, labels)`.
        exclusive: Whether each text has exactly one.
    """

    targets: Targets
    exclusive: bool

    def loss(self, logits: torch.Tensor, places: Sequence[int]) -> torch.Tensor:
        """The mean loss of some of the texts.

        Args:
            logits: float32 `(len(places), labels)`.
            places: Which of the texts they are for.

        Returns:
            The cross-entropy of a softmax over the labels if they are exclusive, else the sum of each label's own.
        """
        import torch

        expected = torch.from_numpy(self.targets[list(places)].astype(np.float32))
        if self.exclusive:
            return torch.nn.functional.cross_entropy(logits, expected)
        losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, expected, reduction="none")
        return losses.sum(dim=1).mean()


def linear_probe(vectors: Vectors, labelling: Labelling, places: Sequence[int]) -> list[torch.nn.Parameter]:
    """Fits a linear layer over vectors that stay as they are: ridge-penalised logistic regression by L-BFGS.

    Args:
        vectors: float32 `(len(places), dim)`, of length 1.
        labelling: The labels.
        places: Which of the labelled texts the vectors are of.

    Returns:
        Its weights, float32 `(dim, labels)`, and its bias, float32 `(labels,)`.
    """
    import torch

    inputs = torch.from_numpy(vectors)
    having = labelling.targets[list(places)].sum(axis=0)
    odds = (having + 0.5) / (len(places) - having + 0.5)
    weights = torch.nn.Parameter(torch.zeros(vectors.shape[1], len(odds)))
    bias = torch.nn.Parameter(torch.from_numpy(np.log(odds).astype(np.float32)))
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=_PROBE_ITERATIONS, line_search_fn="strong_wolfe")

    def evaluate() -> torch.Tensor:
        optimizer.zero_grad()
        loss = labelling.loss(inputs @ weights + bias, places) + _PROBE_PENALTY / 2 * weights.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(evaluate)  # type: ignore[no-untyped-call]
    return [weights, bias]


def hold_out(targets: Targets, random: np.random.Generator) -> list[int]:
    """Chooses a tenth of the texts, spread over the labels; none where a tenth would be too few to measure by.

    Args:
        targets: bool `(texts, labels)`.
        random: What decides between texts of like labels.

    Returns:
        Places in `targets`, ascending.
    """
    having = targets.sum(axis=0)
    rarest = np.where(targets, having, len(targets) + 1).argmin(axis=1)
    grouped = np.lexsort((random.random(len(targets)), rarest))
    chosen = grouped[random.integers(_HELD_OUT) :: _HELD_OUT]
    return sorted(chosen.tolist()) if len(chosen) >= _LEAST_HELD_OUT else []


def pair_up(targets: Targets, labels: int, random: np.random.Generator) -> list[int]:
    """Chooses two texts each of some labels, at random.

    Args:
        targets: bool `(texts, labels)`.
        labels: How many labels; fewer where fewer have two texts.
        random: What chooses.

    Returns:
        Places in `targets`, without repetition, since a text may be of several of the labels.
    """
    shared = np.flatnonzero(targets.sum(axis=0) > 1)
    chosen = random.choice(shared, min(labels, len(shared)), replace=False)
    pairs = [random.choice(np.flatnonzero(targets[:, label]), 2, replace=False) for label in chosen]
    return list(dict.fromkeys(np.concatenate(pairs).tolist())) if pairs else []


def contrastive_loss(vectors: torch.Tensor, targets: Targets) -> torch.Tensor:
    """The loss of "Supervised Contrastive Learning" (Khosla et al., 2020), for texts with any number of labels.

    Two texts attract each other by the share of their labels that they have in common (Jaccard).

    Args:
        vectors: float32 `(texts, dim)`, of length 1; at least two share a label.
        targets: bool `(texts, labels)`.
    """
    import torch

    itself = torch.eye(len(vectors), dtype=torch.bool)
    closeness = (vectors @ vectors.T / _TEMPERATURE).masked_fill(itself, -torch.inf).log_softmax(dim=1)
    attraction = torch.from_numpy(_jaccard(targets)).masked_fill(itself, 0.0)
    total = attraction.sum(dim=1)
    losses = -(attraction * closeness.masked_fill(itself, 0.0)).sum(dim=1)
    return (losses[total > 0] / total[total > 0]).mean()


def likely_answers(queries: Vectors, passages: Vectors) -> Targets:
    """Passages that may answer a query though another was said to: those that are much closer to it than that one.

    Guided filtering of false negatives (GISTEmbed, Solatorio, 2024), the guide being the encoder before training. With
    a margin: what is just a little closer is what there is most to learn from (docs/decisions/0010-tuning.md).

    Args:
        queries: The guide's vectors, float32 `(n, dim)`, of length 1.
        passages: float32 `(m, dim)`, m ≥ n; the i-th answers the i-th query.

    Returns:
        bool `(n, m)`, false on the diagonal.
    """
    closeness = queries @ passages.T
    closer: Targets = closeness > np.diagonal(closeness)[:, None] + np.float32(_CLEARLY_CLOSER)
    return closer & ~np.eye(*closeness.shape, dtype=np.bool_)


def ranking_loss(queries: torch.Tensor, passages: torch.Tensor, ignored: Targets) -> torch.Tensor:
    """Multiple negatives ranking loss (Henderson et al., 2017): the right passage among those of the whole batch.

    In both directions: the right query among all is asked for too.

    Args:
        queries: float32 `(n, dim)`, of length 1.
        passages: float32 `(m, dim)`, m ≥ n; the i-th answers the i-th query, those from the n-th on answer none.
        ignored: bool `(n, m)`: which passages are no wrong answers to which queries.
    """
    import torch

    n = len(queries)
    right = torch.arange(n)
    closeness = (_RANKING_SCALE * queries @ passages.T).masked_fill(torch.from_numpy(ignored), -torch.inf)
    forth = torch.nn.functional.cross_entropy(closeness, right)
    back = torch.nn.functional.cross_entropy(closeness[:, :n].T, right)
    return (forth + back) / 2


def _jaccard(targets: Targets) -> Any:
    having = targets.astype(np.float32)
    common = having @ having.T
    sizes = having.sum(axis=1)
    return common / np.maximum(sizes[:, None] + sizes - common, 1)
