"""Dense retrieval: how similar chunks are to a query, by an exact scan of their embeddings or by a graph of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
# A search asks the graph several times, the last time for some hundreds.
_LEAST_WANTED = 600
# If more than this part of the chunks is wanted or admitted, scanning all of them is faster.
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
        return chunk_ids[_held_by(self.chunk_ids, chunk_ids)]

    def of(self, chunk_ids: ChunkIds) -> Scores:
        """Cosines of some of the admitted chunks."""
        cosines: Scores = self.cosines[np.searchsorted(self.chunk_ids, chunk_ids)]
        return cosines


class GraphScores:
    """How similar all chunks are to a query, looked up in the graph when asked for; see `ExactScores`."""

    def __init__(self, scan: Scan, query_vector: Scores) -> None:
        self._scan = scan
        self._query_vector = query_vector
        self._asked = 0
        self._closest: ChunkIds = np.empty(0, dtype=np.int64)

    @property
    def highest(self) -> float:
        """See `ExactScores`."""
        return float(self.of(self.best(1)).max(initial=-1.0))

    def best(self, limit: int) -> ChunkIds:
        """See `ExactScores`."""
        if limit > self._asked:
            self._asked = max(limit, _LEAST_WANTED)
            self._closest = self._scan.closest(self._query_vector, self._asked)
        return self._closest[:limit]

    def admitted(self, chunk_ids: ChunkIds) -> ChunkIds:
        """See `ExactScores`."""
        return chunk_ids[_held_by(self._scan.chunk_ids, chunk_ids)]

    def of(self, chunk_ids: ChunkIds) -> Scores:
        """See `ExactScores`."""
        return self._scan.cosines(self._query_vector, chunk_ids)


DenseScores = ExactScores | GraphScores


class Scan:
    """The embeddings of an index, loaded or mapped once, and their graph, where the reader has it loaded.

    The graph serves a search of all chunks; what it does not hold yet, and what filters admit, is scanned exactly.

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
        self._graph = reader.graph()
        if self._graph is not None:
            self._not_in_graph = self.chunk_ids[~np.isin(self.chunk_ids, self._pairs[0][0])]

    def score(self, query_vector: Scores, admitted: ChunkIds | None = None) -> DenseScores:
        """Scores chunks against a query.

        Args:
            query_vector: float32 `(dim,)` of length 1.
            admitted: Ids of the chunks that may be found, ascending; `None` for all.
        """
        if self._graph is None or (admitted is not None and len(admitted) > _GRAPH_PART * len(self.chunk_ids)):
            return self.score_exactly(query_vector, admitted)
        scores = GraphScores(self, query_vector)
        if admitted is None:
            return scores
        chunk_ids = admitted[_held_by(self.chunk_ids, admitted)]
        return ExactScores(chunk_ids, self.cosines(query_vector, chunk_ids), scores.highest)

    def score_exactly(self, query_vector: Scores, admitted: ChunkIds | None = None) -> ExactScores:
        """Scores all chunks, whether there is a graph or not; see `score`."""
        products = [vectors @ query_vector for _, vectors in self._pairs]
        cosines = np.concatenate(products) if products else np.empty(0, dtype=np.float32)
        if self._rows is not None:
            cosines = cosines[self._rows]
        kept = slice(None) if admitted is None else np.isin(self.chunk_ids, admitted)
        return ExactScores(self.chunk_ids[kept], cosines[kept], float(cosines.max(initial=-1.0)))

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

    def closest(self, query_vector: Scores, limit: int) -> ChunkIds:
        """Ids of the chunks closest to a query by the graph, closest first, equally close ones by id."""
        if limit > _GRAPH_PART * len(self.chunk_ids):
            return self.score_exactly(query_vector).best(limit)
        self._graph.set_ef(limit + _SPARE_CANDIDATES)
        try:
            labels, _ = self._graph.knn_query(query_vector, k=limit, num_threads=1)
        except RuntimeError:  # it leads to fewer than that: it may fall into parts, once many of its elements are gone
            return self.score_exactly(query_vector).best(limit)
        found = np.concatenate([labels[0].astype(np.int64), self._not_in_graph])
        closest: ChunkIds = found[np.lexsort((found, -self.cosines(query_vector, found)))[:limit]]
        return closest


def _held_by(ascending: ChunkIds, chunk_ids: ChunkIds) -> NDArray[np.bool_]:
    """Which of some ids are among others that are in ascending order: for few ids faster than sorting both."""
    places = np.searchsorted(ascending, chunk_ids)
    places[places == len(ascending)] = 0
    held: NDArray[np.bool_] = ascending[places] == chunk_ids if len(ascending) else np.zeros(len(chunk_ids), bool)
    return held
