"""Dense retrieval: the exact scan of all embeddings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from notesearch.records import Filters
from notesearch.storage import IndexReader

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class DenseScores:
    """How close chunks are to a query.

    Attributes:
        chunk_ids: Admitted chunks, int64 `(n,)`, ascending.
        cosines: float32 `(n,)`.
        highest: The highest cosine in the whole collection, admitted or not; -1 for an empty one.
    """

    chunk_ids: NDArray[np.int64]
    cosines: NDArray[np.float32]
    highest: float

    def best(self, limit: int) -> NDArray[np.int64]:
        """Ids of the closest chunks, closest first; equally close ones by id."""
        if limit < len(self.cosines):
            # A partial sort first; then its threshold, so that no tie is cut at random.
            threshold = np.partition(self.cosines, -limit)[-limit]
            candidates = np.flatnonzero(self.cosines >= threshold)
        else:
            candidates = np.arange(len(self.cosines))
        order = np.argsort(-self.cosines[candidates], kind="stable")
        best: NDArray[np.int64] = self.chunk_ids[candidates[order][:limit]]
        return best

    def of(self, chunk_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosines of some of the admitted chunks."""
        cosines: NDArray[np.float32] = self.cosines[np.searchsorted(self.chunk_ids, chunk_ids)]
        return cosines

    def only(self, chunk_ids: NDArray[np.int64]) -> DenseScores:
        """The same scores for some of the chunks only."""
        kept = np.isin(self.chunk_ids, chunk_ids)
        return replace(self, chunk_ids=self.chunk_ids[kept], cosines=self.cosines[kept])


class ExactScan:
    """The embeddings of an index, loaded or mapped once."""

    def __init__(self, reader: IndexReader) -> None:
        self._reader = reader
        self._pairs = reader.vectors()
        self._dead = reader.dead_chunks()

    def score(self, query_vector: NDArray[np.float32], filters: Filters) -> DenseScores:
        """Scores the admitted chunks against a query vector, float32 `(dim,)` of length 1."""
        ids = np.concatenate([ids for ids, _ in self._pairs] or [np.empty(0, dtype=np.int64)])
        products = [vectors @ query_vector for _, vectors in self._pairs]
        cosines = np.concatenate(products or [np.empty(0, dtype=np.float32)])
        if len(ids) > 1 and not np.all(ids[1:] > ids[:-1]):  # hnswlib keeps no order when threads add vectors
            order = np.argsort(ids)
            ids, cosines = ids[order], cosines[order]
        if len(self._dead):
            alive = ~np.isin(ids, self._dead)
            ids, cosines = ids[alive], cosines[alive]
        scores = DenseScores(ids, cosines, highest=float(cosines.max(initial=-1.0)))
        admitted = self._reader.admitted_chunks(filters)
        return scores if admitted is None else scores.only(admitted)
