"""Getting an encoder used to the language of a collection: masked-language-model training continued on its texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.encoders.encoder import pad
from notesearch.encoders.model_files import read_encoder_config
from notesearch.encoders.torch_forward import load_model
from notesearch.encoders.training import (
    Descent,
    as_tokenized,
    autocast,
    open_tokenizer,
    runs_in_bf16,
    shuffled_batches,
    torch_settings,
    write_encoder,
)
from notesearch.errors import ModelError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    TokenIds = NDArray[np.int64]

_BATCH = 16
_ENCODER_RATE = 5e-5
_HEAD_RATE = 1e-3
# A new head learns alone for this share of the steps: what it asks of the encoder before that is noise.
_HEAD_ALONE = 0.15
_MASKED = 0.15
_MASK_TOKENS = ("[MASK]", "<mask>")
# The heads for masked tokens by their names in transformers. Bi-encoders come without, and then theirs is new.
_HEADS = ("cls.", "lm_head.", "vocab_", "generator_", "head.", "decoder.", "lm_predictions.", "mask_predictions.")


def adapt(
    source: Path,
    texts: Sequence[str],
    directory: Path,
    *,
    epochs: int,
    max_tokens: int = 128,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[float]:
    """Trains an encoder to guess masked tokens of texts, as RoBERTa was (Liu et al., 2019), and saves it.

    The embedding table stays as it is: few texts would move only the few words that they have.

    Args:
        source: A model directory.
        texts: The unlabelled texts, at least one; long ones are cut into pieces.
        directory: Where the encoder is to be, without the head; it is made. Pooling, prompts and tokenizer are those
            of the source.
        epochs: How often each text is read, each time with other tokens masked.
        max_tokens: Of a piece of a text, special tokens included.
        seed: With the same one, the same weights come out.
        progress: Told the batches done so far, and those to do.

    Returns:
        The mean loss of each epoch, in nats a masked token.

    Raises:
        ModelError: The model cannot be loaded or is of an architecture without masked tokens, or the directory cannot
            be written.
    """
    config = read_encoder_config(str(source), source)
    tokenizer = open_tokenizer(source, min(max_tokens, config.max_tokens))
    random = np.random.default_rng(seed)
    masking = _Masking(source, tokenizer, random)
    pieces = _pieces(tokenizer, as_tokenized(texts, config))
    lengths = {number: len(piece) for number, piece in enumerate(pieces)}
    plan = [batch for _ in range(epochs) for batch in shuffled_batches(lengths, _BATCH, random)]
    losses = []
    with torch_settings(seed):
        model = _Guesser(source)
        descent = model.descent(len(plan))
        for batch in plan:
            input_ids, attention_mask = pad([pieces[number] for number in batch], config.pad_token_id)
            hidden_ids, guessed = masking.hide(input_ids, attention_mask)
            loss = model.loss(hidden_ids, attention_mask, guessed, input_ids[guessed])
            descent.step(loss)
            losses.append(loss.item())
            if progress:
                progress(len(losses), len(plan))
    write_encoder(model.encoder, source, directory)
    return [float(np.mean(epoch)) for epoch in np.array_split(losses, epochs)]


class _Masking:
    """Hides tokens: of the 15 % to be guessed, 80 % become the mask, 10 % another token, 10 % stay (BERT, 2018)."""

    def __init__(self, source: Path, tokenizer: Any, random: np.random.Generator) -> None:
        ids = [tokenizer.token_to_id(token) for token in _MASK_TOKENS]
        known = [token_id for token_id in ids if token_id is not None]
        if not known:
            raise ModelError(f"the tokenizer of {source} has no mask", "Choose a model like BERT or RoBERTa.")
        self._random = random
        self._mask_id = known[0]
        self._special = np.array([i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special])
        self._vocabulary = np.setdiff1d(np.arange(tokenizer.get_vocab_size()), self._special)

    def hide(self, input_ids: TokenIds, attention_mask: TokenIds) -> tuple[TokenIds, NDArray[np.bool_]]:
        """Returns the ids with some hidden, and which are to be guessed: at least one, if any can be."""
        ordinary = (attention_mask > 0) & ~np.isin(input_ids, self._special)
        chance = np.where(ordinary, self._random.random(input_ids.shape), 2.0)
        guessed = (chance < _MASKED) | ((chance == chance.min()) & ordinary)
        what = self._random.random(input_ids.shape)
        others = self._random.choice(self._vocabulary, input_ids.shape)
        hidden = np.where(guessed & (what < 0.8), self._mask_id, input_ids)
        return np.where(guessed & (what >= 0.9), others, hidden), guessed


def _pieces(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of the texts, cut into pieces as long as the tokenizer allows."""
    encodings = tokenizer.encode_batch(list(texts))
    return [piece.ids for encoding in encodings for piece in (encoding, *encoding.overflowing)]


class _Guesser:
    """A model that guesses masked tokens.

    Attributes:
        encoder: The model without its head.
    """

    def __init__(self, source: Path) -> None:
        self._model = load_model(source, "AutoModelForMaskedLM", optional=_HEADS).float()
        self.encoder = self._model.base_model
        self._bf16 = runs_in_bf16(self.encoder)
        self._model.train()

    def descent(self, steps: int) -> Descent:
        """A descent of all but the embedding table, which may be the head's last layer too."""
        table = self._model.get_input_embeddings().weight.requires_grad_(False)
        encoder = [value for value in self.encoder.parameters() if value is not table]
        of_encoder = {id(value) for value in (table, *encoder)}
        descent = Descent(steps)
        descent.add(encoder, _ENCODER_RATE, starts=_HEAD_ALONE)
        descent.add([value for value in self._model.parameters() if id(value) not in of_encoder], _HEAD_RATE)
        return descent

    def loss(
        self, hidden_ids: TokenIds, attention_mask: TokenIds, guessed: NDArray[np.bool_], answers: TokenIds
    ) -> torch.Tensor:
        """The mean cross-entropy of the tokens guessed, whose ids are `answers`, in the order of the batch."""
        import torch

        places = torch.from_numpy(guessed)

        def keep_guessed(_encoder: Any, _args: Any, output: Any) -> Any:
            # The head multiplies every vector it gets by the whole vocabulary.
            output.last_hidden_state = output.last_hidden_state[places][None]
            return output

        hook = self.encoder.register_forward_hook(keep_guessed)
        try:
            with autocast(bf16=self._bf16):
                output = self._model(
                    input_ids=torch.from_numpy(hidden_ids), attention_mask=torch.from_numpy(attention_mask)
                )
        finally:
            hook.remove()
        return torch.nn.functional.cross_entropy(output.logits[0].float(), torch.from_numpy(answers))
