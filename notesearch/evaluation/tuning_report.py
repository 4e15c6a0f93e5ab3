"""What came of tuning: the measures before and after, the verdict, and the card of a model that is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.evaluation.comparison import Comparison, compare
from notesearch.evaluation.known_items import TUNING_RECORD
from notesearch.files import write_whole
from notesearch.pages import render_page, rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

# What tuning may cost on the general set, in nDCG@10: about what one query in a hundred is worth.
_GENERAL_LOSS = 0.005
# How likely chance may have made the difference at most.
_MOST_P = 0.05


@dataclass(frozen=True, slots=True)
class WeightQuality:
    """How good the vectors are with an interpolation weight.

    Attributes:
        weight: 0 for the encoder as it was, 1 for as it was trained.
        own: nDCG@10 on the notes kept for this choice, by vectors alone.
        general: nDCG@10 on one half of the general set.
    """

    weight: float
    own: float
    general: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One measure before and after tuning.

    Attributes:
        name: What was measured.
        queries: How many were asked.
        before: nDCG@10; queries that ask for one note count together as much as one.
        after: Likewise.
        comparison: Note by note, since the queries that ask for one note are not independent.
    """

    name: str
    queries: int
    before: float
    after: float
    comparison: Comparison

    @classmethod
    def of(cls, name: str, before: Values, after: Values, asked_for: Sequence[int]) -> Outcome:
        """Compares the values of queries by the notes that they ask for."""
        _, places = np.unique(np.asarray(asked_for), return_inverse=True)
        first, second = (np.bincount(places, weights=values) / np.bincount(places) for values in (before, after))
        return cls(name, len(before), float(first.mean()), float(second.mean()), compare(first, second))


@dataclass(frozen=True, slots=True)
class TuningReport:
    """What came of tuning.

    Attributes:
        model: The encoder that was tuned, as the user named it.
        notes: How many notes there are.
        pairs: How many pairs were learnt from, by their source.
        qualities: For each interpolation weight; first for 0.
        weight: The one that was chosen; 0 where none was better.
        trial: The whole search, and vectors alone, on notes held out; and the general set. Empty for a weight of 0.
        kept: Whether the tuned encoder is kept.
        verdict: Why, or why not.
        directory: Where it is, if it is kept.
        seconds: Wall-clock time.
    """

    model: str
    notes: int
    pairs: dict[str, int]
    qualities: tuple[WeightQuality, ...]
    weight: float
    trial: tuple[Outcome, ...]
    kept: bool
    verdict: str
    directory: Path | None = None
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The report in values that JSON knows; measures rounded to 4 digits."""
        values: dict[str, Any] = rounded(
            {
                "kept": self.kept,
                "verdict": self.verdict,
                "directory": str(self.directory) if self.directory else None,
                "model": self.model,
                "notes": self.notes,
                "pairs": self.pairs,
                "interpolation_weight": self.weight,
                "interpolation_weights": [asdict(quality) for quality in self.qualities],
                "trial": [_flat(**asdict(outcome)) for outcome in self.trial],
                "seconds": round(self.seconds, 1),
            }
        )
        return values


def choose_weight(qualities: Sequence[WeightQuality]) -> float:
    """The weight that is best on the notes, of those that lose nothing on the general set; 0 where none is better.

    Args:
        qualities: The encoder as it was first.
    """
    allowed = [quality for quality in qualities if quality.general >= qualities[0].general - _GENERAL_LOSS]
    return max(allowed, key=lambda quality: (quality.own, -quality.weight)).weight


def decide(trial: Sequence[Outcome]) -> tuple[bool, str]:
    """Says whether the tuned encoder is to be kept, and why.

    It must be better on the notes held out, by more than chance makes (both the 95 % interval of the difference and the
    randomisation test say so), and no worse on the general set.

    Args:
        trial: The whole search first, the general set last; empty where no weight was better than 0.
    """
    if not trial:
        return False, "Not kept: after training, the notes kept for choosing were found no better than before."
    own, general = trial[0].comparison, trial[-1].comparison
    gained = (
        f"search on notes held out {own.difference:+.3f} nDCG@10 ({own.low:+.3f} to {own.high:+.3f}, p = {own.p:.3f})"
    )
    if own.low <= 0 or own.p >= _MOST_P:
        return False, f"Not kept: {gained}, which may be chance."
    if general.difference < -_GENERAL_LOSS:
        return False, f"Not kept: {gained}, but {general.difference:+.3f} on general English."
    return True, f"Kept: {gained}; general English {general.difference:+.3f}."


def write_card(directory: Path, report: TuningReport, learnt_from: Iterable[str]) -> None:
    """Writes into the directory of a tuned model what it is, for people and for programs.

    Args:
        directory: The model's.
        report: What came of the tuning.
        learnt_from: Digests of the paths of the notes that it has learnt from.

    Raises:
        OSError: It cannot be written.
    """
    values = report.as_json()
    card = render_page("tuned_model.md", report=values)
    write_whole(directory / "README.md", card)
    write_whole(directory / TUNING_RECORD, json.dumps(values | {"learnt_from": sorted(learnt_from)}, indent=1))


def _flat(comparison: dict[str, Any], **values: Any) -> dict[str, Any]:
    return values | comparison
