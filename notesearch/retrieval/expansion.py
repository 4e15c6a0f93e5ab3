"""Notes that the ideas linked to a query bring along (docs/decisions/0008-concepts.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from notesearch.retrieval.candidates import Candidate
from notesearch.retrieval.passages import RankChunks
from notesearch.retrieval.query import Query
from notesearch.retrieval.reranking import LateStage

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
    first, and the notes of the query stay in their order, those of ideas between and below them.

    Args:
        candidates: Of the query, the notes of the ideas among them.
        expansions: The ideas.

    Returns:
        The candidates, best first, and for each note that counts more for an idea, that idea's ranking.
    """
    if not expansions:
        return list(candidates), {}
    best = max((candidate.score for candidate in candidates), default=0.0)
    scores = {candidate.note_id: candidate.score for candidate in candidates}
    raised: dict[int, Ranking] = {}
    for expansion in expansions:
        factor = expansion.weight * _levelling(best, expansion.ranking)
        for found in expansion.ranking.candidates:
            if factor * found.score > scores[found.note_id]:
                scores[found.note_id] = factor * found.score
                raised[found.note_id] = expansion.ranking
    ranked = [_counting(candidate, scores[candidate.note_id]) for candidate in candidates]
    ranked.sort(key=lambda candidate: -candidate.score)
    return ranked, raised


def _levelling(best: float, ranking: Ranking) -> float:
    """What brings an idea's scores down to the query's; 1 where there is nothing to bring them down to."""
    highest = max((candidate.score for candidate in ranking.candidates), default=0.0)
    return min(1.0, best / highest) if best > 0 and highest > 0 else 1.0


def _counting(candidate: Candidate, score: float) -> Candidate:
    """A candidate with what it counts for an idea."""
    if score <= candidate.score:
        return candidate
    return candidate.with_part("concepts", score, score - candidate.score)
