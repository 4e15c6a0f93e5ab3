"""notesearch as a library: notes and passages of an index that say the same in the same words."""

from __future__ import annotations

from pathlib import Path

from notesearch.errors import UsageError
from notesearch.retrieval.duplicate_passages import find_duplicate_passages
from notesearch.retrieval.duplicates import Duplicates, find_duplicate_notes
from notesearch.settings import load_settings
from notesearch.storage import IndexReader

# On real notes, pairs from here on are versions, parts and copies; below .6 they are mostly of one series.
DEFAULT_THRESHOLD = 0.8
_LEAST_THRESHOLD = 0.1


def find_duplicates(
    *,
    passages: bool = False,
    threshold: float = DEFAULT_THRESHOLD,
    index_dir: str | Path | None = None,
    collection: str | None = None,
) -> Duplicates:
    """Finds notes that are copies of others or parts of them, or passages that stand in several notes; changes nothing.

    Args:
        passages: Whether to look for passages, of 25 words or more, rather than for whole notes.
        threshold: How much of the words of one must stand in the other, from 0.1 to 1.
        index_dir: The index; by default the command line's.
        collection: The collection of the settings file whose index is taken, all of it.

    Returns:
        Groups, each note in one at most; and how many notes could not be compared.

    Raises:
        UsageError: There is no such threshold.
        IndexMissing: Nothing has been indexed.
        StoreError: The index cannot be read.
    """
    if not _LEAST_THRESHOLD <= threshold <= 1:
        raise UsageError(f"the threshold is {threshold}", f"Give one from {_LEAST_THRESHOLD} to 1.")
    settings = load_settings(collection=collection, index_dir=Path(index_dir) if index_dir else None)
    with IndexReader(settings.index_dir) as reader:
        return (find_duplicate_passages if passages else find_duplicate_notes)(reader, threshold)
