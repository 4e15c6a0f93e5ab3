"""The card of a tuned model: what it is, what it was made of, and how good it is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from notesearch.errors import ModelError
from notesearch.evaluation.known_items import TUNING_RECORD
from notesearch.tuning.report import TuningReport, report_as_json
from notesearch.tuning.trial import Outcome

_CARD = "README.md"


def write_card(directory: Path, report: TuningReport, learnt_from: Iterable[str]) -> None:
    """Writes into the directory of a tuned model what it is, for people and for programs, for its owner only.

    Args:
        directory: The model's.
        report: What came of the tuning.
        learnt_from: Digests of the paths of the notes that it has learnt from.

    Raises:
        ModelError: It cannot be written.
    """
    record = report_as_json(report) | {"learnt_from": sorted(learnt_from)}
    for name, text in ((_CARD, model_card(report)), (TUNING_RECORD, json.dumps(record, indent=1))):
        try:
            descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - from a descriptor
                file.write(text)
        except OSError as error:
            raise ModelError(
                f"cannot write {directory / name}: {error.strerror or error}", "Is the disk full?"
            ) from error


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
            "| nDCG@10, mean over notes | queries | before | after | difference (95 % interval) | p |",
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
