"""Opening what reads notes for a tagger, with the encoder that it was made with."""

from __future__ import annotations

from dataclasses import dataclass

from notesearch.encoders import Encoder, load_prepared, open_encoder, prepare
from notesearch.errors import ModelError
from notesearch.passages import PASSAGES_VERSION
from notesearch.records import Chunking
from notesearch.storage import IndexReader
from notesearch.tagging.contents import ContentReader


@dataclass(frozen=True, slots=True)
class EncoderNeed:
    """The encoder that a tagger needs.

    Attributes:
        model: As the user named it.
        fingerprint: Of its weights and use.
        budget_tokens: How notes are cut for it.
    """

    model: str
    fingerprint: str
    budget_tokens: int

    @classmethod
    def of_index(cls, reader: IndexReader) -> EncoderNeed:
        """That of an index."""
        made_with = reader.fingerprint
        return cls(made_with.model, made_with.encoder, made_with.budget_tokens)


def open_content_reader(
    reader: IndexReader | None,
    need: EncoderNeed,
    *,
    max_bytes: int,
) -> ContentReader:
    """Opens a reader of notes; the encoder is opened once something has to be encoded.

    Args:
        reader: The index, if there is one.
        need: The encoder.
        max_bytes: Larger files are not read.
    """
    reuse = (
        reader is not None
        and EncoderNeed.of_index(reader).fingerprint == need.fingerprint
        and (reader.fingerprint.budget_tokens, reader.fingerprint.passages) == (need.budget_tokens, PASSAGES_VERSION)
    )
    return ContentReader(
        reader,
        lambda: open_needed_encoder(need),
        chunking=Chunking(need.budget_tokens),
        max_bytes=max_bytes,
        reuse_vectors=reuse,
    )


def open_needed_encoder(need: EncoderNeed) -> Encoder:
    """Opens an encoder by its fingerprint.

    Raises:
        ModelError: The model that goes by its name has other weights now, or is gone.
    """
    prepared = load_prepared(need.fingerprint) or prepare(need.model)
    if prepared.config.fingerprint != need.fingerprint:
        raise ModelError(
            f"the model {need.model} is no longer the one that was used here",
            "Make the index anew (notesearch index --rebuild), and then the classifier (notesearch train-classifier).",
        )
    return open_encoder(prepared)
