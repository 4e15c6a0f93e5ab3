"""A search, stage by stage, from the query to the hits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from notesearch.encoders import Encoder
from notesearch.records import Filters, Hit, Mode, Rerank
from notesearch.retrieval.dense import QueryEncoder, Scan
from notesearch.retrieval.fusion import Feedback, Fusion, Stage, run_stages
from notesearch.retrieval.late_interaction import LateInteraction, LateQuery
from notesearch.retrieval.lexical import NOTHING_MATCHED, chunks_with_phrases, match_lexical
from notesearch.retrieval.passages import POOL_NOTES, Ranking, choose_passages, rerank_by_cross_encoder, show_passages
from notesearch.retrieval.query import Query, parse_query
from notesearch.retrieval.typos import as_read, with_corrections
from notesearch.storage import Reader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from notesearch.encoders.cross_encoder import CrossEncoder
    from notesearch.retrieval.concepts import ConceptLink, Concepts


# Each retriever proposes more notes than wanted, so that one that is good on both counts is not missed.
_LEAST_NOTES = 300
_NOTES_A_HIT = 3
# How many notes an idea brings along at most.
_IDEA_NOTES = 10


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

    def __init__(self, reader: Reader, open_encoder: Callable[[], Encoder], concepts: Concepts | None = None) -> None:
        self._reader = reader
        self._encoder = QueryEncoder(open_encoder)
        self._concepts = concepts
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
            self._encoder.open()
        query = with_corrections(self._reader, query)
        if mode != "lexical" and (query.corrections or query.strange):
            query = as_read(query, self._encoder.open().result())
        required = chunks_with_phrases(self._reader, query, filters)
        if required is not None:
            filters = replace(
                filters, notes=tuple(sorted(set(self._reader.notes_of_chunks(required.tolist()).values())))
            )
        scope = _Scope(mode, rerank, filters, required)
        pool = max(POOL_NOTES, limit)
        links = self._concepts.called_for(query.text, self._reader) if self._concepts else ()
        # Quotation marks in a query ask for something; in the name of an idea they are part of it.
        ideas = [parse_query(link.linked.replace('"', " ")) for link in links]
        own = self._rank(query, scope, max(_LEAST_NOTES, _NOTES_A_HIT * limit), pool)
        ranked = [(candidate, own) for candidate in own.candidates]
        if ideas:
            from notesearch.retrieval.concepts import count_ideas  # loaded only by those who have concepts

            rankings = [self._rank(idea, scope, _IDEA_NOTES, _IDEA_NOTES) for idea in ideas]
            ranked = count_ideas(own, [(link.weight, found) for link, found in zip(links, rankings, strict=True)])
        chosen = choose_passages(self._reader, ranked[: pool if cross_encoder else limit], scope.required)
        if cross_encoder:
            chosen = rerank_by_cross_encoder(cross_encoder, query.text, chosen, pool)[:limit]
        codes = self._reader.token_codes([passage.chunk.id for passage in chosen if passage.late])
        return show_passages(chosen, codes)

    def links_called_for(self, typed: str) -> tuple[ConceptLink, ...]:
        """The owner's links between ideas that a query calls for, the heaviest first.

        Raises:
            UsageError: The query is empty.
        """
        return self._concepts.called_for(parse_query(typed).text, self._reader) if self._concepts else ()

    def _rank(self, query: Query, scope: _Scope, proposed: int, pool: int) -> Ranking:
        """Ranks notes by one text.

        Args:
            query: The text.
            scope: What holds for the whole search.
            proposed: How many notes each retriever proposes.
            pool: How many of them are ranked: the best by their fused scores.
        """
        needs_encoder = scope.mode != "lexical" or scope.rerank != "none"
        encoding = self._encoder.encode(query.text) if needs_encoder else None
        lexical = NOTHING_MATCHED
        if scope.mode != "dense":
            lexical = match_lexical(self._reader, query, scope.filters)
        if encoding is None:
            fusion = Fusion(self._reader, lexical)
            return Ranking(query, fusion, (), None, fusion.best(proposed, pool))
        encoded, encoder = encoding.result(), self._encoder.open().result()
        self._scan = self._scan or Scan(self._reader)
        admitted = scope.required
        if admitted is None:
            admitted = self._reader.admitted_chunks(scope.filters)
        dense = self._scan.score(encoded.vector, admitted)
        late = LateQuery.of_index(query.text, encoder, encoded, self._reader)
        scale = encoder.scale.weighted(late.legible)
        has_meaning = late.legible > 0 and not (scope.mode == "hybrid" and query.says_nothing)
        by_words = scope.mode == "lexical" or not has_meaning
        fusion = Fusion(self._reader, lexical, dense, scale, by_words=by_words)
        candidates = fusion.best(proposed, pool)
        if scope.rerank == "none" or not has_meaning:
            return Ranking(query, fusion, (), None, candidates)
        stages: list[Stage] = [LateInteraction(self._reader, dense, late)]
        if scope.mode != "lexical":
            stages.append(Feedback(self._reader, dense, encoded.vector, scale))
        return Ranking(query, fusion, tuple(stages), late, run_stages(candidates, stages))
