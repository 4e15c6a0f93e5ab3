"""The card of a tuned model: what it is, what it was made of, and how good it is."""

from __future__ import annotations

import os
from pathlib import Path

from notesearch.errors import ModelError
from notesearch.tuning.report import TuningReport
from notesearch.tuning.trial import Outcome

_FILE = "README.md"


def write_card(directory: Path, report: TuningReport) -> None:
    """Writes the card of a tuned model into its directory, for its owner only.

    Raises:
        ModelError: It cannot be written.
    """
    try:
        descriptor = os.open(directory / _FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - from a descriptor
            file.write(model_card(report))
    except OSError as error:
        raise ModelError(f"cannot write {directory / _FILE}: {error.strerror or error}", "Is the disk full?") from error


def model_card(report: TuningReport) -> str:
    """The card as Markdown, with the metadata that model cards begin with."""
    trial = report.trial
    rows = [_row(outcome) for outcome in (trial.search, trial.dense, trial.general)] if trial else []
    pairs = ", ".join(f"{count:,} of {source}" for source, count in report.pairs.items())
    return "\n".join(
        [
            "---",
            "library_name: sentence-transformers",
            "pipeline_tag: sentence-similarity",
            "tags: [sentence-transformers, feature-extraction, notesearch]",
            "---",
            "# A bi-encoder tuned to its owner's notes",
            "",
            f"Made by `notesearch tune` of {report.model}. It was trained on private notes, and its weights may give "
            "something of them away: keep it to yourself.",
            "",
            f"- Notes: {report.notes:,}. Pairs of query and passage: {pairs}.",
            "- Trained: the two upper layers, by multiple negatives ranking loss in both directions; batches without "
            "duplicates; passages that the untrained encoder finds much closer to a query than its own were left out.",
            f"- The weights lie {report.share:.0%} of the way from the encoder as it was to the trained one.",
            "",
            "| nDCG@10 | queries | before | after | difference (95 % interval) | p |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "Measured on notes that nothing was learnt from, without titles and without the words of the queries.",
            "",
            "```sh",
            "notesearch index --rebuild --model DIRECTORY",
            "```",
            "",
        ]
    )


def _row(outcome: Outcome) -> str:
    found = outcome.comparison
    return (
        f"| {outcome.name} | {outcome.queries:,} | {outcome.before:.3f} | {outcome.after:.3f} | "
        f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}] | {found.p:.3f} |"
    )
