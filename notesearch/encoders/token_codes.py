"""Token codes: the token vectors of a passage, compressed for late interaction (ColBERT, Khattab and Zaharia, 2020).

A passage gets one code for each of its different words, stopwords aside: the mean of the vectors of the word's tokens,
wherever it stands in the passage, of which the signs of 256 components are kept. That is 4 to 13 bytes for each token
of the source and ranks as well as the vectors themselves; docs/decisions/0006-token-codes.md has the measurements.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from notesearch.words import (
    STOPWORDS,
    find_runs,
    find_some_words,
    holds_unspaced,
    key_of,
    keys_of_runs,
    spelled,
    unspaced,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

Span = tuple[int, int]

# The last components of a vector that a code keeps the signs of; which ones they are makes no difference.
_CODE_BITS = 256
# The cosine between a vector and its signs, where the components are like draws of one normal distribution.
_SIGNS_COSINE = math.sqrt(2 / math.pi)
# How much is read of a word that is spelled letter by letter: the model knows the script, but not its words.
_LETTER_READ = 0.1
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")


@dataclass(frozen=True, slots=True)
class CodedWord:
    """A word of a text that has a code, or asks for one.

    Attributes:
        word: Its key, see `words.key_of`.
        tokens: Numbers of its tokens, wherever it stands in the text.
        spans: Where it stands: start and end, in characters of the text, ascending.
    """

    word: str
    tokens: tuple[int, ...]
    spans: tuple[Span, ...]


def coded_words(text: str, token_spans: Sequence[Span]) -> list[CodedWord]:
    """Finds the words of a text that are coded, in order of their first appearance.

    Args:
        text: The text, in one spelling (`words.spelled`).
        token_spans: Start and end of each token in it; a special token's are equal.

    Returns:
        The different words, without stopwords; with them where there is nothing else. For a text without words, a
        single empty one that all tokens belong to, so that every text has a code.
    """
    runs = find_runs(text)
    has_unspaced = holds_unspaced(text)
    tokens: dict[str, list[int]] = {}
    spans: dict[str, list[Span]] = {}
    run = 0
    for number, (start, end) in enumerate(token_spans):
        while run < len(runs) and runs[run][1] <= start:
            run += 1
        if start >= end or run == len(runs) or end <= runs[run][0]:
            continue
        span = runs[run]
        if has_unspaced:
            # A run of an unspaced script is a whole sentence: there, each token is a word (without the space that some
            # tokenizers begin it with).
            start, end = max(start, span[0]), min(end, span[1])
            span = (start, end) if unspaced().match(text, start) else span
        word = key_of(text[span[0] : span[1]])
        if word not in tokens:
            tokens[word], spans[word] = [number], [span]
            continue
        tokens[word].append(number)
        if spans[word][-1] != span:
            spans[word].append(span)
    if not tokens:
        every_token = range(max(1, len(token_spans)))  # a text without any is padded to one
        return [CodedWord("", tuple(every_token), ())]
    kept = [word for word in tokens if word not in STOPWORDS] or list(tokens)
    return [CodedWord(word, tuple(tokens[word]), tuple(spans[word])) for word in kept]


def legibility(words: Sequence[CodedWord], unknown: Sequence[bool], token_spans: Sequence[Span]) -> dict[str, float]:
    """How much of each word of a text a model could read, from 0 to 1; words that it read in full are left out.

    Args:
        words: As `coded_words` finds them.
        unknown: Of each token, whether it stands for what the model's vocabulary has nothing of.
        token_spans: Start and end of each token.
    """
    legible = {}
    for word in words:
        tokens = [token for token in word.tokens if token_spans[token][0] < token_spans[token][1]]
        # A single Han character is a word, of the other scripts only one that stands alone.
        has_letters = not word.word.isascii() and (len(tokens) > 1 or holds_unspaced(word.word))
        has_letters = has_letters and not _HAN.search(word.word)
        read = [_read_of(token_spans[token], unknown=unknown[token], has_letters=has_letters) for token in tokens]
        if sum(read) < len(read):
            legible[word.word] = sum(read) / len(read)
    return legible


def _read_of(span: Span, *, unknown: bool, has_letters: bool) -> float:
    """How much of a token a model could read; a letter hardly, where single characters are letters."""
    if unknown:
        return 0.0
    return _LETTER_READ if has_letters and span[1] - span[0] == 1 else 1.0


def single_words(text: str) -> list[str]:
    """The words that `coded_words` finds where each has a token of its own: nothing is cut off, no script unspaced."""
    if holds_unspaced(spelled(text)):
        return []
    words = list(dict.fromkeys(keys_of_runs(text)))
    return [word for word in words if word not in STOPWORDS] or words


def places_of_words(text: str, words: Sequence[str]) -> list[tuple[Span, ...]]:
    """Start and end of all places of some words of a text, ascending."""
    places: dict[str, list[Span]] = {word: [] for word in words}
    for start, end, word in find_some_words(text, places):
        places[word].append((start, end))
    return [tuple(places[word]) for word in words]


def word_vectors(token_vectors: Vectors, words: Sequence[CodedWord]) -> Vectors:
    """The vectors that words are compared by: the mean of their tokens' vectors, of which some components are kept.

    Args:
        token_vectors: float32 `(tokens, dim)`.
        words: As `coded_words` finds them.

    Returns:
        float32 `(len(words), code_bits(dim))`, each row of length 1.
    """
    lengths = np.linalg.norm(token_vectors, axis=1, keepdims=True)
    scaled = (token_vectors / np.maximum(lengths, np.float32(1e-12)))[:, -_CODE_BITS:]
    firsts = np.cumsum([0, *(len(word.tokens) for word in words[:-1])])
    sums = np.add.reduceat(scaled[[token for word in words for token in word.tokens]], firsts, axis=0)
    vectors: Vectors = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.float32(1e-12))
    return vectors


def code_bits(dim: int) -> int:
    """Bits of a code, for vectors of a length."""
    return min(dim, _CODE_BITS)


def compress(vectors: Vectors) -> bytes:
    """Turns vectors `(n, bits)` into codes: the signs of their components."""
    return np.packbits(vectors > 0, axis=1).tobytes()


def expand(codes: bytes, bits: int) -> Vectors:
    """Turns codes back into vectors.

    Returns:
        float32 `(n, bits)`. The product with a vector of length 1 estimates its cosine with the vector that was coded.
    """
    packed = np.frombuffer(codes, dtype=np.uint8).reshape(-1, -(-bits // 8))
    # By table: faster than unpacking the bits and making numbers of them; take() is seven times as fast as indexing.
    vectors: Vectors = np.take(_vectors_of_bytes(bits), packed, axis=0).reshape(len(packed), 8 * packed.shape[1])
    return vectors[:, :bits]


@functools.cache
def _vectors_of_bytes(bits: int) -> Vectors:
    """What each byte says of eight components of a vector with so many."""
    signs = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1).astype(np.float32) * 2 - 1
    return signs * np.float32(1 / (math.sqrt(bits) * _SIGNS_COSINE))


def max_similarities(query: Vectors, passages: Vectors, lengths: Sequence[int]) -> Vectors:
    """For each passage and each word of a query, the highest product with one of the passage's vectors.

    Args:
        query: float32 `(words, bits)`.
        passages: Vectors of all passages, one passage after the other, float32 `(sum(lengths), bits)`.
        lengths: How many vectors each passage has, ≥ 1.

    Returns:
        float32 `(len(lengths), words)`; MaxSim is its sum over the words, weighted or not.
    """
    firsts = np.cumsum([0, *lengths[:-1]])
    highest: Vectors = np.maximum.reduceat(passages @ query.T, firsts, axis=0)
    return highest
