"""Notes that the ideas linked to a query bring along (docs/decisions/0008-concepts.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from notesearch.retrieval.candidates import Candidate
from notesearch.retrieval.late_interaction import LateStage
from notesearch.retrieval.passages import RankChunks
from notesearch.retrieval.query import Query

# How many notes an idea brings along at most.
IDEA_NOTES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Notes ranked by how well they answer one text.

    Attributes:
        query: The text: the query, or an idea linked to it.
        candidates: Best first.
        rank_chunks: See `passages.choose_passages`.
        late: Late interaction, where it took part.
    """

    query: Query
    candidates: list[Candidate]
    rank_chunks: RankChunks
    late: LateStage | None


@dataclass(frozen=True, slots=True)
class Expansion:
    """An idea that a query brings along.

    Attributes:
        weight: What it counts beside the query.
        ranking: Its notes.
    """

    weight: float
    ranking: Ranking


def rank_with_expansions(
    candidates: Sequence[Candidate], expansions: Sequence[Expansion]
) -> tuple[list[Candidate], dict[int, Ranking]]:
    """Counts each note for what the query makes of it, or for what an idea does, whichever is more.

    An idea's best note counts its weight times what the query's best one does, at most: so the query's best note stays
    first, and the notes of the query stay in their order, those of ideas between and below them. Where the query finds
    nothing, each of its notes being worth 0, there is no best one, and ideas count as they are.

    Args:
        candidates: Of the query, the notes of the ideas among them.
        expansions: The ideas.

    Returns:
        The candidates, best first, and for each note that counts more for an idea, that idea's ranking.
    """
    if not expansions:
        return list(candidates), {}
    scores = {candidate.note_id: candidate.score for candidate in candidates}
    most = max(scores.values(), default=0.0) if any(scores.values()) else math.inf
    raised: dict[int, Ranking] = {}
    for expansion in expansions:
        for note_id, score in _scores_of_idea(expansion, most).items():
            if score > scores[note_id]:
                scores[note_id] = score
                raised[note_id] = expansion.ranking
    ranked = [_counting(candidate, scores[candidate.note_id]) for candidate in candidates]
    ranked.sort(key=lambda candidate: -candidate.score)
    return ranked, raised


def _scores_of_idea(expansion: Expansion, most: float) -> dict[int, float]:
    """What an idea makes of the notes that answer it: its best one counts its weight times so much, at most."""
    own = {found.note_id: found.score for found in expansion.ranking.candidates if found.score > 0}
    if not own or most <= 0:
        return {}
    factor = expansion.weight * min(1.0, most / max(own.values()))
    # Rounded, a product may be a little more.
    return {note_id: min(most, factor * score) for note_id, score in own.items()}


def _counting(candidate: Candidate, score: float) -> Candidate:
    """A candidate with what it counts for an idea."""
    if score <= candidate.score:
        return candidate
    # The sum of the parts may differ from the score by rounding, and so pass the query's best note.
    return replace(candidate.with_part("concepts", score, score - candidate.score), score=score)
