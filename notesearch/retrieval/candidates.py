"""Candidates: notes that may become hits, and the stages that score them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Candidate:
    """A note that may become a hit.

    Attributes:
        note_id: The note.
        score: What it is ranked by.
        parts: The scores that this was made of, each on its own scale.
        contributions: What each of them adds to the score; empty where that is no sum.
        passages: What stages after fusion add to the scores of single passages, by chunk id; they look at some only.
    """

    note_id: int
    score: float
    parts: dict[str, float]
    contributions: dict[str, float]
    passages: dict[int, float] = field(default_factory=dict)

    def with_part(
        self, name: str, score: float, contribution: float, passages: Mapping[int, float] | None = None
    ) -> Candidate:
        """The same note with a further part in its score.

        Args:
            name: The part's name.
            score: The part on its own scale.
            contribution: What it adds to the score of the note.
            passages: What it adds to the scores of passages.
        """
        return replace(
            self,
            score=self.score + contribution,
            parts=self.parts | {name: score},
            contributions=self.contributions | {name: contribution},
            passages=self.passages | {i: self.passages.get(i, 0.0) + added for i, added in (passages or {}).items()},
        )


class Stage(Protocol):
    """What scores candidates again after fusion."""

    def rescore(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Adds a part to the score of each candidate, in the order given."""
        ...


def run_stages(candidates: Sequence[Candidate], stages: Iterable[Stage]) -> list[Candidate]:
    """Sends candidates through stages, one after another; returns them best first."""
    for stage in stages:
        candidates = stage.rescore(candidates)
    return sorted(candidates, key=lambda candidate: -candidate.score)
