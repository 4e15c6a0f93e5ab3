"""Measures of a run, as trec_eval computes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Qrels = Mapping[str, Mapping[str, float]]
"""Query id → document id → gain, greater than 0."""


@dataclass(frozen=True, slots=True)
class Measures:
    """Means over queries, each 0 to 1.

    Attributes:
        queries: How many queries were judged.
        ndcg_10: nDCG@10 with linear gains (Järvelin and Kekäläinen, 2002; trec_eval's ndcg_cut).
        recall_10: Share of the relevant documents among the first 10.
        recall_100: Share of the relevant documents among the first 100.
        mrr_10: Reciprocal of the first relevant document's rank, 0 where that is beyond 10.
        hit_1: Share of the queries whose first document is relevant.
    """

    queries: int
    ndcg_10: float
    recall_10: float
    recall_100: float
    mrr_10: float
    hit_1: float


@dataclass(frozen=True, slots=True, eq=False)
class QueryMeasures:
    """The measures of each query, in the order of the judgements; see `Measures`."""

    ndcg_10: NDArray[np.float64]
    recall_10: NDArray[np.float64]
    recall_100: NDArray[np.float64]
    mrr_10: NDArray[np.float64]
    hit_1: NDArray[np.float64]

    def mean(self) -> Measures:
        """The means over all queries."""
        means = {field.name: float(getattr(self, field.name).mean()) for field in fields(self)}
        return Measures(queries=len(self.ndcg_10), **means)


def measure_queries(run: Mapping[str, Sequence[str]], qrels: Qrels) -> QueryMeasures:
    """Measures each judged query of a run; a query that the run leaves out counts as 0.

    Args:
        run: Query id → document ids, best first, each once.
        qrels: The judgements; not empty.
    """
    ranked = [(run.get(query_id, ()), gains) for query_id, gains in qrels.items()]
    return QueryMeasures(
        ndcg_10=np.array([ndcg(documents, gains, 10) for documents, gains in ranked]),
        recall_10=np.array([recall(documents, gains, 10) for documents, gains in ranked]),
        recall_100=np.array([recall(documents, gains, 100) for documents, gains in ranked]),
        mrr_10=np.array([reciprocal_rank(documents, gains, 10) for documents, gains in ranked]),
        hit_1=np.array([reciprocal_rank(documents, gains, 1) for documents, gains in ranked]),
    )


def measure_run(run: Mapping[str, Sequence[str]], qrels: Qrels) -> Measures:
    """The means of `measure_queries`."""
    return measure_queries(run, qrels).mean()


def ndcg(documents: Sequence[str], gains: Mapping[str, float], depth: int) -> float:
    """Discounted gain of a ranking's first `depth` documents, as a share of the best possible."""
    found = _discounted([gains.get(document, 0.0) for document in documents[:depth]])
    return found / _discounted(sorted(gains.values(), reverse=True)[:depth])


def recall(documents: Sequence[str], gains: Mapping[str, float], depth: int) -> float:
    """Share of the relevant documents that are among the first `depth`."""
    return len(gains.keys() & set(documents[:depth])) / len(gains)


def reciprocal_rank(documents: Sequence[str], gains: Mapping[str, float], depth: int) -> float:
    """1 / rank of the first relevant document; 0 where it is not among the first `depth`."""
    rank = first_relevant(documents[:depth], gains)
    return 1.0 / rank if rank else 0.0


def first_relevant(documents: Sequence[str], gains: Mapping[str, float]) -> int:
    """Rank of the first relevant document, 0 where there is none."""
    return next((rank for rank, document in enumerate(documents, start=1) if document in gains), 0)


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


@dataclass(frozen=True, slots=True)
class RankingTask:
    """Queries that are to be answered by vectors alone.

    Attributes:
        queries: The queries.
        passages: The passages of all documents.
        documents: Of which document each passage is.
        relevant: For each query the documents that answer it; not empty.
    """

    queries: tuple[str, ...]
    passages: tuple[str, ...]
    documents: tuple[str, ...]
    relevant: tuple[frozenset[str], ...]

    def half(self, first: int) -> RankingTask:
        """The same with every second query, from the first (0) or the second (1) on."""
        return replace(self, queries=self.queries[first::2], relevant=self.relevant[first::2])

    def with_prompts(self, query: str, passage: str) -> RankingTask:
        """The same with a prompt before each query, and one before each passage."""
        queries = tuple(query + text for text in self.queries)
        return replace(self, queries=queries, passages=tuple(passage + text for text in self.passages))

    def ndcg(self, queries: NDArray[np.float32], passages: NDArray[np.float32]) -> NDArray[np.float64]:
        """nDCG@10 of each query, float64 `(n,)`; documents rank by their passage that is most similar to it.

        Args:
            queries: float32 `(n, dim)`, of length 1.
            passages: float32 `(m, dim)`, of length 1.
        """
        ranked = np.asarray(self.documents)[np.argsort(-(queries @ passages.T), axis=1, kind="stable")]
        found = (list(dict.fromkeys(row)) for row in ranked.tolist())
        gains = (dict.fromkeys(documents, 1.0) for documents in self.relevant)
        return np.array([ndcg(*pair, 10) for pair in zip(found, gains, strict=True)])
