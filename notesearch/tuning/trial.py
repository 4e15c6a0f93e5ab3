"""Whether a tuned encoder is better than the one it was made of: the whole search, on notes that it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from notesearch.encoders import Encoder, forget_prepared, open_encoder, prepare, read_encoder_config
from notesearch.evaluation.comparison import Comparison, compare
from notesearch.evaluation.general import GeneralSet
from notesearch.evaluation.own_notes import make_own_collection
from notesearch.evaluation.scores import StageScores
from notesearch.evaluation_api import score_stages
from notesearch.settings import Settings
from notesearch.tuning.material import Material
from notesearch.tuning.validation import ndcg_of_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One measure before and after tuning.

    Attributes:
        name: What was measured.
        before: nDCG@10.
        after: nDCG@10.
        comparison: Query by query.
        queries: How many.
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
    dense, search = _search(replace(settings, model=before), folder / "before", material, progress)
    first = _general(open_encoder(prepare(before)), general)
    try:
        tuned_dense, tuned_search = _search(replace(settings, model=after), folder / "after", material, progress)
        second = _general(open_encoder(prepare(after)), general)
    finally:
        forget_prepared(read_encoder_config(after, Path(after)).fingerprint)  # it is prepared again when it is used
    return Trial(
        search=_outcome("search", search.by_query.ndcg_10, tuned_search.by_query.ndcg_10),
        dense=_outcome("vectors alone", dense.by_query.ndcg_10, tuned_dense.by_query.ndcg_10),
        general=_outcome("general English", first, second),
    )


def _search(settings: Settings, folder: Path, material: Material, progress: Progress) -> list[StageScores]:
    names = [str(note.path) for note in material.notes]
    collection = make_own_collection(material.notes, names, folder / "notes", material.test)
    return score_stages(
        settings,
        collection,
        folder / "index",
        ("dense", "maxsim"),
        progress=lambda what, done, total: progress(f"{what} ({folder.name})", done, total),
    )


def _general(encoder: Encoder, general: GeneralSet) -> Values:
    import numpy as np

    queries = np.stack([encoder.encode_query(text).vector for text in general.queries[1::2]])
    passages = encoder.encode_passages(list(general.passages)).vectors
    return ndcg_of_vectors(queries, passages, range(len(passages)), general.relevant[1::2])


def _outcome(name: str, before: Values, after: Values) -> Outcome:
    return Outcome(name, float(before.mean()), float(after.mean()), compare(before, after), len(before))
