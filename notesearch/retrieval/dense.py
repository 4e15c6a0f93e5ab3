"""Dense retrieval: how close all chunks are to a query, by an exact scan of their embeddings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from notesearch.records import Filters
from notesearch.storage import IndexReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    ChunkIds = NDArray[np.int64]
    Scores = NDArray[np.float32]


class DenseScores(Protocol):
    """How close the admitted chunks are to a query: all of them known (`ExactScores`), or found by a graph."""

    @property
    def highest(self) -> float:
        """The highest cosine in the whole collection, admitted or not; -1 for an empty one."""
        ...

    def best(self, limit: int) -> ChunkIds:
        """Ids of the closest chunks, closest first; equally close ones by id."""
        ...

    def admitted(self, chunk_ids: ChunkIds) -> ChunkIds:
        """Those of some chunks that are admitted, in their order."""
        ...

    def of(self, chunk_ids: ChunkIds) -> Scores:
        """Cosines of some of the admitted chunks."""
        ...

    def only(self, chunk_ids: ChunkIds) -> DenseScores:
        """The same scores for some of the chunks only."""
        ...


class Scan(Protocol):
    """What scores chunks: all of them (`ExactScan`), or those that a graph leads to (`GraphScan`)."""

    def score(self, query_vector: Scores, filters: Filters) -> DenseScores:
        """Scores the admitted chunks against a query vector, float32 `(dim,)` of length 1."""
        ...


def open_scan(reader: IndexReader) -> Scan:
    """The scan for an index: by the graph, where the reader has it loaded."""
    graph = reader.graph()
    if graph is None:
        return ExactScan(reader)
    from notesearch.retrieval.graph_scan import GraphScan

    return GraphScan(reader, graph)


@dataclass(frozen=True, slots=True)
class ExactScores:
    """The cosines of all admitted chunks; see `DenseScores`.

    Attributes:
        chunk_ids: Admitted chunks, int64 `(n,)`, ascending.
        cosines: float32 `(n,)`.
        highest: The highest cosine in the whole collection, admitted or not; -1 for an empty one.
    """

    chunk_ids: ChunkIds
    cosines: Scores
    highest: float

    def best(self, limit: int) -> ChunkIds:
        """See `DenseScores`."""
        if limit < len(self.cosines):
            # A partial sort first; then its threshold, so that no tie is cut at random.
            threshold = np.partition(self.cosines, -limit)[-limit]
            candidates = np.flatnonzero(self.cosines >= threshold)
        else:
            candidates = np.arange(len(self.cosines))
        order = np.argsort(-self.cosines[candidates], kind="stable")
        best: ChunkIds = self.chunk_ids[candidates[order][:limit]]
        return best

    def admitted(self, chunk_ids: ChunkIds) -> ChunkIds:
        """See `DenseScores`."""
        return chunk_ids[held_by(self.chunk_ids, chunk_ids)]

    def of(self, chunk_ids: ChunkIds) -> Scores:
        """See `DenseScores`."""
        cosines: Scores = self.cosines[np.searchsorted(self.chunk_ids, chunk_ids)]
        return cosines

    def only(self, chunk_ids: ChunkIds) -> ExactScores:
        """See `DenseScores`."""
        kept = np.isin(self.chunk_ids, chunk_ids)
        return replace(self, chunk_ids=self.chunk_ids[kept], cosines=self.cosines[kept])


class ExactScan:
    """The embeddings of an index, loaded or mapped once.

    Attributes:
        chunk_ids: The chunks that there are, int64 `(n,)`, ascending.
    """

    def __init__(self, reader: IndexReader) -> None:
        self._reader = reader
        self._pairs = reader.vectors()
        ids = np.concatenate([ids for ids, _ in self._pairs] or [np.empty(0, dtype=np.int64)])
        rows = np.arange(len(ids))
        if len(ids) > 1 and not np.all(ids[1:] > ids[:-1]):  # hnswlib keeps no order when threads add vectors
            rows = np.argsort(ids)
        if len(dead := reader.dead_chunks()):
            rows = rows[~np.isin(ids[rows], dead)]
        self.chunk_ids: ChunkIds = ids[rows]
        self._rows = None if len(rows) == len(ids) and np.all(rows[1:] > rows[:-1]) else rows

    def score(self, query_vector: Scores, filters: Filters) -> ExactScores:
        """See `Scan`."""
        products = [vectors @ query_vector for _, vectors in self._pairs]
        cosines = np.concatenate(products) if products else np.empty(0, dtype=np.float32)
        if self._rows is not None:
            cosines = cosines[self._rows]
        scores = ExactScores(self.chunk_ids, cosines, highest=float(cosines.max(initial=-1.0)))
        admitted = self._reader.admitted_chunks(filters)
        return scores if admitted is None else scores.only(admitted)

    def cosines(self, query_vector: Scores, chunk_ids: ChunkIds) -> Scores:
        """The cosines between a query and some of the chunks, computed for these alone."""
        rows = np.searchsorted(self.chunk_ids, chunk_ids)
        if self._rows is not None:
            rows = self._rows[rows]
        cosines = np.empty(len(rows), dtype=np.float32)
        first = 0
        for ids, vectors in self._pairs:
            here = (rows >= first) & (rows < first + len(ids))
            cosines[here] = vectors[rows[here] - first] @ query_vector
            first += len(ids)
        return cosines


def held_by(ascending: ChunkIds, chunk_ids: ChunkIds) -> NDArray[np.bool_]:
    """Which of some ids are among others that are in ascending order: for few ids faster than sorting both."""
    places = np.searchsorted(ascending, chunk_ids)
    places[places == len(ascending)] = 0
    held: NDArray[np.bool_] = ascending[places] == chunk_ids if len(ascending) else np.zeros(len(chunk_ids), bool)
    return held
