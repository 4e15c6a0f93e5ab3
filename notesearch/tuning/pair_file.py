"""Pairs that the owner has written down."""

from __future__ import annotations

import json
from pathlib import Path

from notesearch.errors import UsageError
from notesearch.notes import storable
from notesearch.tuning.pairs import TextPair

_LINE = 'Each line is an object such as {"query": "…", "positive": "…"}, with a "negative" if you like.'


def read_pair_file(file: Path) -> list[TextPair]:
    """Reads pairs.

    Args:
        file: JSON lines with `query`, `positive` (a text that answers it) and perhaps `negative` (one that does not).

    Raises:
        UsageError: The file cannot be read, or a line is not as it should be.
    """
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}: {error}", _LINE) from error
    pairs = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                pairs.append(_read_pair(json.loads(line)))
            except (ValueError, TypeError, AttributeError, RecursionError) as error:
                raise UsageError(f"{file}, line {number} is no pair: {error}", _LINE) from error
    return pairs


def _read_pair(record: dict[str, object]) -> TextPair:
    texts = [record.get("query"), record.get("positive"), record.get("negative", "")]
    query, positive, negative = (storable(text).strip() for text in texts if isinstance(text, str))
    if not query or not positive:
        raise ValueError("its query or its positive is empty")
    return TextPair("file", query, positive, negative)
