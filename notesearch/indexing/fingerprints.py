"""What the vectors of an index depend on: vectors of two kinds never meet in one index."""

from __future__ import annotations

from dataclasses import replace

from notesearch.encoders import EncoderConfig, models
from notesearch.errors import IndexMismatch
from notesearch.notes.chunks import PASSAGES_VERSION
from notesearch.records import Chunking
from notesearch.storage import Fingerprint


def fingerprint_of(config: EncoderConfig, chunking: Chunking, token_model: str) -> Fingerprint:
    """What vectors depend on that are made by a bi-encoder, of such chunks, with a token model or with none."""
    return Fingerprint(
        model=config.name,
        encoder=config.fingerprint,
        dim=config.dim,
        budget_tokens=chunking.budget_tokens,
        overlap_sentences=chunking.overlap_sentences,
        passages=PASSAGES_VERSION,
        token_model=token_model,
        token_encoder=models.fingerprint_of(token_model, "multi-vector") if token_model else "",
    )


def require_same_vectors(found: Fingerprint, wanted: Fingerprint) -> None:
    """Makes sure that new vectors belong with those of an index; the names of the models do not matter.

    Raises:
        IndexMismatch: They do not.
    """
    if replace(found, model=wanted.model, token_model=wanted.token_model) != wanted:
        made_with, options = _difference(found, wanted)
        raise IndexMismatch(
            f"this index was made with {made_with}; vectors of two kinds cannot be mixed",
            f"Go on with {options}, or make the index anew as asked for: notesearch index --rebuild",
        )


def _difference(found: Fingerprint, wanted: Fingerprint) -> tuple[str, str]:
    """What an index was made with that is not wanted now, and the options that would go on with it."""
    if found.encoder != wanted.encoder and found.model == wanted.model:
        return f"{found.model} as it was; its files have changed", "the files that it had"
    if found.encoder != wanted.encoder:
        return f"the model {found.model}", f"--model {found.model}"
    if found.token_encoder != wanted.token_encoder:
        made_with = f"the token model {found.token_model}" if found.token_model else "no token model"
        return made_with, f"--token-model {found.token_model or 'none'}"
    return "other chunk settings", "those"
