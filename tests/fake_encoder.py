"""An encoder that takes no time, and models to go with it."""

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notesearch.encoders import EncodedQuery, EncoderConfig, PreparedModel, ScoreScale, models
from notesearch.encoders.encoder import EncodedPassages
from notesearch.encoders.token_codes import CodedWord, coded_words, compress

# For files: one that was only just written is read again, lest it be written once more within a tick of the clock.
LONG_AGO_S = 1_700_000_000
_WORD = re.compile(r"\w+")
_SCALE = ScoreScale(unrelated=0.0, related=1.0)


class FakeEncoder:
    """Stands in for `Encoder`: a passage's vector counts its words by hash, so texts that share words are close.

    In late interaction, a word is close to itself and to nothing else.

    Attributes:
        config: Of the fake model.
        scale: Of the fake model.
        late_scale: Of the fake model.
        code_bits: Of the fake model.
        encoded: Every passage it was ever asked for, in order.
        passages_left: When these are encoded it fails, as a process does that is killed; `None` for never.
    """

    def __init__(self, config: EncoderConfig) -> None:
        self.config = config
        self.scale = self.late_scale = _SCALE
        self.code_bits = 64
        self.encoded: list[str] = []
        self.passages_left: int | None = None

    def encode_query(self, query: str) -> EncodedQuery:
        words = self.words_of_codes(query)
        return EncodedQuery(self._vector(query), tuple(words), np.stack([self._word_vector(word) for word in words]))

    def knows(self, word: str) -> bool:
        return False

    def encode_passages(self, passages: Sequence[str]) -> EncodedPassages:
        if self.passages_left is not None:
            self.passages_left -= len(passages)
            if self.passages_left < 0:
                raise KeyboardInterrupt
        self.encoded += passages
        codes = [
            compress(np.stack([self._word_vector(word) for word in self.words_of_codes(passage)]))
            for passage in passages
        ]
        return EncodedPassages(np.stack([self._vector(passage) for passage in passages]), codes)

    def words_of_codes(self, passage: str) -> list[CodedWord]:
        return coded_words(passage, [match.span() for match in _WORD.finditer(passage)])

    def places_of_codes(self, passage: str, codes: int, wanted: Sequence[int]) -> list[tuple[tuple[int, int], ...]]:
        words = self.words_of_codes(passage)
        return [words[number].spans for number in wanted] if len(words) == codes else []

    def token_starts(self, text: str) -> list[int]:
        return [match.start() for match in _WORD.finditer(text)]

    def _word_vector(self, word: CodedWord) -> NDArray[np.float32]:
        digest = hashlib.blake2b(word.word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        signs = np.unpackbits(np.frombuffer(digest, dtype=np.uint8)).astype(np.float32) * 2 - 1
        return signs / np.float32(8)

    def _vector(self, text: str) -> NDArray[np.float32]:
        vector = np.zeros(self.config.dim, dtype=np.float32)
        vector[0] = 0.1  # a text without words has a vector too
        for word in _WORD.findall(text.casefold()):
            digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=4).digest()
            vector[int.from_bytes(digest) % self.config.dim] += 1
        return vector / np.linalg.norm(vector)


class FakeModels:
    """Stands in for `notesearch.encoders.models`: any name is that of a model, which is there and takes no time.

    Attributes:
        encoder: What is opened, unless there is one in `encoders`.
        encoders: What is opened instead, by the name of the model.
        files: What names stand for; an error is raised. To be changed by tests.
        dim: Of all models.
        multi_vector_fingerprint: Of any multi-vector model.
        forgotten: The fingerprints of the prepared models that were deleted.
    """

    def __init__(self) -> None:
        self.encoder = FakeEncoder(make_fake_model("fake-model").config)
        self.encoders: dict[str, FakeEncoder] = {}
        self.files: dict[str, PreparedModel | Exception] = {}
        self.dim = self.encoder.config.dim
        self.forgotten: list[str] = []
        self.multi_vector_fingerprint = "0" * 32

    def put_in_place(self, put: Callable[[object, str, Any], None]) -> None:
        """Makes everything that needs a model get one from here."""
        for name, own in vars(type(self)).items():
            if hasattr(models, name) and not name.startswith("_"):
                put(models, name, own.__get__(self))

    def prepare(self, name: str) -> PreparedModel:
        found = self.files.setdefault(name, make_fake_model(name, self.dim))
        if isinstance(found, Exception):
            raise found
        return found

    def fingerprint_of(self, name: str, kind: str = "bi-encoder") -> str:
        return self.prepare(name).config.fingerprint if kind == "bi-encoder" else self.multi_vector_fingerprint

    def find_prepared(self, fingerprint: str, *, thoroughly: bool = False) -> PreparedModel | None:
        prepared = [found for found in self.files.values() if isinstance(found, PreparedModel)]
        return next((found for found in prepared if found.config.fingerprint == fingerprint), None)

    def forget_prepared(self, fingerprint: str) -> None:
        self.forgotten.append(fingerprint)

    def open_encoder(self, prepared: PreparedModel, token_model: str = "", **options: int | None) -> FakeEncoder:
        return self.encoders.get(prepared.config.name, self.encoder)


def make_fake_model(name: str, dim: int = 16) -> PreparedModel:
    config = EncoderConfig(
        name=name,
        fingerprint=hashlib.sha256(name.encode()).hexdigest()[:32],
        pooling="mean",
        max_tokens=256,
        query_prompt="",
        passage_prompt="",
        pad_token_id=0,
        dim=dim,
    )
    return PreparedModel(Path("/nowhere"), config, "int8", fused=True, scale=_SCALE, late_scale=_SCALE)
