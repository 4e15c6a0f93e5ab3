"""Training an encoder on labelled texts: with a classification head, or so that texts with a common label are close."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.finetuning.trainer import Progress, TrainableEncoder, ignore

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Targets = NDArray[np.bool_]

# Rates and epochs were chosen on two collections of notes and on short questions with ten examples a label.
_EPOCHS = 4
_BATCH = 16
_LAYER_RATE, _HEAD_RATE = 2e-4, 1e-2
# Texts of like length share a batch, so that little padding is computed; sorted within blocks of so many batches, the
# batches still differ from epoch to epoch.
_BLOCK_BATCHES = 20
# Half the sum of the squared weights of a linear probe, times this, is added to its mean loss.
_PROBE_REGULARISATION = 1e-3
_PROBE_ITERATIONS = 60
_CONTRASTIVE_RATE = 1e-4
_CONTRASTIVE_EPOCHS = 3
_MOST_CONTRASTIVE_STEPS = 150
# Labels of which a contrastive batch has two texts each.
_LABELS_A_BATCH = 16
_TEMPERATURE = 0.07


def fit_classifier(
    encoder: TrainableEncoder,
    rows: Sequence[int],
    targets: Targets,
    *,
    exclusive: bool,
    epochs: int = _EPOCHS,
    progress: Progress = ignore,
) -> tuple[Vectors, Vectors]:
    """Trains the upper layers and a head on labelled texts.

    First the head alone, then all together: a head that knows nothing yet would spoil the layers ("Fine-Tuning can
    Distort Pretrained Features", Kumar et al., 2022).

    Args:
        encoder: What is trained.
        rows: Which of its texts, at least one.
        targets: bool `(len(rows), labels)`: which labels each has.
        exclusive: Whether each has exactly one: the logits are then for a softmax, else for a sigmoid each.
        epochs: How often each text is read.
        progress: Told the batches done so far, and those to do.

    Returns:
        The head's weights, float32 `(dim, labels)`, and its bias, float32 `(labels,)`: `vectors @ weights + bias` are
        the logits of texts with these vectors of length 1.
    """
    random = np.random.default_rng(encoder.seed)
    lengths = {place: encoder.lengths[row] for place, row in enumerate(rows)}
    batches = [batch for _ in range(epochs) for batch in shuffled_batches(lengths, _BATCH, random)]
    weights, bias = linear_probe(encoder.untrained[list(rows)], targets, exclusive=exclusive)

    def loss(places: list[int]) -> torch.Tensor:
        logits = encoder.vectors([rows[place] for place in places]) @ weights + bias
        return label_loss(logits, targets[places], exclusive=exclusive)

    encoder.train(batches, loss, [(encoder.parameters, _LAYER_RATE), ([weights, bias], _HEAD_RATE)], progress=progress)
    return weights.detach().numpy(), bias.detach().numpy()


def fit_contrastive(
    encoder: TrainableEncoder, rows: Sequence[int], targets: Targets, *, progress: Progress = ignore
) -> None:
    """Trains the upper layers to put texts with a label in common close together, and others apart.

    Meant for few examples, as in SetFit (Tunstall et al., 2022), with the SupCon loss over batches that have two texts
    each of some labels. Where no two texts have a label in common, nothing is trained.

    Args:
        encoder: What is trained.
        rows: Which of its texts.
        targets: bool `(len(rows), labels)`: which labels each has.
        progress: Told the batches done so far, and those to do.
    """
    random = np.random.default_rng(encoder.seed)
    steps = min(_CONTRASTIVE_EPOCHS * -(-len(rows) // (2 * _LABELS_A_BATCH)), _MOST_CONTRASTIVE_STEPS)
    batches = [pair_up(targets, _LABELS_A_BATCH, random) for _ in range(steps)]

    def loss(places: Sequence[int]) -> torch.Tensor:
        return supcon_loss(encoder.vectors([rows[place] for place in places]), targets[places])

    rates = [(encoder.parameters, _CONTRASTIVE_RATE)]
    encoder.train([batch for batch in batches if batch], loss, rates, progress=progress)


def shuffled_batches(lengths: Mapping[int, int], size: int, random: np.random.Generator) -> list[list[int]]:
    """Puts texts of similar length into batches, in random order.

    Args:
        lengths: The texts' numbers, and how many tokens each has.
        size: Texts in a batch; some may have fewer.
        random: Where the order comes from.

    Returns:
        The numbers of the texts of each batch; each number once.
    """
    order = random.permutation(list(lengths)).tolist()
    batches: list[list[int]] = []
    for start in range(0, len(order), size * _BLOCK_BATCHES):
        block = sorted(order[start : start + size * _BLOCK_BATCHES], key=lengths.__getitem__)
        batches += [block[first : first + size] for first in range(0, len(block), size)]
    return [batches[place] for place in random.permutation(len(batches))]


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


def label_loss(logits: torch.Tensor, targets: Targets, *, exclusive: bool) -> torch.Tensor:
    """The mean loss of some texts.

    Args:
        logits: float32 `(texts, labels)`.
        targets: bool `(texts, labels)`.
        exclusive: Whether each text has exactly one label.

    Returns:
        The cross-entropy of a softmax over the labels if they are exclusive, else the sum of each label's own.
    """
    import torch

    expected = torch.from_numpy(targets.astype(np.float32))
    if exclusive:
        return torch.nn.functional.cross_entropy(logits, expected)
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, expected, reduction="none")
    return losses.sum(dim=1).mean()


def linear_probe(vectors: Vectors, targets: Targets, *, exclusive: bool) -> list[torch.nn.Parameter]:
    """Fits a linear layer over vectors that stay as they are: logistic regression with L2 regularisation, by L-BFGS.

    Args:
        vectors: float32 `(texts, dim)`, of length 1.
        targets: bool `(texts, labels)`.
        exclusive: See `label_loss`.

    Returns:
        Its weights, float32 `(dim, labels)`, and its bias, float32 `(labels,)`.
    """
    import torch

    inputs = torch.from_numpy(vectors)
    having = targets.sum(axis=0)
    odds = (having + 0.5) / (len(targets) - having + 0.5)
    weights = torch.nn.Parameter(torch.zeros(vectors.shape[1], len(odds)))
    bias = torch.nn.Parameter(torch.from_numpy(np.log(odds).astype(np.float32)))
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=_PROBE_ITERATIONS, line_search_fn="strong_wolfe")

    def evaluate() -> torch.Tensor:
        optimizer.zero_grad()
        loss = label_loss(inputs @ weights + bias, targets, exclusive=exclusive)
        loss = loss + _PROBE_REGULARISATION / 2 * weights.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(evaluate)  # type: ignore[no-untyped-call]
    return [weights, bias]


def supcon_loss(vectors: torch.Tensor, targets: Targets) -> torch.Tensor:
    """The loss of "Supervised Contrastive Learning" (Khosla et al., 2020), for texts with any number of labels.

    Two texts attract each other by the part of their labels that they have in common (Jaccard).

    Args:
        vectors: float32 `(texts, dim)`, of length 1; at least two share a label.
        targets: bool `(texts, labels)`.
    """
    import torch

    itself = torch.eye(len(vectors), dtype=torch.bool)
    likelihood = (vectors @ vectors.T / _TEMPERATURE).masked_fill(itself, -torch.inf).log_softmax(dim=1)
    attraction = torch.from_numpy(_jaccard(targets)).masked_fill(itself, 0.0)
    total = attraction.sum(dim=1)
    losses = -(attraction * likelihood.masked_fill(itself, 0.0)).sum(dim=1)
    return (losses[total > 0] / total[total > 0]).mean()


def _jaccard(targets: Targets) -> Any:
    having = targets.astype(np.float32)
    common = having @ having.T
    sizes = having.sum(axis=1)
    return common / np.maximum(sizes[:, None] + sizes - common, 1)
