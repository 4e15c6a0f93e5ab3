"""The best candidates scored again: by late interaction, then by a cross-encoder if there is one."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders import Encoder
from notesearch.passages import passage_text
from notesearch.records import Evidence
from notesearch.retrieval.candidates import Candidate, closest_chunks, continue_below
from notesearch.retrieval.dense import DenseScores
from notesearch.retrieval.evidence import find_passage_evidence
from notesearch.retrieval.feedback import BACKGROUND_PASSAGES, Background
from notesearch.retrieval.fusion import late_contributions
from notesearch.retrieval.late_interaction import LateQuery, score_note
from notesearch.retrieval.passages import ChosenPassage
from notesearch.retrieval.snippets import Match
from notesearch.storage import IndexReader, StoredChunk, StoredNote

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from notesearch.encoders.cross_encoder import CrossEncoder

    Scores = NDArray[np.float32]

# How many notes are scored again at least: more changes nothing.
POOL_NOTES = 50
# The passages of each that are scored, the closest ones.
PASSAGES_A_NOTE = 4


@dataclass(frozen=True, slots=True)
class LateStage:
    """Late interaction for one query.

    Attributes:
        reader: The index.
        encoder: Its encoder.
        text: The query, as it was encoded.
        query: The query, made ready.
        vector: Its vector, float32 `(dim,)` of length 1.
        dense: How close the chunks are to it.
        codes: Token codes by chunk, of those that were scored.
    """

    reader: IndexReader
    encoder: Encoder
    text: str
    query: LateQuery
    vector: Scores
    dense: DenseScores
    codes: dict[int, bytes] = field(default_factory=dict)

    def rerank(
        self, candidates: Sequence[Candidate], pool: int, also: Set[int] = frozenset()
    ) -> tuple[list[Candidate], dict[int, float]]:
        """Scores the first candidates again.

        Args:
            candidates: Best first.
            pool: How many.
            also: Notes to score besides, wherever they come.

        Returns:
            All of them, best first, and what late interaction and feedback add to the score of each chunk that they
            looked at. Notes without token codes (an index that an older notesearch made) stay behind those that have
            them.
        """
        first = [*candidates[:pool], *(candidate for candidate in candidates[pool:] if candidate.note_id in also)]
        others = [candidate for candidate in candidates[pool:] if candidate.note_id not in also]
        note_chunks = self.reader.chunk_ids_of_notes([candidate.note_id for candidate in first])
        closest = closest_chunks(note_chunks, self.dense, PASSAGES_A_NOTE)
        codes = self.reader.token_codes([chunk_id for ids, _ in closest.values() for chunk_id in ids])
        self.codes.update(codes)
        late = self.query.score(list(codes.values()))
        scores = dict(zip(codes, late.tolist(), strict=True))
        added = dict(zip(codes, late_contributions(late, self.encoder.late_scale).tolist(), strict=True))
        ranked, rest, chunks = [], [], []
        for candidate in first:
            own = [chunk_id for chunk_id in closest[candidate.note_id][0] if chunk_id in scores]
            if own:
                score, contribution = (score_note([values[chunk_id] for chunk_id in own]) for values in (scores, added))
                ranked.append(candidate.with_part("late", score, contribution))
                chunks.append(own)
            else:
                rest.append(candidate)
        if ranked and "dense" in ranked[0].contributions:
            ranked = self._feed_back(ranked, chunks, added)
        ranked.sort(key=lambda candidate: -candidate.score)
        return continue_below(ranked, [*rest, *others]), added

    def _feed_back(
        self, ranked: Sequence[Candidate], chunks: Sequence[Sequence[int]], added: dict[int, float]
    ) -> list[Candidate]:
        """Adds feedback to the scores of notes, and to what is added to those of their chunks."""
        closest = self.dense.best(BACKGROUND_PASSAGES).tolist()
        chunk_ids = [chunk_id for own in chunks for chunk_id in own]
        vectors = self.reader.vectors_of_chunks([*closest, *chunk_ids])
        background = Background.of(self.vector, np.stack([vectors[chunk_id] for chunk_id in closest]))
        if background is None:
            return list(ranked)
        notes, passages = background.feed_back(
            np.stack([vectors[chunk_id] for chunk_id in chunk_ids]),
            self.dense.of(np.array(chunk_ids, dtype=np.int64)),
            np.cumsum([0, *(len(own) for own in chunks[:-1])]),
            np.array([candidate.score for candidate in ranked], dtype=np.float32),
            self.encoder.scale,
        )
        for chunk_id, contribution in zip(chunk_ids, passages.tolist(), strict=True):
            added[chunk_id] += contribution
        return [
            candidate.with_part("feedback", part, part) for candidate, part in zip(ranked, notes.tolist(), strict=True)
        ]

    def find_evidence(self, note: StoredNote, chunk: StoredChunk) -> tuple[tuple[Evidence, ...], list[Match]]:
        """See `passages.FindEvidence`."""
        codes = self.codes.get(chunk.id) or self.reader.token_codes([chunk.id]).get(chunk.id)
        return find_passage_evidence(self.query, self.text, self.encoder, note, chunk, codes) if codes else ((), [])


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
