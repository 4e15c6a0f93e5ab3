"""An encoder whose upper layers are trained: the training loop that all losses share, checkpoints, and saving."""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from notesearch.encoders.encoder import like_lengths
from notesearch.encoders.files import find_model, load_model
from notesearch.encoders.forward import available_cores, cpu_flags
from notesearch.errors import ModelError
from notesearch.files import make_private_folder, private_opener, replacing, seal
from notesearch.finetuning.layer_cache import LayerCache
from notesearch.words import spelled

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

Batch = TypeVar("Batch")
Progress = Callable[[int, int], None]
"""Told how much is done, and how much there is to do."""

_BATCH_TOKENS = 2048
# How far a vector of length 1 may be from that of the whole model in float32; bf16 and the cache are within 0.02.
_MOST_ERROR = 0.1
# What transformers raises where a model cannot be run in bf16, or without its lower layers.
_CANNOT_RUN = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
_WARM_UP = 0.1
_WEIGHT_DECAY = 0.01
# What an interruption costs at most; writing 40 MB takes about a hundredth of it.
_SECONDS_BETWEEN_CHECKPOINTS = 15.0


def ignore(_done: int, _total: int) -> None:
    """Ignores progress."""


class TrainableEncoder:
    """A bi-encoder, and the texts that it is trained on or that are to be embedded.

    Attributes:
        seed: Of all that is random: with the same one, the same weights come out on the same machine.
        rows: The number of each text.
        lengths: Tokens of each text.
        parameters: What is trained: the weights of the upper layers.
        untrained: float32 `(texts, dim)`: the texts' vectors of length 1 before any training.
    """

    def __init__(
        self, model: str, texts: Sequence[str], *, tokens: int, layers: int, seed: int, progress: Progress = ignore
    ) -> None:
        """Runs the texts through the encoder once.

        Args:
            model: The encoder, as the user named it.
            texts: With their prompts, at least one.
            tokens: The most tokens of a text that are read, special tokens included.
            layers: How many of the upper layers are trained, at least 1.
            seed: See above.
            progress: Told the texts run so far, and those to run.

        Raises:
            ModelError: The model or its tokenizer cannot be loaded.
        """
        import torch

        self.seed = seed
        torch.set_num_threads(available_cores())
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # weights that the file lacks, since vectors need none of them
            self._model = load_model(find_model(model))
        self._model.max_seq_length = tokens
        self._features = {
            k: v for k, v in self._model.preprocess(list(map(spelled, texts))).items() if getattr(v, "ndim", 0) == 2
        }
        self.rows = {text: row for row, text in enumerate(texts)}
        self.lengths: list[int] = self._features["attention_mask"].sum(dim=1).tolist()
        transformer = self._model[0].auto_model
        self._cache = LayerCache(transformer, layers)
        table = transformer.get_input_embeddings().weight
        self.parameters = [p for part in self._cache.trained for p in part.parameters() if p is not table]
        self._model.requires_grad_(False)
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        self._initial = copies(self.parameters)
        self.untrained = self._embed_all(progress)

    def vectors(self, rows: Sequence[int]) -> torch.Tensor:
        """Vectors of length 1 of some texts, float32 `(len(rows), dim)`, with gradients."""
        import torch

        lengths = [self.lengths[row] for row in rows]
        features = {name: value[list(rows), : max(lengths)] for name, value in self._features.items()}
        with self._cache.around_pass(rows, lengths), torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
            embedded = self._model(features)["sentence_embedding"]
        return torch.nn.functional.normalize(embedded.float(), dim=1)

    def embed(self, rows: Sequence[int], progress: Progress = ignore) -> Vectors:
        """Vectors of length 1 of some texts with the weights as they are now, float32 `(len(rows), dim)`."""
        import torch

        self._model.eval()
        vectors = np.zeros((len(rows), self._model.get_embedding_dimension()), dtype=np.float32)
        done = 0
        with torch.no_grad():
            for places in like_lengths([self.lengths[row] for row in rows], _BATCH_TOKENS):
                vectors[places] = self.vectors([rows[place] for place in places]).numpy()
                done += len(places)
                progress(done, len(rows))
        return vectors

    def train(
        self,
        batches: Sequence[Batch],
        loss: Callable[[Batch], torch.Tensor],
        rates: Sequence[tuple[Sequence[torch.nn.Parameter], float]],
        *,
        checkpoint: Checkpoint | None = None,
        progress: Progress = ignore,
    ) -> None:
        """Trains the upper layers from their initial weights on, with AdamW (Loshchilov and Hutter, 2019).

        Args:
            batches: What each step is about.
            loss: Of a batch.
            rates: Parameters, and their learning rate at its highest: it rises for a tenth of the steps and then falls,
                both linearly.
            checkpoint: Written from time to time; where it holds the state of this training, the steps done are not
                done again, and the weights end as if there had been no interruption.
            progress: Told the steps done so far, and those to do.
        """
        import torch

        restore(self.parameters, self._initial)
        groups = [{"params": list(parameters), "lr": rate, "highest": rate} for parameters, rate in rates]
        optimizer = torch.optim.AdamW(groups, weight_decay=_WEIGHT_DECAY)
        done = checkpoint.restore(optimizer) if checkpoint else 0
        with torch.random.fork_rng(devices=[]):
            for step, batch in enumerate(batches[done:], start=done + 1):
                # Dropout depends on nothing that an interruption could change.
                torch.default_generator.manual_seed((self.seed * 1_000_003 + step) % 2**63)
                for part in self._cache.trained:
                    part.train()
                optimizer.zero_grad()
                loss(batch).backward()  # type: ignore[no-untyped-call]
                for group in optimizer.param_groups:
                    torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
                    group["lr"] = group["highest"] * _schedule(step / len(batches))
                optimizer.step()
                if checkpoint and (checkpoint.due or step == len(batches)):  # what follows can be interrupted, too
                    checkpoint.write(step, optimizer)
                progress(step, len(batches))

    def interpolate(self, trained: Sequence[torch.Tensor], weight: float) -> None:
        """Puts the weights between the initial ones and trained ones (WiSE-FT, Wortsman et al., 2022).

        Args:
            trained: Copies of `parameters`.
            weight: The interpolation weight: 0 for the initial ones, 1 for the trained ones.
        """
        pairs = zip(self._initial, trained, strict=True)
        restore(self.parameters, [initial.lerp(other, weight) for initial, other in pairs])

    def save(self, directory: Path, max_tokens: int | None = None) -> None:
        """Saves the encoder with the weights as they are now, as a model of sentence-transformers.

        Args:
            directory: Where to; it is made, and all its files are for their owner only.
            max_tokens: The most tokens that the model is to read; as many as here where not given.

        Raises:
            ModelError: The directory cannot be written.
        """
        from safetensors import SafetensorError

        self._model.max_seq_length = max_tokens or self._model.max_seq_length
        try:
            make_private_folder(directory)
            self._model.save(str(directory), create_model_card=False)
            seal(directory)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"cannot save the model in {directory}: {error}", "Is the disk full?") from error

    def _embed_all(self, progress: Progress) -> Vectors:
        """Embeds all texts and fills the cache; does without bf16, then without the cache where the model cannot."""
        by_length = sorted(range(len(self.lengths)), key=self.lengths.__getitem__)
        shortest_and_longest = by_length[:: max(1, len(by_length) - 1)]
        self._bf16 = False
        exact = self.embed(shortest_and_longest)
        for bf16 in dict.fromkeys((_bf16_in_hardware(), False)):
            self._bf16, self._cache.mode = bf16, "fill"
            with suppress(*_CANNOT_RUN):
                vectors = self.embed(range(len(self.lengths)), progress)
                self._cache.mode = "use"
                if np.linalg.norm(self.embed(shortest_and_longest) - exact, axis=1).max() <= _MOST_ERROR:
                    return vectors
        self._cache.mode = "off"
        return self.embed(range(len(self.lengths)), progress)


class Checkpoint:
    """A file with the state of a training, rewritten while it runs.

    Args:
        file: Where it is; its folder is made.
        key: Says which training it is of: texts, settings and weights. The state of another one is ignored.
    """

    def __init__(self, file: Path, key: str) -> None:
        self._file = file
        self._key = key
        self._last = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() - self._last >= _SECONDS_BETWEEN_CHECKPOINTS

    def write(self, step: int, optimizer: torch.optim.Optimizer) -> None:
        """Writes the state after a step; the file is the old one or the new one, never a part.

        Raises:
            ModelError: The file cannot be written.
        """
        import torch

        state = {"key": self._key, "step": step, "parameters": copies(_parameters(optimizer))}
        buffer = io.BytesIO()
        torch.save(state | {"optimizer": optimizer.state_dict()}, buffer)
        try:
            make_private_folder(self._file.parent)
            with replacing(self._file) as new, open(new, "wb", opener=private_opener) as file:
                file.write(buffer.getbuffer())
        except OSError as error:
            raise ModelError(f"cannot write {self._file}: {error}", "Is the disk full?") from error
        self._last = time.monotonic()

    def restore(self, optimizer: torch.optim.Optimizer) -> int:
        """Brings an optimizer and its parameters into the state in the file, if that is of this training and whole.

        Returns:
            The steps done; 0 where nothing was restored.
        """
        import torch

        try:
            state = torch.load(self._file, weights_only=True)
            if state["key"] != self._key:
                return 0
        except (OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError):
            return 0
        restore(_parameters(optimizer), state["parameters"])
        optimizer.load_state_dict(state["optimizer"])
        return int(state["step"])

    def remove(self) -> None:
        """Removes the file, once the training is over."""
        self._file.unlink(missing_ok=True)


def copies(parameters: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Copies of tensors, apart from any gradients."""
    return [value.detach().clone() for value in parameters]


def restore(parameters: Sequence[torch.Tensor], values: Sequence[torch.Tensor]) -> None:
    """Overwrites parameters with values."""
    import torch

    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)


def _parameters(optimizer: torch.optim.Optimizer) -> list[torch.nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _schedule(done: float) -> float:
    """What part of the highest learning rate counts when this part of the steps is done."""
    return max(0.0, min(done / _WARM_UP, (1 - done) / (1 - _WARM_UP)))


def _bf16_in_hardware() -> bool:
    """Whether the CPU multiplies matrices of bf16: training is 1.6 times faster so. Emulated, it is far slower."""
    return not cpu_flags().isdisjoint({"avx512_bf16", "amx_bf16"})
