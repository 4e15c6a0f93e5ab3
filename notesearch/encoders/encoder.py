"""Text → vectors: tokenise, run the model, pool its token vectors, scale to length 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from notesearch.encoders.calibration import CosineScale
from notesearch.encoders.model_files import EncoderConfig, Pooling
from notesearch.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    TokenIds = NDArray[np.int64]


class Forward(Protocol):
    """A model's forward pass, by whichever runtime.

    Attributes:
        batch_tokens: The most padded tokens that it should be given at once; a longer text goes alone.
        concurrency: How many calls should run at the same time.
    """

    batch_tokens: int
    concurrency: int

    def __call__(self, input_ids: TokenIds, attention_mask: TokenIds) -> Vectors:
        """Runs the model on int64 arrays `(batch, tokens)`; returns token vectors, float32 `(batch, tokens, dim)`."""
        ...


class Encoder:
    """A bi-encoder.

    Attributes:
        config: How the model is to be used.
        scale: What its cosines mean.
    """

    def __init__(
        self,
        config: EncoderConfig,
        tokenizer_file: Path,
        forward: Forward,
        scale: CosineScale = CosineScale(unrelated=0.0, related=1.0),
    ) -> None:
        self.config = config
        self.scale = scale
        self._tokenizer_file = tokenizer_file
        self._tokenizer = _load_tokenizer(tokenizer_file)
        self._tokenizer.enable_truncation(config.max_tokens)
        self._whole_text_tokenizer: Any = None
        self._forward = forward

    def encode_query(self, query: str) -> Vectors:
        """Encodes a query.

        Returns:
            float32 `(dim,)` of length 1.
        """
        vector: Vectors = self._encode([self.config.query_prompt + query])[0]
        return vector

    def encode_passages(self, passages: Sequence[str]) -> Vectors:
        """Encodes passages; what goes beyond the model's `max_tokens` is cut off.

        Returns:
            float32 `(len(passages), dim)`, each row of length 1, in the order given.
        """
        return self._encode([self.config.passage_prompt + passage for passage in passages])

    def token_starts(self, text: str) -> list[int]:
        """Offsets in `text` of the first characters of its tokens, ascending; special tokens and truncation aside."""
        if self._whole_text_tokenizer is None:
            self._whole_text_tokenizer = _load_tokenizer(self._tokenizer_file)
        encoding = self._whole_text_tokenizer.encode(text, add_special_tokens=False)
        return [start for start, _ in encoding.offsets]

    def _encode(self, texts: Sequence[str]) -> Vectors:
        if self.config.lowercase:
            texts = [text.lower() for text in texts]
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        vectors = np.zeros((len(ids), self.config.dim), dtype=np.float32)

        def encode(rows: list[int]) -> None:
            input_ids, attention_mask = _pad([ids[row] for row in rows], self.config.pad_token_id)
            vectors[rows] = _pool(self._forward(input_ids, attention_mask), attention_mask, self.config.pooling)

        batches = list(_batches([len(row) for row in ids], self._forward.batch_tokens))
        if len(batches) == 1 or self._forward.concurrency == 1:
            for batch in batches:
                encode(batch)
        else:
            with ThreadPoolExecutor(self._forward.concurrency) as pool:
                for _ in pool.map(encode, batches):
                    pass
        return vectors


def _load_tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more precise
        raise ModelError(f"cannot read {path}: {error}", "Fetch or make the model again.") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Groups texts of like length, so that little padding is computed: yields lists of row numbers."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        # The first row of a batch is its longest, so it sets the width.
        if batch and lengths[batch[0]] * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _pad(ids: Sequence[Sequence[int]], pad_token_id: int) -> tuple[TokenIds, TokenIds]:
    width = max([1, *map(len, ids)])
    input_ids = np.full((len(ids), width), pad_token_id, dtype=np.int64)
    attention_mask = np.zeros((len(ids), width), dtype=np.int64)
    for row, values in enumerate(ids):
        input_ids[row, : len(values)] = values
        attention_mask[row, : len(values)] = 1
    return input_ids, attention_mask


def _pool(token_vectors: Vectors, attention_mask: TokenIds, pooling: Pooling) -> Vectors:
    """One vector of length 1 a text: the mean of its tokens' vectors (Sentence-BERT, 2019), or the first one's."""
    if pooling == "cls":
        pooled = token_vectors[:, 0]
    else:
        # The sum stands for the mean: the scaling that follows makes them the same.
        pooled = np.einsum("btd,bt->bd", token_vectors, attention_mask.astype(np.float32))
    lengths = np.linalg.norm(pooled, axis=1, keepdims=True)
    scaled: Vectors = pooled / np.maximum(lengths, np.float32(1e-12))
    return scaled
