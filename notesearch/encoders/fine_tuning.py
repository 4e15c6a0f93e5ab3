"""Training the upper layers of an encoder on labelled texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders.encoder import EncoderConfig
from notesearch.encoders.objectives import Labelling, contrastive_loss, hold_out, linear_probe, pair_up
from notesearch.encoders.trainable import TrainableEncoder, copies, restore
from notesearch.encoders.training import Descent, as_tokenized, shuffled_batches

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Targets = NDArray[np.bool_]

Progress = Callable[[int, int], None]

# Rates and epochs were chosen on two collections of notes and on short questions with ten examples a label.
_EPOCHS = 4
_BATCH = 16
_LAYER_RATE = 2e-4
_HEAD_RATE = 1e-2
# Epochs without a smaller loss on the texts held out, after which training ends.
_PATIENCE = 2
_CONTRASTIVE_RATE = 1e-4
_CONTRASTIVE_EPOCHS = 3
_MOST_CONTRASTIVE_STEPS = 150
# Labels of which a contrastive batch has two texts each.
_LABELS_A_BATCH = 16


@dataclass(frozen=True, slots=True)
class Head:
    """A linear layer over an encoder's vectors of length 1: `vectors @ weights + bias` are the texts' logits.

    Attributes:
        weights: float32 `(dim, labels)`.
        bias: float32 `(labels,)`.
    """

    weights: Vectors
    bias: Vectors


class FineTuning:
    """An encoder whose upper layers are trained on some of its texts; each fit starts again from the same weights.

    A fit that is interrupted leaves the weights half trained, which the next one does not mind.

    Attributes:
        untrained: float32 `(texts, dim)`: the texts' vectors of length 1 before any training.
    """

    def __init__(
        self,
        source: Path,
        config: EncoderConfig,
        texts: Sequence[str],
        *,
        max_tokens: int = 128,
        trained_layers: int = 2,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        """Runs the texts through the lower layers.

        Args:
            source: The encoder's directory.
            config: As `read_encoder_config` gives it.
            texts: What to train on, and whatever else is to be embedded; read as passages.
            max_tokens: What goes beyond this is cut off, special tokens included; here, and by the model that is saved.
            trained_layers: How many of the upper layers are trained, at least 1.
            seed: With the same one, the same weights come out on the same machine.
            progress: Told the texts run so far, and those to run.

        Raises:
            ModelError: The model or its tokenizer cannot be loaded.
        """
        self._seed = seed
        self._max_tokens = min(max_tokens, config.max_tokens)
        self._encoder = TrainableEncoder(
            source,
            config,
            as_tokenized(texts, config, config.passage_prompt),
            max_tokens=self._max_tokens,
            trained_layers=trained_layers,
            seed=seed,
            progress=progress,
        )
        self.untrained = self._encoder.untrained

    def fit_classifier(
        self,
        rows: Sequence[int],
        targets: Targets,
        *,
        exclusive: bool,
        epochs: int = _EPOCHS,
        progress: Progress | None = None,
    ) -> Head:
        """Trains the upper layers and a head on labelled texts.

        First the head alone, then all together: a head that knows nothing yet would spoil the layers ("Fine-Tuning can
        Distort Pretrained Features", Kumar et al., 2022). A tenth of the texts is held out, of a hundred or more, and
        the weights kept are those of the epoch that was best on it; else those of the last epoch.

        Args:
            rows: Which of the texts, at least one.
            targets: bool `(len(rows), labels)`: which labels each has.
            exclusive: Whether each has exactly one: the logits are then for a softmax, else for a sigmoid each.
            epochs: How often each text is read at most.
            progress: Told the batches done so far, and the most there may be.
        """
        random = np.random.default_rng(self._seed)
        held_out = hold_out(targets, random)
        trained = sorted(set(range(len(rows))) - set(held_out))
        labelling = Labelling(targets, exclusive)
        lengths = {place: self._encoder.lengths[rows[place]] for place in trained}
        plan = [shuffled_batches(lengths, _BATCH, random) for _ in range(epochs)]
        with self._encoder.training():
            head = linear_probe(self.untrained[[rows[place] for place in trained]], labelling, trained)
            parameters = [*self._encoder.parameters, *head]
            best, best_epoch, kept = np.inf, 0, copies(parameters)
            for epoch in self._epochs(rows, labelling, head, plan, progress):
                if not held_out:
                    continue
                loss = self._held_out_loss(rows, labelling, head, held_out)
                if loss < best:
                    best, best_epoch, kept = loss, epoch, copies(parameters)
                elif epoch - best_epoch == _PATIENCE:
                    break
            if held_out:
                restore(parameters, kept)
        weights, bias = (value.detach().numpy() for value in head)
        return Head(weights, bias)

    def fit_contrastive(self, rows: Sequence[int], targets: Targets, *, progress: Progress | None = None) -> None:
        """Trains the upper layers to put texts with a label in common close together, and others apart.

        Meant for few examples, as in SetFit (Tunstall et al., 2022), with `contrastive_loss` over batches that have two
        texts of each of some labels. Where no two texts have a label in common, nothing is trained.

        Args:
            rows: Which of the texts.
            targets: bool `(len(rows), labels)`: which labels each has.
            progress: Told the batches done so far, and those to do.
        """
        random = np.random.default_rng(self._seed)
        shared = bool((targets.sum(axis=0) > 1).any())
        epoch_steps = -(-len(rows) // (2 * _LABELS_A_BATCH))
        steps = min(_CONTRASTIVE_EPOCHS * epoch_steps, _MOST_CONTRASTIVE_STEPS) if shared else 0
        with self._encoder.training():
            descent = Descent(steps)
            descent.add(self._encoder.parameters, _CONTRASTIVE_RATE)
            for step in range(steps):
                places = pair_up(targets, _LABELS_A_BATCH, random)
                descent.step(
                    contrastive_loss(self._encoder.vectors([rows[place] for place in places]), targets[places])
                )
                if progress:
                    progress(step + 1, steps)

    def embed(self, rows: Sequence[int]) -> Vectors:
        """Embeds texts with the weights of the last fit.

        Args:
            rows: Which of the texts.

        Returns:
            float32 `(len(rows), dim)`, each row of length 1.
        """
        return self._encoder.embed(rows)

    def save(self, directory: Path) -> None:
        """Saves the encoder with the weights of the last fit, as a model directory.

        Args:
            directory: Where to; it is made, and all its files are for their owner only.

        Raises:
            ModelError: The directory cannot be written.
        """
        self._encoder.save(directory, self._max_tokens)

    def _epochs(
        self,
        rows: Sequence[int],
        labelling: Labelling,
        head: list[torch.nn.Parameter],
        plan: Sequence[Sequence[list[int]]],
        progress: Progress | None,
    ) -> Iterator[int]:
        """Trains the layers and the head on each epoch's batches of labelled texts; yields after each epoch."""
        steps = sum(map(len, plan))
        done = 0
        descent = Descent(steps)
        descent.add(self._encoder.parameters, _LAYER_RATE)
        descent.add(head, _HEAD_RATE)
        weights, bias = head
        for epoch, batches in enumerate(plan):
            for places in batches:
                vectors = self._encoder.vectors([rows[place] for place in places])
                descent.step(labelling.loss(vectors @ weights + bias, places))
                done += 1
                if progress:
                    progress(done, steps)
            yield epoch

    def _held_out_loss(
        self, rows: Sequence[int], labelling: Labelling, head: list[torch.nn.Parameter], held_out: list[int]
    ) -> float:
        import torch

        with self._encoder.evaluating():
            vectors = torch.from_numpy(self.embed([rows[place] for place in held_out]))
        weights, bias = head
        return labelling.loss(vectors @ weights + bias, held_out).item()
