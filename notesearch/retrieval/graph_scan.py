"""Dense retrieval by the graph of `vectors.hnsw`, for processes that live long enough to load it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.retrieval.dense import DenseScores, ExactScan, ExactScores, held_by
from notesearch.storage import IndexReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    ChunkIds = NDArray[np.int64]
    Scores = NDArray[np.float32]

# Candidates that the graph looks at beyond those wanted (hnswlib's ef is their sum): measured by
# benchmarks/warm_search.py.
_SPARE_CANDIDATES = 400
# A search asks several times, at last for some hundreds.
_LEAST_WANTED = 600
# More than this part of the chunks is sooner found by scanning all of them, whether wanted or admitted.
_GRAPH_PART = 0.2


class GraphScan:
    """Scores the chunks that the graph leads to; what it does not hold yet, and what filters admit, is scanned exactly.

    Args:
        reader: The index.
        graph: Its vector file, loaded by hnswlib.
    """

    def __init__(self, reader: IndexReader, graph: Any) -> None:
        self._graph = graph
        self._exact = ExactScan(reader)
        in_graph = reader.vectors()[0][0]
        self._tail: ChunkIds = self._exact.chunk_ids[~np.isin(self._exact.chunk_ids, in_graph)]

    def score(self, query_vector: Scores, admitted: ChunkIds | None) -> DenseScores:
        """See `Scan`."""
        if admitted is None:
            return GraphScores(self, query_vector)
        if len(admitted) > _GRAPH_PART * len(self._exact.chunk_ids):
            return self._exact.score(query_vector, admitted)
        chunk_ids = admitted[held_by(self._exact.chunk_ids, admitted)]
        highest = GraphScores(self, query_vector).highest
        return ExactScores(chunk_ids, self._exact.cosines(query_vector, chunk_ids), highest)

    def closest(self, query_vector: Scores, limit: int) -> tuple[ChunkIds, Scores]:
        """Ids and cosines of the chunks closest to a query, closest first, equally close ones by id."""
        found = self._by_graph(query_vector, limit)
        if found is None:
            found = self._exact.score(query_vector).best(limit)
        cosines = self.cosines(query_vector, found)
        order = np.lexsort((found, -cosines))[:limit]
        return found[order], cosines[order]

    def _by_graph(self, query_vector: Scores, limit: int) -> ChunkIds | None:
        """The chunks closest to a query by the graph, and all that it does not hold; `None` where it cannot say."""
        if limit > _GRAPH_PART * len(self._exact.chunk_ids):
            return None
        self._graph.set_ef(limit + _SPARE_CANDIDATES)
        try:
            labels, _ = self._graph.knn_query(query_vector, k=limit, num_threads=1)
        except RuntimeError:  # it leads to fewer than that: it may fall into parts, once many of its elements are gone
            return None
        return np.concatenate([labels[0].astype(np.int64), self._tail])

    def cosines(self, query_vector: Scores, chunk_ids: ChunkIds) -> Scores:
        """The cosines between a query and some of the chunks."""
        return self._exact.cosines(query_vector, chunk_ids)

    def held(self, chunk_ids: ChunkIds) -> NDArray[np.bool_]:
        """Which of some chunks there are."""
        return held_by(self._exact.chunk_ids, chunk_ids)


class GraphScores:
    """How close all chunks are to a query, found out as far as somebody asks; see `DenseScores`."""

    def __init__(self, scan: GraphScan, query_vector: Scores) -> None:
        self._scan = scan
        self._query_vector = query_vector
        self._asked = 0
        self._closest: ChunkIds = np.empty(0, dtype=np.int64)
        self._cosines: Scores = np.empty(0, dtype=np.float32)

    @property
    def highest(self) -> float:
        """See `DenseScores`."""
        self._look_for(1)
        return float(self._cosines[0]) if len(self._cosines) else -1.0

    def best(self, limit: int) -> ChunkIds:
        """See `DenseScores`."""
        self._look_for(limit)
        return self._closest[:limit]

    def admitted(self, chunk_ids: ChunkIds) -> ChunkIds:
        """See `DenseScores`."""
        return chunk_ids[self._scan.held(chunk_ids)]

    def of(self, chunk_ids: ChunkIds) -> Scores:
        """See `DenseScores`."""
        return self._scan.cosines(self._query_vector, chunk_ids)

    def _look_for(self, limit: int) -> None:
        if limit > self._asked:
            self._closest, self._cosines = self._scan.closest(self._query_vector, max(limit, _LEAST_WANTED))
            self._asked = max(limit, _LEAST_WANTED)
