"""Pairs that the owner has written down."""

from __future__ import annotations

from pathlib import Path

from notesearch.errors import UsageError
from notesearch.files import read_jsonl
from notesearch.tuning.pairs import TextPair
from notesearch.words import storable

_LINE = 'Each line is an object such as {"query": "…", "positive": "…"}, with a "negative" if you like.'


def read_pair_file(file: Path) -> list[TextPair]:
    """Reads pairs.

    Args:
        file: JSON lines with `query`, `positive` (a text that answers it) and perhaps `negative` (one that does not).

    Raises:
        UsageError: The file cannot be read, or a line is not as it should be.
    """
    pairs = []
    for _, record in read_jsonl(file, ("query", "positive"), _LINE):
        texts = [record["query"], record["positive"], record.get("negative") or ""]
        if not all(isinstance(text, str) for text in texts) or not texts[0].strip() or not texts[1].strip():
            raise UsageError(f"{file}: {texts[0]!r} is no query with a positive: both should be texts", _LINE)
        query, positive, negative = (storable(text).strip() for text in texts)
        pairs.append(TextPair("file", query, positive, negative))
    return pairs
