"""The best candidates scored again by a cross-encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from notesearch.passages import passage_text
from notesearch.retrieval.passages import ChosenPassage

if TYPE_CHECKING:
    from notesearch.encoders.cross_encoder import CrossEncoder

# How many notes are scored again at least: more changes nothing.
POOL_NOTES = 50


def rerank_by_cross_encoder(
    cross_encoder: CrossEncoder, query: str, chosen: Sequence[ChosenPassage]
) -> list[ChosenPassage]:
    """Ranks notes by a cross-encoder's scores of the passages chosen for them."""
    texts = [passage_text(passage.note.title, passage.chunk.heading, passage.chunk.text) for passage in chosen]
    scores = cross_encoder.score(query, texts)
    ranked = []
    for row in np.argsort(-scores, kind="stable").tolist():
        score = float(scores[row])
        found = chosen[row].found
        parts = found.parts | {"cross_encoder": score}
        ranked.append(replace(chosen[row], found=replace(found, score=score, parts=parts, contributions={})))
    return ranked


def continue_below(ranked: Sequence[ChosenPassage], rest: Sequence[ChosenPassage]) -> list[ChosenPassage]:
    """Puts notes that were not scored again after those that were, in their order, with scores that say so."""
    floor = ranked[-1].found.score if ranked else 0.0
    drop = rest[0].found.score - floor if rest else 0.0
    if not ranked or drop <= 0:
        return [*ranked, *rest]
    lowered = []
    for passage in rest:
        score = min(passage.found.score - drop, floor)  # rounding may leave it a little above
        lowered.append(replace(passage, found=replace(passage.found, score=score, contributions={})))
    return [*ranked, *lowered]
