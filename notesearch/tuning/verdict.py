"""Whether a tuned encoder is kept."""

from __future__ import annotations

from notesearch.tuning.trainer import GENERAL_LOSS
from notesearch.tuning.trial import Trial

# How likely chance may have made the difference at most.
_SURE = 0.05


def decide(trial: Trial | None) -> tuple[bool, str]:
    """Says whether the tuned encoder is to be kept, and why.

    It must be better on the notes held out, by more than chance makes (both the 95 % interval of the difference and the
    randomisation test say so), and no worse on the general set.

    Args:
        trial: What was measured; `None` where no share of the training was better than none.
    """
    if trial is None:
        return False, "Not kept: after training, the notes kept for choosing were found no better than before."
    own, general = trial.search.comparison, trial.general.comparison
    gained = (
        f"search on notes held out {own.difference:+.3f} nDCG@10 ({own.low:+.3f} to {own.high:+.3f}, p = {own.p:.3f})"
    )
    if own.low <= 0 or own.p >= _SURE:
        return False, f"Not kept: {gained}, which may be chance."
    if general.difference < -GENERAL_LOSS:
        return False, f"Not kept: {gained}, but {general.difference:+.3f} on general English."
    return True, f"Kept: {gained}; general English {general.difference:+.3f}."
