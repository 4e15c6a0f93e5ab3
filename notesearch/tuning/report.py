"""What came of tuning."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from notesearch.tuning.trainer import ShareQuality
from notesearch.tuning.trial import Outcome, Trial


@dataclass(frozen=True, slots=True)
class TuningReport:
    """What came of tuning.

    Attributes:
        model: The encoder that was tuned, as the user named it.
        notes: How many notes there are.
        pairs: How many pairs were learnt from, by their source.
        qualities: Of the vectors, for each share of the training; first for none.
        share: The one that was chosen; 0 where none was better.
        trial: What the decision was made by.
        kept: Whether the tuned encoder is kept.
        verdict: Why, or why not.
        directory: Where it is, if it is kept.
        seconds: Wall-clock time.
    """

    model: str
    notes: int
    pairs: dict[str, int]
    qualities: tuple[ShareQuality, ...]
    share: float
    trial: Trial | None
    kept: bool
    verdict: str
    directory: Path | None = None
    seconds: float = 0.0


def report_as_json(report: TuningReport) -> dict[str, Any]:
    """A report in values that JSON knows; measures rounded to 4 digits."""
    outcomes = [report.trial.search, report.trial.dense, report.trial.general] if report.trial else []
    return {
        "kept": report.kept,
        "verdict": report.verdict,
        "directory": str(report.directory) if report.directory else None,
        "model": report.model,
        "notes": report.notes,
        "pairs": report.pairs,
        "share": report.share,
        "shares": [_rounded(asdict(quality)) for quality in report.qualities],
        "trial": [_outcome(outcome) for outcome in outcomes],
        "seconds": round(report.seconds, 1),
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "queries": outcome.queries,
        **_rounded({"before": outcome.before, "after": outcome.after}),
        **_rounded(asdict(outcome.comparison)),
    }


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}
