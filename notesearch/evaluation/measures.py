"""Measures of a run, as trec_eval computes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Qrels = Mapping[str, Mapping[str, float]]
"""Query id → document id → gain, greater than 0."""


@dataclass(frozen=True, slots=True)
class Measures:
    """Means over queries, each 0 to 1.

    Attributes:
        queries: How many queries were judged.
        ndcg_10: nDCG@10 with linear gains (Järvelin and Kekäläinen, 2002; trec_eval's ndcg_cut).
        recall_100: Part of the relevant documents among the first 100.
        mrr_10: Reciprocal of the first relevant document's rank, 0 where that is beyond 10.
    """

    queries: int
    ndcg_10: float
    recall_100: float
    mrr_10: float


def measure_run(run: Mapping[str, Sequence[str]], qrels: Qrels) -> Measures:
    """Measures a run over all judged queries; a query that the run leaves out counts as 0.

    Args:
        run: Query id → document ids, best first, each once.
        qrels: The judgements; not empty.
    """

    def mean(values: Sequence[float]) -> float:
        return math.fsum(values) / len(values)

    ranked = [(run.get(query_id, ()), gains) for query_id, gains in qrels.items()]
    return Measures(
        queries=len(ranked),
        ndcg_10=mean([ndcg(documents, gains, 10) for documents, gains in ranked]),
        recall_100=mean([recall(documents, gains, 100) for documents, gains in ranked]),
        mrr_10=mean([reciprocal_rank(documents, gains, 10) for documents, gains in ranked]),
    )


def ndcg(documents: Sequence[str], gains: Mapping[str, float], depth: int) -> float:
    """Discounted gain of a ranking's first `depth` documents, as a part of the best possible."""
    found = _discounted([gains.get(document, 0.0) for document in documents[:depth]])
    return found / _discounted(sorted(gains.values(), reverse=True)[:depth])


def recall(documents: Sequence[str], gains: Mapping[str, float], depth: int) -> float:
    """Part of the relevant documents that are among the first `depth`."""
    return len(gains.keys() & set(documents[:depth])) / len(gains)


def reciprocal_rank(documents: Sequence[str], gains: Mapping[str, float], depth: int) -> float:
    """1 / rank of the first relevant document; 0 where it is not among the first `depth`."""
    return next((1.0 / rank for rank, document in enumerate(documents[:depth], start=1) if document in gains), 0.0)


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
