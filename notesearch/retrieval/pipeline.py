"""A search from query to hits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from notesearch.encoders import EncodedQuery, Encoder
from notesearch.records import Evidence, Filters, Hit
from notesearch.retrieval.candidates import Candidate, propose_dense, propose_lexical
from notesearch.retrieval.dense import DenseScores, Scan, open_scan
from notesearch.retrieval.expansion import IDEA_NOTES, Expansion, Ranking, rank_with_expansions
from notesearch.retrieval.fusion import fuse, lexical_weight
from notesearch.retrieval.late_interaction import POOL_NOTES, LateStage, rerank_by_cross_encoder, weigh_by_index
from notesearch.retrieval.lexical import NOTHING_MATCHED, LexicalScores, chunks_with_phrases, match_lexical
from notesearch.retrieval.passages import ChosenPassage, Match, choose_passages, show_passages
from notesearch.retrieval.query import Query, parse_query
from notesearch.storage import IndexReader, StoredChunk, StoredNote

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from notesearch.encoders.cross_encoder import CrossEncoder
    from notesearch.retrieval.concepts import ConceptLink, Concepts

    Scores = NDArray[np.float32]

Mode = Literal["lexical", "dense", "hybrid"]
Rerank = Literal["none", "maxsim", "cross-encoder"]

# Each retriever proposes more notes than wanted, so that one that is good on both counts is not missed.
_LEAST_NOTES = 300
_NOTES_A_HIT = 3
# The lexical side scores many more than it proposes: a note that the dense side proposes should have its words counted.
_MOST_LEXICAL_NOTES = 5_000


@dataclass(frozen=True, slots=True)
class _Scope:
    """What all rankings of one search have in common.

    Attributes:
        mode: Which retrievers take part.
        rerank: What the best candidates are scored again by.
        filters: Which notes may be found.
        required: Ids of the only chunks that may be, for a query with phrases.
    """

    mode: Mode
    rerank: Rerank
    filters: Filters
    required: NDArray[np.int64] | None


class Searcher:
    """Answers queries from one index.

    Args:
        reader: The index.
        open_encoder: Opens the index's encoder; called once, and only for a query that needs it.
        concepts: The owner's links between ideas, if there are any.
    """

    def __init__(
        self, reader: IndexReader, open_encoder: Callable[[], Encoder], concepts: Concepts | None = None
    ) -> None:
        self._reader = reader
        self._open_encoder = open_encoder
        self._concepts = concepts
        # One thread, since an encoder is opened before it encodes.
        self._background = ThreadPoolExecutor(max_workers=1)
        self._encoder_to_come: Future[Encoder] | None = None
        self._scan: Scan | None = None

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
        if mode != "lexical" or rerank != "none":
            self._begin_to_open_encoder()
        scope = _Scope(mode, rerank, filters, chunks_with_phrases(self._reader, query, filters))
        own, expansions = self._rank_all(query, scope, limit)
        candidates, raised = rank_with_expansions(own.candidates, expansions)
        shown = candidates[: _pool(limit) if cross_encoder else limit]
        chosen = self._choose_passages(shown, own, raised, scope)
        if cross_encoder:
            chosen = rerank_by_cross_encoder(cross_encoder, query.text, chosen)[:limit]

        def find_evidence(note: StoredNote, chunk: StoredChunk) -> tuple[tuple[Evidence, ...], list[Match]]:
            late = raised.get(note.id, own).late
            return late.find_evidence(note, chunk) if late else ((), [])

        return show_passages(chosen, find_evidence)

    def links_called_for(self, typed: str) -> tuple[ConceptLink, ...]:
        """The owner's links between ideas that a query calls for, the heaviest first.

        Raises:
            UsageError: The query is empty.
        """
        return self._concepts.called_for(parse_query(typed).text, self._reader) if self._concepts else ()

    def _rank_all(self, query: Query, scope: _Scope, limit: int) -> tuple[Ranking, list[Expansion]]:
        """Ranks notes by a query, and by each idea that it brings along."""
        expansions = []
        for link in self._concepts.called_for(query.text, self._reader) if self._concepts else ():
            # Quotation marks in a query ask for something; in the name of an idea they are part of it.
            ranking = self._rank(parse_query(link.linked.replace('"', " ")), scope, IDEA_NOTES, IDEA_NOTES)
            expansions.append(Expansion(link.weight, replace(ranking, candidates=ranking.candidates[:IDEA_NOTES])))
        brought = {found.note_id for expansion in expansions for found in expansion.ranking.candidates}
        wanted = max(_LEAST_NOTES, _NOTES_A_HIT * limit)
        return self._rank(query, scope, wanted, _pool(limit), brought), expansions

    def _rank(self, query: Query, scope: _Scope, wanted: int, pool: int, also: Set[int] = frozenset()) -> Ranking:
        """Ranks notes by one text.

        Args:
            query: The text.
            scope: What holds for the whole search.
            wanted: How many notes each retriever proposes.
            pool: How many of them are scored again.
            also: Notes to rank besides, wherever they come.
        """
        encoding = self._begin_to_encode(query) if scope.mode != "lexical" or scope.rerank != "none" else None
        lexical = self._match_words(query, scope) if scope.mode != "dense" else NOTHING_MATCHED
        if encoding is None:
            candidates = propose_lexical(lexical, wanted, 1.0 if also else None, also)
            return Ranking(query, candidates, lambda shares, _: shares, None)
        encoded = encoding.result()
        dense = self._score_chunks(encoded, scope)
        scale = self._encoder.scale
        weight = self._weigh_words(lexical, dense)
        if scope.mode == "lexical":
            candidates = propose_lexical(lexical, wanted, weight, also)
        else:
            candidates = propose_dense(self._reader, dense, scale, wanted, lexical, weight, also, pool)
        late = None
        late_contributions: dict[int, float] = {}
        if scope.rerank != "none":
            late_query = weigh_by_index(encoded, self._reader)
            late = LateStage(self._reader, self._encoder, query.text, late_query, encoded.vector, dense)
            candidates, late_contributions = late.rerank(candidates, pool, also)

        def rank_chunks(lexical_shares: Scores, chunk_ids: NDArray[np.int64]) -> Scores:
            fused = fuse(lexical_shares, scale.similarity(dense.of(chunk_ids)), weight)
            seen = [late_contributions[i] for i in chunk_ids.tolist() if i in late_contributions]
            # What late interaction did not look at is no better than the worst of what it did.
            unseen = min(seen, default=0.0)
            added = [late_contributions.get(i, unseen) for i in chunk_ids.tolist()]
            return fused + np.array(added, dtype=np.float32)

        return Ranking(query, candidates, rank_chunks, late)

    def _choose_passages(
        self, shown: Sequence[Candidate], own: Ranking, raised: Mapping[int, Ranking], scope: _Scope
    ) -> list[ChosenPassage]:
        """Chooses the passage of each note by the text that the note counts for: the query, or an idea."""
        passages: dict[int, ChosenPassage] = {}
        for ranking in dict.fromkeys(raised.get(found.note_id, own) for found in shown):
            of_text = {found.note_id: found for found in ranking.candidates}
            best = [of_text[found.note_id] for found in shown if raised.get(found.note_id, own) is ranking]
            chosen = choose_passages(self._reader, ranking.query, best, scope.required, ranking.rank_chunks)
            passages |= {passage.note.id: passage for passage in chosen}
        return [replace(passages[found.note_id], found=found) for found in shown]

    @property
    def _encoder(self) -> Encoder:
        return self._begin_to_open_encoder().result()

    def _begin_to_open_encoder(self) -> Future[Encoder]:
        """Opens the encoder in a thread of its own: it takes as long as the lexical side and the scan's loading."""
        if self._encoder_to_come is None:
            self._encoder_to_come = self._background.submit(self._open_encoder)
        return self._encoder_to_come

    def _begin_to_encode(self, query: Query) -> Future[EncodedQuery]:
        """Encodes a query while its words are matched."""
        encoder = self._begin_to_open_encoder()  # first, since what encodes waits for it in the same thread
        return self._background.submit(lambda: encoder.result().encode_query(query.text))

    def _match_words(self, query: Query, scope: _Scope) -> LexicalScores:
        lexical = match_lexical(self._reader, query, _MOST_LEXICAL_NOTES, scope.filters)
        if scope.required is None:
            return lexical
        # The phrases' letters, not only their stems.
        return lexical.only(set(self._reader.notes_of_chunks(scope.required.tolist()).values()))

    def _score_chunks(self, encoded: EncodedQuery, scope: _Scope) -> DenseScores:
        self._scan = self._scan or open_scan(self._reader)
        dense = self._scan.score(encoded.vector, scope.filters)
        return dense if scope.required is None else dense.only(scope.required)

    def _weigh_words(self, lexical: LexicalScores, dense: DenseScores) -> float:
        """What a point of BM25 counts against similarity for this query."""
        if not lexical.notes:
            return 0.0
        highest = self._encoder.scale.similarity(np.array([dense.highest], dtype=np.float32))
        return lexical_weight(float(highest[0]), lexical.coverage)


def _pool(limit: int) -> int:
    """How many notes are scored again."""
    return max(POOL_NOTES, limit)
