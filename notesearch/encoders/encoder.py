"""Text → vectors and codes: tokenise, run the model, pool its token vectors and compress them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from notesearch.encoders.forward import Forward
from notesearch.encoders.token_codes import (
    CodedWord,
    Span,
    code_bits,
    coded_words,
    compress,
    legibility,
    places_of_words,
    single_words,
    word_vectors,
)
from notesearch.errors import ModelError
from notesearch.words import Spelling, spelled

# Of a text that is tokenised whole: its tokens, half a kilobyte each until they are counted, take 50 MB at most.
_PIECE_CHARS = 100_000
# What tokenizers put in the place of a word of which their vocabulary has nothing.
_UNKNOWN = ("[UNK]", "<unk>")

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    TokenIds = NDArray[np.int64]

Pooling = Literal["mean", "cls"]


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """How a bi-encoder is to be used.

    Attributes:
        name: As the user gave it; a local directory by its absolute path.
        fingerprint: 32 hex digits; two encoders with one fingerprint give vectors that can be compared.
        pooling: How token vectors become one vector: their mean, or the first one's.
        max_tokens: The most tokens the model reads, special tokens included.
        query_prompt: Put before each query.
        passage_prompt: Put before each passage.
        pad_token_id: What fills up the shorter texts of a batch.
        dim: Length of a vector.
    """

    name: str
    fingerprint: str
    pooling: Pooling
    max_tokens: int
    query_prompt: str
    passage_prompt: str
    pad_token_id: int
    dim: int


@dataclass(frozen=True, slots=True)
class ScoreScale:
    """What the scores of a model mean, be they cosines or those of late interaction.

    Models differ in this: two texts that have nothing to do with each other have a cosine of about 0 with one model and
    of 0.7 with another. One scale for all makes what is derived from a score (the weight of the words against the
    meaning, say) hold for any model.

    Attributes:
        unrelated: Mean score of a query and a passage that have nothing to do with each other.
        related: Mean score of a query and a passage that answers it.
    """

    unrelated: float
    related: float

    def similarity(self, scores: Vectors) -> Vectors:
        """Scores on a scale where 0 is unrelated and 1 is an answer, for any model."""
        return (scores - np.float32(self.unrelated)) / np.float32(self.spread)

    def weighted(self, weight: float) -> ScoreScale:
        """A scale on which every similarity is a part, from 0 to 1, of what it is on this one."""
        return self if weight == 1 else ScoreScale(self.unrelated, self.unrelated + self.spread / max(weight, 1e-6))

    @property
    def spread(self) -> float:
        """How far the scores of an answer are above those of unrelated passages."""
        return max(self.related - self.unrelated, 1e-3)


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A query as vectors.

    Attributes:
        vector: float32 `(dim,)` of length 1.
        words: Its words that take part in late interaction; places are in the query's own text.
        word_vectors: float32 `(len(words), bits)`, each row of length 1.
        alike: Whether all words count alike, as a multi-vector model was trained to have it, not by how rare they are.
        legible: How much of a word the model could read, from 0 to 1; words that are not here it read in full.
    """

    vector: Vectors
    words: tuple[CodedWord, ...]
    word_vectors: Vectors
    alike: bool = False
    legible: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EncodedPassages:
    """Passages as vectors and codes, in the order given.

    Attributes:
        vectors: float32 `(n, dim)`, each row of length 1.
        codes: Token codes, see `token_codes`.
    """

    vectors: Vectors
    codes: list[bytes]


class TokenEncoder(Protocol):
    """What late interaction needs of a model of its own: `MultiVectorModel` has it."""

    code_bits: int
    late_scale: ScoreScale

    def encode_query(self, query: str) -> tuple[tuple[CodedWord, ...], Vectors]:
        """What each token vector of a query stands for, and the vectors, float32 `(n, code_bits)`."""
        ...

    def encode_passages(self, passages: Sequence[str]) -> list[bytes]:
        """The token codes of each passage."""
        ...

    def words_of_codes(self, passage: str) -> list[CodedWord]:
        """What the codes of a passage stand for, code by code."""
        ...


class Encoder:
    """A bi-encoder, whose token vectors serve late interaction, unless there is a multi-vector model for that.

    Attributes:
        config: How the model is to be used.
        scale: What its cosines mean.
        late_scale: What the scores of late interaction between its token codes mean.
        code_bits: Bits of a token code.
    """

    def __init__(
        self,
        config: EncoderConfig,
        tokenizer_file: Path,
        forward: Forward,
        scale: ScoreScale = ScoreScale(unrelated=0.0, related=1.0),
        late_scale: ScoreScale = ScoreScale(unrelated=0.0, related=1.0),
        multi_vector: TokenEncoder | None = None,
    ) -> None:
        self.config = config
        self.scale = scale
        self.late_scale = multi_vector.late_scale if multi_vector else late_scale
        self.code_bits = multi_vector.code_bits if multi_vector else code_bits(config.dim)
        self._multi_vector = multi_vector
        self._tokenizer_file = tokenizer_file
        self._tokenizer = load_tokenizer(tokenizer_file)
        self._tokenizer.enable_truncation(config.max_tokens)
        self._unknown = {self._tokenizer.token_to_id(name) for name in _UNKNOWN}
        self._whole_text_tokenizer: Any = None
        self._forward = forward

    def encode_query(self, query: str) -> EncodedQuery:
        """Encodes a query; what goes beyond the model's `max_tokens` is cut off."""
        prompt = self.config.query_prompt
        spelling = Spelling(query)
        encoding = self._tokenizer.encode(prompt + spelling.text)
        input_ids, attention_mask = pad([encoding.ids], self.config.pad_token_id)
        token_vectors = self._forward(input_ids, attention_mask)
        vector: Vectors = _pool(token_vectors, attention_mask, self.config.pooling)[0]
        spans = _spans(encoding, prompt)
        words = coded_words(spelling.text, spans)
        legible = legibility(words, [token_id in self._unknown for token_id in encoding.ids], spans)
        if self._multi_vector:
            return EncodedQuery(vector, *self._multi_vector.encode_query(query), alike=True, legible=legible)
        return EncodedQuery(
            vector, tuple(_as_written(words, spelling)), word_vectors(token_vectors[0], words), legible=legible
        )

    def knows(self, word: str) -> bool:
        """Whether the model's vocabulary has a word as a whole, so that it is none that was mistyped."""
        ids = self._tokenizer.encode(word, add_special_tokens=False).ids
        return len(ids) == 1 and ids[0] not in self._unknown

    def encode_passages(self, passages: Sequence[str]) -> EncodedPassages:
        """Encodes passages; what goes beyond the model's `max_tokens` is cut off."""
        prompt = self.config.passage_prompt
        texts = list(map(spelled, passages))
        encodings = self._tokenizer.encode_batch([prompt + text for text in texts])
        vectors = np.zeros((len(passages), self.config.dim), dtype=np.float32)
        codes = [b""] * len(passages)

        def encode(rows: list[int]) -> None:
            input_ids, attention_mask = pad([encodings[row].ids for row in rows], self.config.pad_token_id)
            token_vectors = self._forward(input_ids, attention_mask)
            vectors[rows] = _pool(token_vectors, attention_mask, self.config.pooling)
            if self._multi_vector:
                return
            for row, own in zip(rows, token_vectors, strict=True):
                words = coded_words(texts[row], _spans(encodings[row], prompt))
                codes[row] = compress(word_vectors(own, words))

        with ThreadPoolExecutor(self._forward.concurrency) as pool:
            lengths = [len(encoding.ids) for encoding in encodings]
            list(pool.map(encode, like_lengths(lengths, self._forward.batch_tokens)))  # a list raises what was raised
        return EncodedPassages(vectors, self._multi_vector.encode_passages(passages) if self._multi_vector else codes)

    def words_of_codes(self, passage: str) -> list[CodedWord]:
        """The words that the codes of a passage stand for, code by code."""
        if self._multi_vector:
            return self._multi_vector.words_of_codes(passage)
        prompt = self.config.passage_prompt
        spelling = Spelling(passage)
        encoding = self._tokenizer.encode(prompt + spelling.text)
        return _as_written(coded_words(spelling.text, _spans(encoding, prompt)), spelling)

    def places_of_codes(self, passage: str, codes: int, wanted: Sequence[int]) -> list[tuple[Span, ...]]:
        """Finds where the words stand that some codes of a passage stand for.

        Args:
            passage: The passage.
            codes: How many codes it has.
            wanted: Numbers of those asked for.

        Returns:
            For each of them starts and ends, ascending; nothing at all if the passage has not so many codes.
        """
        if not self._multi_vector:
            words = single_words(passage)
            # As a rule. Then the passage need not be tokenised, which takes ten times as long; each word has a token,
            # unless it was cut off: then there are fewer codes.
            if len(words) == codes:
                return places_of_words(passage, [words[number] for number in wanted])
        coded = self.words_of_codes(passage)
        return [coded[number].spans for number in wanted] if len(coded) == codes else []

    def token_starts(self, text: str) -> list[int]:
        """Offsets in `text` of the first characters of its tokens, ascending; special tokens and truncation aside."""
        if self._whole_text_tokenizer is None:
            self._whole_text_tokenizer = load_tokenizer(self._tokenizer_file)
        starts: list[int] = []
        for first, end in _pieces(text):
            spelling = Spelling(text[first:end])
            encoding = self._whole_text_tokenizer.encode(spelling.text, add_special_tokens=False)
            starts += [first + spelling.start(start) for start, _ in encoding.offsets]
        return starts


def _pieces(text: str) -> Iterator[Span]:
    """Starts and ends of pieces that together have the tokens of the text.

    A piece begins with a white space, which tokens do not span; only a longer word than a piece is cut anywhere.
    """
    start = 0
    while len(text) - start > _PIECE_CHARS:
        latest = start + _PIECE_CHARS
        end = max(text.rfind("\n", start + 1, latest), text.rfind(" ", start + 1, latest))
        end = end if end > 0 else latest
        yield start, end
        start = end
    yield start, len(text)


def _as_written(words: Sequence[CodedWord], spelling: Spelling) -> list[CodedWord]:
    """Words of a spelled text, with their places in the text as it was written."""
    return [CodedWord(word.word, word.tokens, tuple(spelling.span(*span) for span in word.spans)) for word in words]


def _spans(encoding: Any, prompt: str) -> list[Span]:
    """Start and end in a text of each token, equal for those that are not of it: of the prompt, or special ones."""
    before = len(prompt)
    return [(max(start - before, 0), max(end - before, 0)) for start, end in encoding.offsets]


def load_tokenizer(path: Path) -> Any:
    """Reads a `tokenizer.json`; the tokenizer neither pads nor truncates.

    Raises:
        ModelError: It cannot be read.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more precise
        raise ModelError(f"cannot read {path}: {error}", "Fetch or make the model again.") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def like_lengths(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
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


def pad(ids: Sequence[Sequence[int]], pad_token_id: int) -> tuple[TokenIds, TokenIds]:
    """Token ids and attention mask of a batch, int64 `(batch, tokens)`, the shorter texts filled up."""
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
