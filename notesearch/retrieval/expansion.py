"""Notes that the ideas linked to a query bring along (docs/decisions/0008-concepts.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from notesearch.retrieval.candidates import Candidate


def count_ideas(
    own: Sequence[Candidate], ideas: Sequence[tuple[float, Sequence[Candidate]]]
) -> list[tuple[Candidate, int]]:
    """Counts each note for what the query makes of it, or for what an idea does, whichever is more.

    An idea's best note counts its weight times what the query's best one does, at most: so the query's best note stays
    first, and the notes of the query stay in their order, those of ideas between and below them. Where the query finds
    nothing, each of its notes being worth 0, there is no best one, and ideas count as they are.

    Args:
        own: The notes as the query scores them, those of the ideas among them.
        ideas: What each idea counts beside the query, and the notes as it scores them.

    Returns:
        The notes, best first, each with the number of the text that it counts for: 0 for the query, then the ideas.
    """
    scores = {candidate.note_id: candidate.score for candidate in own}
    most = max(scores.values(), default=0.0) if any(scores.values()) else math.inf
    raised: dict[int, tuple[int, Candidate]] = {}
    for number, (weight, candidates) in enumerate(ideas, start=1):
        answers = {found.note_id: found for found in candidates if found.score > 0}
        if answers and most > 0:
            factor = weight * min(1.0, most / max(found.score for found in answers.values()))
            for note_id, found in answers.items():
                score = min(most, factor * found.score)  # rounded, a product may be a little more
                if score > scores[note_id]:
                    scores[note_id] = score
                    raised[note_id] = number, found
    ranked = []
    for candidate in own:
        if ideas and not candidate.contributions:  # BM25 as it is: now it is a part of a sum
            candidate = replace(candidate, contributions={"lexical": candidate.score})
        number, found = raised.get(candidate.note_id, (0, candidate))
        if number:
            score = scores[candidate.note_id]
            # The sum of the parts may differ from the score by rounding, and so pass the query's best note.
            with_idea = candidate.with_part("concepts", score, score - candidate.score)
            candidate = replace(with_idea, score=score, passages=found.passages)
        ranked.append((candidate, number))
    return sorted(ranked, key=lambda pair: -pair[0].score)
