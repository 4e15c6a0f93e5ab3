"""Dense retrieval: how similar chunks are to a query, by an exact scan of their embeddings or by a graph of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.encoders import EncodedQuery, Encoder
from notesearch.storage import Reader

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


class QueryEncoder:
    """Opens an encoder and encodes queries in a thread of its own, while their words are matched.

    Args:
        open_encoder: Opens the encoder; called once, and only for a query that needs it.
    """

    def __init__(self, open_encoder: Callable[[], Encoder]) -> None:
        self._open_encoder = open_encoder
        # One thread, since an encoder is opened before it encodes.
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._encoder: Future[Encoder] | None = None

    def open(self) -> Future[Encoder]:
        """Begins to open the encoder: that takes as long as matching words and loading the vectors."""
        if self._encoder is None:
            self._encoder = self._thread.submit(self._open_encoder)
        return self._encoder

    def encode(self, text: str) -> Future[EncodedQuery]:
        """Begins to encode a query."""
        encoder = self.open()
        return self._thread.submit(lambda: encoder.result().encode_query(text))


@dataclass(frozen=True, slots=True)
class ExactScores:
    """How similar the admitted chunks are to a query, all of them known.

    Attributes:
        chunk_ids: Admitted chunks, int64 `(n,)`, ascending.
        cosines: float32 `(n,)`.
        highest: The highest cosine in the whole collection, admitted or not; -1 for an empty one.
    """

    chunk_ids: ChunkIds
    cosines: Scores
    highest: float

    def best(self, limit: int) -> ChunkIds:
        """Ids of the closest chunks, closest first; equally close ones by id."""
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
        """Those of some chunks that are admitted, in their order."""
        return chunk_ids[held_by(self.chunk_ids, chunk_ids)]

    def of(self, chunk_ids: ChunkIds) -> Scores:
        """Cosines of some of the admitted chunks."""
        cosines: Scores = self.cosines[np.searchsorted(self.chunk_ids, chunk_ids)]
        return cosines


class ExactScan:
    """The embeddings of an index, loaded or mapped once.

    Attributes:
        chunk_ids: The chunks that there are, int64 `(n,)`, ascending.
    """

    def __init__(self, reader: Reader) -> None:
        self._pairs = reader.vectors()
        ids = np.concatenate([ids for ids, _ in self._pairs] or [np.empty(0, dtype=np.int64)])
        rows = np.arange(len(ids))
        if len(ids) > 1 and not np.all(ids[1:] > ids[:-1]):  # hnswlib keeps no order when threads add vectors
            rows = np.argsort(ids)
        if len(dead := reader.dead_chunks()):
            rows = rows[~np.isin(ids[rows], dead)]
        self.chunk_ids: ChunkIds = ids[rows]
        self._rows = None if len(rows) == len(ids) and np.all(rows[1:] > rows[:-1]) else rows

    def score(self, query_vector: Scores, admitted: ChunkIds | None = None) -> ExactScores:
        """Scores chunks against a query.

        Args:
            query_vector: float32 `(dim,)` of length 1.
            admitted: Ids of the chunks that may be found, ascending; `None` for all.
        """
        products = [vectors @ query_vector for _, vectors in self._pairs]
        cosines = np.concatenate(products) if products else np.empty(0, dtype=np.float32)
        if self._rows is not None:
            cosines = cosines[self._rows]
        highest = float(cosines.max(initial=-1.0))
        if admitted is None:
            return ExactScores(self.chunk_ids, cosines, highest)
        kept = np.isin(self.chunk_ids, admitted)
        return ExactScores(self.chunk_ids[kept], cosines[kept], highest)

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


class GraphScan:
    """Scores the chunks that the graph leads to; what it does not hold yet, and what filters admit, is scanned exactly.

    Args:
        reader: The index.
        graph: Its vector file, loaded by hnswlib.
    """

    def __init__(self, reader: Reader, graph: Any) -> None:
        self._graph = graph
        self._exact = ExactScan(reader)
        in_graph = reader.vectors()[0][0]
        self._tail: ChunkIds = self._exact.chunk_ids[~np.isin(self._exact.chunk_ids, in_graph)]

    def score(self, query_vector: Scores, admitted: ChunkIds | None) -> DenseScores:
        """See `ExactScan`."""
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
        """See `ExactScores`."""
        self._look_for(1)
        return float(self._cosines[0]) if len(self._cosines) else -1.0

    def best(self, limit: int) -> ChunkIds:
        """See `ExactScores`."""
        self._look_for(limit)
        return self._closest[:limit]

    def admitted(self, chunk_ids: ChunkIds) -> ChunkIds:
        """See `ExactScores`."""
        return chunk_ids[self._scan.held(chunk_ids)]

    def of(self, chunk_ids: ChunkIds) -> Scores:
        """See `ExactScores`."""
        return self._scan.cosines(self._query_vector, chunk_ids)

    def _look_for(self, limit: int) -> None:
        if limit > self._asked:
            self._closest, self._cosines = self._scan.closest(self._query_vector, max(limit, _LEAST_WANTED))
            self._asked = max(limit, _LEAST_WANTED)


DenseScores = ExactScores | GraphScores
Scan = ExactScan | GraphScan


def open_scan(reader: Reader) -> Scan:
    """The scan for an index: by the graph, where the reader has it loaded."""
    graph = reader.graph()
    if graph is None:
        return ExactScan(reader)
    return GraphScan(reader, graph)


def held_by(ascending: ChunkIds, chunk_ids: ChunkIds) -> NDArray[np.bool_]:
    """Which of some ids are among others that are in ascending order: for few ids faster than sorting both."""
    places = np.searchsorted(ascending, chunk_ids)
    places[places == len(ascending)] = 0
    held: NDArray[np.bool_] = ascending[places] == chunk_ids if len(ascending) else np.zeros(len(chunk_ids), bool)
    return held
