"""Multi-vector models (ColBERT): a vector for each token of a passage, trained for late interaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from notesearch.encoders.files import find_model, load_model, loading
from notesearch.encoders.preparing import PROBES, max_tokens, measure_late_scale
from notesearch.encoders.token_codes import CodedWord, Span, code_bits, compress
from notesearch.errors import ModelError
from notesearch.words import Spelling, find_runs, holds_unspaced, key_of, spelled, unspaced

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

Task = Literal["query", "document"]


class MultiVectorModel:
    """A multi-vector model (ColBERT), whose vectors take the place of the bi-encoder's own token vectors.

    Attributes:
        code_bits: Bits of a token code.
        late_scale: What the scores of late interaction between a query and token codes mean.
    """

    def __init__(self, model: Any) -> None:
        """Wraps a `MultiVectorEncoder`."""
        self._model = model
        self.code_bits = code_bits(model.get_embedding_dimension())
        codes = self.encode_passages([passage for _, passage in PROBES])
        self.late_scale = measure_late_scale(
            [self.encode_query(query)[1] for query, _ in PROBES], codes, self.code_bits
        )

    def encode_query(self, query: str) -> tuple[tuple[CodedWord, ...], Vectors]:
        """Encodes a query; what goes beyond the model's length for queries is cut off.

        Returns:
            For each token vector, in order, what it stands for: the word that its token is a part of, or an empty one
            without a place for markers and for the [MASK]s that the query is filled up with. And the vectors, float32
            `(n, code_bits)`, each of length 1.
        """
        kept = self._encode(self._model.encode_query, [query])[0]
        vectors: Vectors = kept / np.maximum(np.linalg.norm(kept, axis=1, keepdims=True), np.float32(1e-12))
        return tuple(self._words(query, "query")), vectors

    def encode_passages(self, passages: Sequence[str]) -> list[bytes]:
        """Encodes passages, in the order given; what goes beyond the model's length for documents is cut off.

        Returns:
            Token codes, see `token_codes`: one for each token that the model keeps.
        """
        return [compress(kept) for kept in self._encode(self._model.encode_document, passages)]

    def words_of_codes(self, passage: str) -> list[CodedWord]:
        """What the codes of a passage stand for, code by code: the word that the token is a part of."""
        return self._words(passage, "document")

    def _encode(self, encode: Callable[..., list[Vectors]], texts: Sequence[str]) -> list[Vectors]:
        """Token vectors of texts, float32 `(n, code_bits)` each, n ≥ 1."""
        # It sorts by length, so that little padding is computed.
        encoded = encode(list(map(spelled, texts)), convert_to_numpy=True, show_progress_bar=False)
        # A text of which the model keeps nothing gets a blank vector: late interaction needs one.
        return [own[:, -self.code_bits :] if len(own) else np.zeros((1, self.code_bits), np.float32) for own in encoded]

    def _words(self, text: str, task: Task) -> list[CodedWord]:
        spelling = Spelling(text)
        runs = find_runs(spelling.text)
        found = [_word_at(spelling.text, runs, span) for span in self._kept_spans(spelling.text, task)] or [("", ())]
        return [
            CodedWord(word, (number,), tuple(spelling.span(*span) for span in spans))
            for number, (word, spans) in enumerate(found)
        ]

    def _kept_spans(self, text: str, task: Task) -> list[Span]:
        """Start and end in a text of each token that has a vector; equal for those that are not of it."""
        prompt = self._model.prompts[task]
        features = self._model.preprocess(
            [text], prompt=prompt, task=task, processing_kwargs={"text": {"return_offsets_mapping": True}}
        )
        offsets = features["offset_mapping"][0].tolist()
        # A query's padding that became [MASK]s may lie beyond what the tokenizer made.
        offsets += [(0, 0)] * (features["input_ids"].shape[1] - len(offsets))
        for module in self._model:
            if type(module).__name__ == "MultiVectorMask":
                features = module(features, task=task)
        kept = features["attention_mask"][0].tolist()
        before = len(prompt)
        return [
            (max(start - before, 0), max(end - before, 0))
            for (start, end), keep in zip(offsets, kept, strict=True)
            if keep
        ]


def open_multi_vector_model(name: str) -> MultiVectorModel:
    """Opens a multi-vector model: a checkpoint of sentence-transformers, of PyLate or of Stanford's ColBERT.

    Args:
        name: A local directory or a hub id.

    Raises:
        ModelError: The model is unknown, unsafe, damaged, or no multi-vector model for text.
    """
    files = find_model(name, "multi-vector")
    loaded = load_model(files)
    # One for images too would take a passage that is only the address of an image for that image, and fetch it.
    if loaded.modalities != ["text"]:
        raise ModelError(f"model {name} is for more than plain text: {loaded.modalities}", "Choose one for text alone.")
    with loading(files.directory):
        max_tokens(loaded)
        return MultiVectorModel(loaded)


def _word_at(text: str, runs: Sequence[Span], span: Span) -> tuple[str, tuple[Span, ...]]:
    """The key of the word that a token is a part of, and where it stands; the token itself if it is of none."""
    start, end = span
    start += len(text[start:end]) - len(text[start:end].lstrip())  # some tokenizers add the space before to a word
    if start >= end:
        return "", ()
    # A run of an unspaced script is a whole sentence: there, each token is a word.
    if not (holds_unspaced(text) and unspaced().match(text, start)):
        start, end = next((run for run in runs if run[0] < end and start < run[1]), (start, end))
    return key_of(text[start:end]), ((start, end),)
