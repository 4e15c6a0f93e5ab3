"""Training an encoder on queries and the passages that answer them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from notesearch.finetuning.trainer import Checkpoint, Progress, TrainableEncoder, ignore

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

# A smaller batch, at the end of an epoch, is left out: it has too few negatives to learn from.
_LEAST_BATCH = 8
# What similarities are multiplied by before the softmax, as is customary with sentence encoders.
_SCALE = 20.0
# A passage that is more similar to a query than its own passage, by more than this, may be an answer too.
_MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an encoder is trained on pairs; with the encoder, the pairs and the seed it decides which weights come out.

    Attributes:
        layers: How many of the upper layers are trained.
        tokens: The most of a text that are read.
        batch: Pairs in a batch.
        epochs: How often each pair is read.
        most_steps: Of many pairs, fewer epochs are enough; so that tuning takes minutes.
        rate: The highest learning rate.
        version: To be raised when other weights come out for a reason that is not above: another loss, say.
    """

    layers: int = 2
    tokens: int = 128
    batch: int = 64
    epochs: int = 4
    most_steps: int = 200
    rate: float = 1e-4
    version: int = 2


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a passage that answers it, with their prompts.

    Attributes:
        query: The query.
        passage: The passage.
        negative: A passage that looks like an answer but is none; empty where none is given.
        groups: What the pair is about: the passages of pairs with a common group are no negatives; such pairs are never
            in the same batch. The passage of one and the negative of another, if they are the same, must be one.
    """

    query: str
    passage: str
    negative: str
    groups: frozenset[str]


def fit_pairs(
    encoder: TrainableEncoder,
    pairs: Sequence[Pair],
    recipe: Recipe,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Progress = ignore,
) -> None:
    """Trains the upper layers to put each query close to its passage, and away from the batch's other passages.

    Args:
        encoder: What is trained; it holds the texts of the pairs.
        pairs: What to learn, in another order each epoch.
        recipe: How to train.
        checkpoint: See `TrainableEncoder.train`.
        progress: Told the batches done so far, and those to do.
    """
    random = np.random.default_rng(encoder.seed)
    batches = batches_without_duplicates(pairs, recipe.batch, random)
    for _ in range(min(recipe.epochs, recipe.most_steps // max(1, len(batches))) - 1):
        batches += batches_without_duplicates(pairs, recipe.batch, random)

    def loss(places: list[int]) -> torch.Tensor:
        batch = [pairs[place] for place in places]
        named = [place for place, pair in enumerate(batch) if pair.negative]
        queries = [encoder.rows[pair.query] for pair in batch]
        passages = [encoder.rows[text] for text in (*(p.passage for p in batch), *(batch[n].negative for n in named))]
        ignored = false_negatives(encoder.untrained[queries], encoder.untrained[passages])
        ignored[named, range(len(batch), len(passages))] = False  # named negatives are no false ones
        # Apart, since a query would be filled up to the length of the passages.
        return ranking_loss(encoder.vectors(queries), encoder.vectors(passages), ignored)

    encoder.train(batches, loss, [(encoder.parameters, recipe.rate)], checkpoint=checkpoint, progress=progress)


def batches_without_duplicates(pairs: Sequence[Pair], size: int, random: np.random.Generator) -> list[list[int]]:
    """Deals pairs out to batches, at random, so that no two pairs of a batch have a group in common.

    Args:
        pairs: The pairs.
        size: The most pairs in a batch.
        random: Where the order comes from.

    Returns:
        Places in `pairs`; those that would make too small a batch are left out.
    """
    waiting = random.permutation(len(pairs)).tolist()
    batches: list[list[int]] = []
    while waiting:
        batch: list[int] = []
        taken: set[str] = set()
        left: list[int] = []
        for place in waiting:
            groups = pairs[place].groups
            if len(batch) < size and taken.isdisjoint(groups):
                batch.append(place)
                taken |= groups
            else:
                left.append(place)
        if len(batch) < min(_LEAST_BATCH, len(pairs)):
            break
        batches.append(batch)
        waiting = left
    return batches


def false_negatives(queries: Vectors, passages: Vectors) -> NDArray[np.bool_]:
    """Finds passages that may answer a query beside its own: those that are much more similar to it.

    Guided filtering of false negatives (GISTEmbed, Solatorio, 2024), the guide being the encoder before training. With
    a margin, since most can be learnt from passages that are slightly more similar (docs/decisions/0010-tuning.md).

    Args:
        queries: The guide's vectors, float32 `(n, dim)`, of length 1.
        passages: float32 `(m, dim)`, m ≥ n; the i-th answers the i-th query.

    Returns:
        bool `(n, m)`, false on the diagonal.
    """
    similarities = queries @ passages.T
    closer: NDArray[np.bool_] = similarities > np.diagonal(similarities)[:, None] + np.float32(_MARGIN)
    return closer & ~np.eye(*similarities.shape, dtype=np.bool_)


def ranking_loss(queries: torch.Tensor, passages: torch.Tensor, ignored: NDArray[np.bool_]) -> torch.Tensor:
    """Multiple negatives ranking loss (Henderson et al., 2017): the right passage among those of the whole batch.

    In both directions: the right query among all is asked for too.

    Args:
        queries: float32 `(n, dim)`, of length 1.
        passages: float32 `(m, dim)`, m ≥ n; the i-th answers the i-th query, those from the n-th on answer none.
        ignored: bool `(n, m)`: which passages are no wrong answers to which queries.
    """
    import torch
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    def similarity(of_queries: torch.Tensor, of_passages: torch.Tensor) -> torch.Tensor:
        mask = torch.from_numpy(ignored)[:, : len(of_passages)]
        return (of_queries @ of_passages.T).masked_fill(mask, -torch.inf)

    loss = MultipleNegativesRankingLoss(
        None,  # type: ignore[arg-type]
        scale=_SCALE,
        similarity_fct=similarity,
        directions=("query_to_doc", "doc_to_query"),
        partition_mode="per_direction",
    )
    n = len(queries)
    return loss.compute_loss_from_embeddings([queries, passages[:n], passages[n:]], torch.arange(n))
