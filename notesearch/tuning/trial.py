"""Whether a tuned encoder is better than the one it was made of: the whole search, on notes that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from notesearch.encoders import Encoder, models
from notesearch.evaluation.collections import GeneralSet
from notesearch.evaluation.comparison import Comparison, compare
from notesearch.evaluation.known_items import make_own_collection
from notesearch.evaluation.report import StageScores
from notesearch.library.evaluate import Progress, score_stages
from notesearch.settings import Settings
from notesearch.tuning.material import Material
from notesearch.tuning.validation import ndcg_of_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One measure before and after tuning.

    Attributes:
        name: What was measured.
        before: nDCG@10; queries that ask for one note count together as much as one.
        after: Likewise.
        comparison: Note by note, since the queries that ask for one note are not independent.
        queries: How many were asked.
    """

    name: str
    before: float
    after: float
    comparison: Comparison
    queries: int


@dataclass(frozen=True, slots=True)
class Trial:
    """A tuned encoder beside the one it was made of.

    Attributes:
        search: The search as it is by default, on notes held out.
        dense: Vectors alone, on the same.
        general: Vectors alone, on the other half of the general set.
    """

    search: Outcome
    dense: Outcome
    general: Outcome


def hold_trial(
    settings: Settings, before: str, folder: Path, material: Material, general: GeneralSet, progress: Progress
) -> Trial:
    """Compares two encoders.

    Args:
        settings: How notes are indexed and searched.
        before: The encoder, as the user named it.
        folder: Holds the tuned one in `model`; notes and indexes are put beside it.
        material: The notes, and the known items to decide by.
        general: The general set; its odd queries are used.
        progress: Told what is being done.

    Raises:
        ModelError: An encoder cannot be prepared.
    """
    after = str(folder / "model")
    notes = [item.target for item in material.test]
    known = models.find_prepared(models.fingerprint_of(after))
    dense, search = _search(replace(settings, model=before), folder / "before", material, progress)
    first = _general(models.open_encoder(models.prepare(before)), general)
    try:
        tuned_dense, tuned_search = _search(replace(settings, model=after), folder / "after", material, progress)
        second = _general(models.open_encoder(models.prepare(after)), general)
    finally:
        if known is None:  # else it is one that was kept before, and is used
            models.forget_prepared(models.fingerprint_of(after))
    return Trial(
        search=_outcome("search", search.by_query.ndcg_10, tuned_search.by_query.ndcg_10, notes),
        dense=_outcome("vectors alone", dense.by_query.ndcg_10, tuned_dense.by_query.ndcg_10, notes),
        general=_outcome("general English", first, second, range(len(first))),
    )


def _search(settings: Settings, folder: Path, material: Material, progress: Progress) -> list[StageScores]:
    names = [str(note.path) for note in material.notes]
    collection = make_own_collection(material.notes, names, folder / "notes", material.test)
    scores, _ = score_stages(
        settings,
        collection,
        folder / "index",
        ("dense", "maxsim"),
        progress=lambda what, done, total: progress(f"{what} ({folder.name})", done, total),
    )
    return scores


def _general(encoder: Encoder, general: GeneralSet) -> Values:
    import numpy as np

    queries = np.stack([encoder.encode_query(text).vector for text in general.queries[1::2]])
    passages = encoder.encode_passages(list(general.passages)).vectors
    return ndcg_of_vectors(queries, passages, range(len(passages)), general.relevant[1::2])


def _outcome(name: str, before: Values, after: Values, asked_for: Sequence[int]) -> Outcome:
    """Compares the values of queries by what they ask for."""
    first, second = _mean_by(asked_for, before), _mean_by(asked_for, after)
    return Outcome(name, float(first.mean()), float(second.mean()), compare(first, second), len(before))


def _mean_by(groups: Sequence[int], values: Values) -> Values:
    """The mean value of each group."""
    import numpy as np

    _, places = np.unique(np.asarray(groups), return_inverse=True)
    means: Values = np.bincount(places, weights=values) / np.bincount(places)
    return means
