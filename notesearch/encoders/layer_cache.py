"""Texts run once through the lower layers of a model, so that training the upper ones costs no more than these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from notesearch.encoders.encoder import like_lengths, pad
from notesearch.encoders.training import autocast, relative_error, runs_in_bf16

if TYPE_CHECKING:
    import torch

_BATCH_TOKENS = 2048
# How far token vectors by way of the cache may be from those of the whole model, relative to their length: bf16 alone
# is within 0.02.
_GREATEST_ERROR = 0.05
# What a model may raise whose layers are not called as those of BERT.
_NOT_AS_EXPECTED = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)


class LayerCache:
    """A model of which only the upper layers are trained, and what its lower ones make of some texts.

    The outputs of the lower layers are kept in bf16: `2 × dim` bytes for each token. A model whose layers cannot be
    told apart, or that gives other vectors by way of the cache, is run as a whole each time.

    Attributes:
        model: In float32, in eval mode; its forward pass must be run by `token_vectors` only.
        lengths: Tokens of each text.
        parameters: What is trained.
        cached: Whether there is a cache.
    """

    def __init__(
        self,
        model: Any,
        token_ids: Sequence[list[int]],
        pad_token_id: int,
        trained_layers: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Runs all texts through the lower layers.

        Args:
            model: As `load_model` gives it.
            token_ids: Of each text.
            pad_token_id: What fills up the shorter texts of a batch.
            trained_layers: How many of the upper layers to train: all where there are no more, and all of the model but
                its embedding table where its layers cannot be told apart.
            progress: Told the texts run so far, and those to run.
        """
        self.model = model.float()
        self.lengths = [len(ids) for ids in token_ids]
        self.cached = False
        self._token_ids = token_ids
        self._pad_token_id = pad_token_id
        self._hidden: list[torch.Tensor] = []
        self._injected: torch.Tensor | None = None

        layers = _find_layers(model)
        self._trained = [model] if layers is None else list(layers[-trained_layers:])
        self._frozen = [] if layers is None else list(layers[:-trained_layers])
        table = model.get_input_embeddings().weight
        self.parameters = [value for part in self._trained for value in part.parameters() if value is not table]
        model.requires_grad_(False)
        for value in self.parameters:
            value.requires_grad_(True)
        self._bf16 = runs_in_bf16(model)
        if self._frozen and token_ids:
            self._fill(progress or (lambda done, total: None))

    def train(self, on: bool) -> None:
        """Switches the dropout of the trained layers on or off."""
        for part in self._trained:
            part.train(on)

    def token_vectors(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Runs some of the texts through the model.

        Returns:
            Token vectors, float32 `(len(rows), tokens, dim)`, and the attention mask, int64 `(len(rows), tokens)`.
        """
        import torch

        if self.cached:
            hidden = torch.nn.utils.rnn.pad_sequence([self._hidden[row] for row in rows], batch_first=True)
            self._injected = hidden.float()
        input_ids, attention_mask = self._padded(rows)
        with autocast(bf16=self._bf16):
            vectors = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return vectors.float(), attention_mask

    def batches(self, rows: Sequence[int]) -> list[list[int]]:
        """Places in `rows`, in batches of texts of like length, for a run without gradients."""
        return list(like_lengths([self.lengths[row] for row in rows], _BATCH_TOKENS))

    def _padded(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        input_ids, attention_mask = pad([self._token_ids[row] for row in rows], self._pad_token_id)
        return torch.from_numpy(input_ids), torch.from_numpy(attention_mask)

    def _fill(self, progress: Callable[[int, int], None]) -> None:
        """Keeps what reaches the first trained layer, and from then on has it come from there."""
        import torch

        by_length = sorted(range(len(self.lengths)), key=self.lengths.__getitem__)
        probes = by_length[:: max(1, len(by_length) - 1)]  # the shortest and the longest: one has padding
        with torch.no_grad():
            whole, mask = self.token_vectors(probes)
            try:
                self._skip_frozen(self._catch(progress))
                cached, _ = self.token_vectors(probes)
            except _NOT_AS_EXPECTED:
                agrees = False
            else:
                agrees = relative_error(cached, whole, mask) <= _GREATEST_ERROR
        if not agrees:
            self._forget()

    def _catch(self, progress: Callable[[int, int], None]) -> int:
        """Runs the lower layers on all texts; returns of how many parts their output is, 0 for a bare tensor."""
        output_parts = 0

        def note_parts(_layer: Any, _args: Any, output: Any) -> None:
            nonlocal output_parts
            output_parts = len(output) if isinstance(output, tuple) else 0

        def catch(_layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            raise _Reached(args[0] if args else kwargs["hidden_states"])

        hooks = [
            self._frozen[-1].register_forward_hook(note_parts),
            self._trained[0].register_forward_pre_hook(catch, with_kwargs=True),
        ]
        hidden: dict[int, torch.Tensor] = {}
        try:
            for rows in self.batches(range(len(self.lengths))):
                for row, own in zip(rows, self._reaching(rows), strict=True):
                    hidden[row] = own[: self.lengths[row]].bfloat16()
                progress(len(hidden), len(self.lengths))
        finally:
            for hook in hooks:
                hook.remove()
        self._hidden = [hidden[row] for row in range(len(self.lengths))]
        return output_parts

    def _reaching(self, rows: Sequence[int]) -> torch.Tensor:
        try:
            self.token_vectors(rows)
        except _Reached as reached:
            return reached.hidden
        raise ValueError("the trained layers are never run")

    def _skip_frozen(self, output_parts: int) -> None:
        def skipped(hidden_states: Any, *_args: Any, **_kwargs: Any) -> Any:
            return (hidden_states, *[None] * (output_parts - 1)) if output_parts else hidden_states

        def inject(_layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            # Here and not in the last frozen layer: an architecture may have more than layers on the way.
            return ((self._injected, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": self._injected})

        for layer in self._frozen:
            layer.forward = skipped  # its class stays, and with it what the model asks a layer for
        self._injection = self._trained[0].register_forward_pre_hook(inject, with_kwargs=True)
        self.cached = True

    def _forget(self) -> None:
        if self.cached:
            self._injection.remove()
            for layer in self._frozen:
                del layer.forward
        self.cached = False
        self._hidden = []
        self._injected = None


class _Reached(Exception):
    """What is to be caught has reached the first trained layer; the rest of the model need not run."""

    def __init__(self, hidden: torch.Tensor) -> None:
        super().__init__()
        self.hidden = hidden


def _find_layers(model: Any) -> Any:
    """The stack of transformer layers, a `ModuleList`; `None` where there is none with a module for each layer."""
    import torch

    count = getattr(model.config, "num_hidden_layers", None)
    stacks = (part for part in model.modules() if isinstance(part, torch.nn.ModuleList) and len(part) == count)
    return next(stacks, None)
