"""A search from query to hits."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import numpy as np

from notesearch.encoders import EncodedQuery, Encoder
from notesearch.records import Filters, Hit
from notesearch.retrieval.candidates import propose_dense, propose_lexical
from notesearch.retrieval.dense import DenseScores, ExactScan
from notesearch.retrieval.fusion import fuse, lexical_weight
from notesearch.retrieval.late_interaction import weigh_by_index
from notesearch.retrieval.lexical import NOTHING_MATCHED, LexicalScores, chunks_with_phrases, match_lexical
from notesearch.retrieval.passages import choose_passages, show_passages
from notesearch.retrieval.query import Query, parse_query
from notesearch.retrieval.reranking import POOL_NOTES, LateStage, rerank_by_cross_encoder
from notesearch.storage import IndexReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from notesearch.encoders.cross_encoder import CrossEncoder

    Scores = NDArray[np.float32]

Mode = Literal["lexical", "dense", "hybrid"]
Rerank = Literal["none", "maxsim", "cross-encoder"]

# Each retriever proposes more notes than wanted, so that one that is good on both counts is not missed.
_LEAST_NOTES = 300
_NOTES_A_HIT = 3
# The lexical side scores many more than it proposes: a note that the dense side proposes should have its words counted.
_MOST_LEXICAL_NOTES = 5_000


class Searcher:
    """Answers queries from one index.

    Args:
        reader: The index.
        open_encoder: Opens the index's encoder; called once, and only for a query that needs it.
    """

    def __init__(self, reader: IndexReader, open_encoder: Callable[[], Encoder]) -> None:
        self._reader = reader
        self._open_encoder = open_encoder
        self._encoder_to_come: Future[Encoder] | None = None
        self._scan: ExactScan | None = None

    def search(
        self,
        typed: str,
        *,
        limit: int,
        mode: Mode,
        filters: Filters,
        rerank: Rerank = "none",
        cross_encoder: CrossEncoder | None = None,
    ) -> list[Hit]:
        """Finds notes.

        Args:
            typed: The query; words in quotation marks must occur as they stand.
            limit: The most hits, ≥ 1.
            mode: Which retrievers take part.
            filters: Which notes may be found.
            rerank: What the best candidates are scored again by: `maxsim`, or `cross-encoder` after `maxsim`.
            cross_encoder: The cross-encoder, for `cross-encoder`.

        Returns:
            Hits, best first, one a note.

        Raises:
            UsageError: The query is empty.
        """
        query = parse_query(typed)
        wanted = max(_LEAST_NOTES, _NOTES_A_HIT * limit)
        if mode == "lexical" and rerank == "none":
            return self._search_by_words(query, filters, wanted, limit)
        self._begin_to_open_encoder()
        required = chunks_with_phrases(self._reader, query, filters)
        lexical = self._match_words(query, filters, required) if mode != "dense" else NOTHING_MATCHED
        encoded = self._encoder.encode_query(query.text)
        dense = self._score_chunks(encoded, filters, required)
        scale = self._encoder.scale
        weight = self._weigh_words(lexical, dense)
        if mode == "lexical":
            candidates = propose_lexical(lexical, wanted, weight)
        else:
            candidates = propose_dense(self._reader, dense, scale, wanted, lexical, weight)
        pool = max(POOL_NOTES, limit)
        late = None
        if rerank != "none":
            late_query = weigh_by_index(encoded, self._reader)
            late = LateStage(self._reader, self._encoder, query.text, late_query, dense)
        late_contributions: dict[int, float] = {}
        if late:
            candidates, late_contributions = late.rerank(candidates, pool)

        def rank_chunks(lexical_shares: Scores, chunk_ids: NDArray[np.int64]) -> Scores:
            fused = fuse(lexical_shares, scale.similarity(dense.of(chunk_ids)), weight)
            seen = [late_contributions[i] for i in chunk_ids.tolist() if i in late_contributions]
            # What late interaction did not look at is no better than the worst of what it did.
            unseen = min(seen, default=0.0)
            added = [late_contributions.get(i, unseen) for i in chunk_ids.tolist()]
            return fused + np.array(added, dtype=np.float32)

        shown = candidates[: pool if cross_encoder else limit]
        chosen = choose_passages(self._reader, query, shown, required, rank_chunks)
        if cross_encoder:
            chosen = rerank_by_cross_encoder(cross_encoder, query.text, chosen)[:limit]
        return show_passages(chosen, late.find_evidence if late else None)

    def _search_by_words(self, query: Query, filters: Filters, wanted: int, limit: int) -> list[Hit]:
        """A search that needs no encoder."""
        required = chunks_with_phrases(self._reader, query, filters)
        found = propose_lexical(self._match_words(query, filters, required), wanted)[:limit]
        return show_passages(choose_passages(self._reader, query, found, required, lambda shares, _: shares), None)

    @property
    def _encoder(self) -> Encoder:
        return self._begin_to_open_encoder().result()

    def _begin_to_open_encoder(self) -> Future[Encoder]:
        """Opens the encoder in a thread of its own: it takes as long as the lexical side and the scan's loading."""
        if self._encoder_to_come is None:
            pool = ThreadPoolExecutor(max_workers=1)
            self._encoder_to_come = pool.submit(self._open_encoder)
            pool.shutdown(wait=False)
        return self._encoder_to_come

    def _match_words(self, query: Query, filters: Filters, required: NDArray[np.int64] | None) -> LexicalScores:
        lexical = match_lexical(self._reader, query, _MOST_LEXICAL_NOTES, filters)
        if required is None:
            return lexical
        # The phrases' letters, not only their stems.
        return lexical.only(set(self._reader.notes_of_chunks(required.tolist()).values()))

    def _score_chunks(self, encoded: EncodedQuery, filters: Filters, required: NDArray[np.int64] | None) -> DenseScores:
        self._scan = self._scan or ExactScan(self._reader)
        dense = self._scan.score(encoded.vector, filters)
        return dense if required is None else dense.only(required)

    def _weigh_words(self, lexical: LexicalScores, dense: DenseScores) -> float:
        """What a point of BM25 counts against similarity for this query."""
        if not lexical.notes:
            return 0.0
        highest = self._encoder.scale.similarity(np.array([dense.highest], dtype=np.float32))
        return lexical_weight(float(highest[0]), lexical.coverage)
