"""An encoder whose upper layers can be trained on some texts: what every objective shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders.encoder import EncoderConfig
from notesearch.encoders.files import find_model, load_transformer
from notesearch.encoders.layer_cache import LayerCache
from notesearch.encoders.training import open_tokenizer, torch_settings, write_encoder

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


class TrainableEncoder:
    """An encoder, and the texts that it is to be trained on or that are to be embedded.

    What the lower layers make of the texts is computed once, and kept in memory: `2 × dim` bytes for each token.

    Attributes:
        lengths: Tokens of each text.
        parameters: What is trained.
        untrained: float32 `(texts, dim)`: the texts' vectors of length 1 before any training.
    """

    def __init__(
        self,
        source: Path,
        config: EncoderConfig,
        texts: Sequence[str],
        *,
        max_tokens: int,
        trained_layers: int,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Runs the texts through the lower layers.

        Args:
            source: The encoder's directory.
            config: As `read_encoder_config` gives it.
            texts: As `as_tokenized` gives them: with their prompts.
            max_tokens: What goes beyond this is cut off, special tokens included.
            trained_layers: How many of the upper layers are trained, at least 1.
            seed: With the same one, the same weights come out on the same machine.
            progress: Told the texts run so far, and those to run.

        Raises:
            ModelError: The model or its tokenizer cannot be loaded.
        """
        self._source = source
        self._config = config
        self._seed = seed
        tokenizer = open_tokenizer(source, max_tokens)
        token_ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
        with torch_settings(seed):
            self._layers = LayerCache(
                load_transformer(find_model(str(source))), token_ids, config.pad_token_id, trained_layers, progress
            )
        self.lengths = self._layers.lengths
        self.parameters = self._layers.parameters
        self._initial = self.copy_parameters()
        self.untrained = self.embed(range(len(texts)))

    @contextmanager
    def training(self) -> Iterator[None]:
        """From the initial weights on, with dropout; to its end without."""
        self.set_parameters(self._initial)
        with torch_settings(self._seed):
            self._layers.train(True)
            try:
                yield
            finally:
                self._layers.train(False)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within `training`: without dropout and gradients."""
        import torch

        self._layers.train(False)
        with torch.no_grad():
            yield
        self._layers.train(True)

    def vectors(self, rows: Sequence[int]) -> torch.Tensor:
        """One vector of length 1 for each of some texts, float32 `(len(rows), dim)`, pooled as by `Encoder`."""
        import torch

        token_vectors, mask = self._layers.token_vectors(rows)
        first = self._config.pooling == "cls"
        pooled = token_vectors[:, 0] if first else torch.einsum("btd,bt->bd", token_vectors, mask.float())
        return torch.nn.functional.normalize(pooled, dim=1)

    def embed(self, rows: Sequence[int]) -> Vectors:
        """Embeds texts with the weights as they are now.

        Args:
            rows: Which of the texts.

        Returns:
            float32 `(len(rows), dim)`, each row of length 1.
        """
        import torch

        vectors = np.zeros((len(rows), self._config.dim), dtype=np.float32)
        with torch_settings(self._seed), torch.no_grad():
            for places in self._layers.batches(rows):
                vectors[places] = self.vectors([rows[place] for place in places]).numpy()
        return vectors

    def copy_parameters(self) -> list[torch.Tensor]:
        """The trained weights as they are now."""
        return copies(self.parameters)

    def set_parameters(self, values: Sequence[torch.Tensor]) -> None:
        """Puts weights in the place of those that there are."""
        restore(self.parameters, values)

    def interpolate(self, trained: Sequence[torch.Tensor], share: float) -> None:
        """Puts the weights between the initial ones and trained ones (WiSE-FT, Wortsman et al., 2022).

        Args:
            trained: As `copy_parameters` gave them.
            share: Theirs, from 0 to 1.
        """
        pairs = zip(self._initial, trained, strict=True)
        self.set_parameters([initial.lerp(other, share) for initial, other in pairs])

    def save(self, directory: Path, max_tokens: int) -> None:
        """Saves the encoder with the weights as they are now, as a model directory.

        Args:
            directory: Where to; it is made, and all its files are for their owner only.
            max_tokens: The most tokens that the model is to read.

        Raises:
            ModelError: The directory cannot be written.
        """
        write_encoder(self._layers.model, self._source, directory, max_tokens)


def copies(parameters: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Copies of tensors, apart from any gradients."""
    return [value.detach().clone() for value in parameters]


def restore(parameters: Sequence[torch.Tensor], values: Sequence[torch.Tensor]) -> None:
    """Overwrites parameters with values."""
    import torch

    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)
