"""Training the upper layers of a bi-encoder on queries and the passages that answer them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders.checkpoint import Checkpoint
from notesearch.encoders.encoder import EncoderConfig
from notesearch.encoders.objectives import likely_answers, ranking_loss
from notesearch.encoders.trainable import TrainableEncoder
from notesearch.encoders.training import Descent, as_tokenized

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

# Raise this when a training ends in other weights than before for a reason that is not below: another loss, say.
_VERSION = 1
_BATCH = 64
# What is left over at the end of an epoch: too few wrong answers to learn from.
_LEAST_BATCH = 8
_EPOCHS = 4
# Of many pairs, fewer epochs are enough; so that tuning takes minutes.
_MOST_STEPS = 200
_RATE = 1e-4
_TRAINED_LAYERS = 2
_MAX_TOKENS = 128


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a passage that answers it.

    Attributes:
        query: Number of the query.
        passage: Number of the passage.
        negative: Number of a passage that looks like an answer and is none; `None` where nobody said.
        groups: What the pair is about: pairs with a group in common are no wrong answers to each other, and are never
            in the same batch. The passage of one and the negative of another, if they are the same, must be one.
    """

    query: int
    passage: int
    negative: int | None
    groups: frozenset[str]


def recipe() -> str:
    """What a training depends on besides the encoder, the pairs and the seed."""
    settings = (_BATCH, _LEAST_BATCH, _EPOCHS, _MOST_STEPS, _RATE, _TRAINED_LAYERS, _MAX_TOKENS)
    return repr((_VERSION, version("torch"), settings))


class PairTuning:
    """A bi-encoder to be trained on pairs, with all the queries and passages that there are to train on or to rank."""

    def __init__(
        self,
        source: Path,
        config: EncoderConfig,
        queries: Sequence[str],
        passages: Sequence[str],
        *,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Runs all texts through the lower layers.

        Args:
            source: The encoder's directory.
            config: As `read_encoder_config` gives it.
            queries: Read with the model's prompt for queries.
            passages: Read with the model's prompt for passages; what goes beyond 128 tokens is cut off here, but not by
                the model that is saved.
            seed: With the same one, the same weights come out on the same machine.
            progress: Told the texts run so far, and those to run.

        Raises:
            ModelError: The model or its tokenizer cannot be loaded.
        """
        self._seed = seed
        self._config = config
        self._queries = len(queries)
        texts = [*as_tokenized(queries, config, config.query_prompt)]
        texts += as_tokenized(passages, config, config.passage_prompt)
        self._encoder = TrainableEncoder(
            source,
            config,
            texts,
            max_tokens=min(_MAX_TOKENS, config.max_tokens),
            trained_layers=_TRAINED_LAYERS,
            seed=seed,
            progress=progress,
        )
        self._trained = self._encoder.copy_parameters()

    def fit(
        self,
        pairs: Sequence[Pair],
        *,
        epochs: int | None = None,
        checkpoint: Checkpoint | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Trains the upper layers to put each query close to its passage, and away from the batch's other passages.

        Args:
            pairs: What to learn, from the first to the last in an order of its own each epoch.
            epochs: How often each pair is read; by default 4 times, of many pairs less often.
            checkpoint: Written from time to time; where it has the state of this training, that is gone on with, and
                ends in the same weights as without the interruption.
            progress: Told the batches done so far, and those to do.
        """
        plan = self._plan(pairs, epochs)
        with self._encoder.training():
            descent = Descent(len(plan))
            descent.add(self._encoder.parameters, _RATE)
            done = _resume(descent, checkpoint)
            for step, batch in enumerate(plan[done:], start=done + 1):
                self._seed_dropout(step)
                descent.step(self._loss([pairs[place] for place in batch]))
                if checkpoint and checkpoint.due:
                    checkpoint.write(step, descent.state())
                if progress:
                    progress(step, len(plan))
            if checkpoint and done < len(plan):
                checkpoint.write(len(plan), descent.state())  # what comes after the training can be interrupted too
        self._trained = self._encoder.copy_parameters()

    def interpolate(self, share: float) -> None:
        """Puts the weights between those before training (0) and after (1); what follows uses these."""
        self._encoder.interpolate(self._trained, share)

    def embed_queries(self, numbers: Sequence[int]) -> Vectors:
        """Vectors of length 1 of some queries, float32 `(len(numbers), dim)`."""
        return self._encoder.embed(list(numbers))

    def embed_passages(self, numbers: Sequence[int]) -> Vectors:
        """Vectors of length 1 of some passages, float32 `(len(numbers), dim)`."""
        return self._encoder.embed([self._queries + number for number in numbers])

    def save(self, directory: Path) -> None:
        """Saves the encoder as a model directory.

        Args:
            directory: Where to; it is made, and all its files are for their owner only.

        Raises:
            ModelError: The directory cannot be written.
        """
        self._encoder.save(directory, self._config.max_tokens)

    def _plan(self, pairs: Sequence[Pair], epochs: int | None) -> list[list[int]]:
        """The batches of all epochs."""
        random = np.random.default_rng(self._seed)
        plan = batches_without_duplicates(pairs, _BATCH, random)
        if epochs is None:
            epochs = max(1, min(_EPOCHS, _MOST_STEPS // max(1, len(plan))))
        for _ in range(epochs - 1):
            plan += batches_without_duplicates(pairs, _BATCH, random)
        return plan

    def _loss(self, batch: Sequence[Pair]) -> torch.Tensor:
        queries = [pair.query for pair in batch]
        passages = [pair.passage for pair in batch] + [p.negative for p in batch if p.negative is not None]
        rows = [self._queries + number for number in passages]
        ignored = likely_answers(self._encoder.untrained[queries], self._encoder.untrained[rows])
        told = [place for place, pair in enumerate(batch) if pair.negative is not None]
        ignored[told, range(len(batch), len(passages))] = False  # their owner says that these are no answers
        # Apart, since a query would be filled up to the length of the passages.
        return ranking_loss(self._encoder.vectors(queries), self._encoder.vectors(rows), ignored)

    def _seed_dropout(self, step: int) -> None:
        """Makes what is random in a step depend on nothing that an interruption could change."""
        import torch

        torch.default_generator.manual_seed((self._seed * 1_000_003 + step) % 2**63)


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


def _resume(descent: Descent, checkpoint: Checkpoint | None) -> int:
    """Goes on where a checkpoint says; returns the steps done."""
    found = checkpoint.read() if checkpoint else None
    if found is None:
        return 0
    step, state = found
    descent.resume(step, state)
    return step
