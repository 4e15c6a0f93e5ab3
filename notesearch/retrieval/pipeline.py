"""A search, stage by stage, from the query to the hits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from notesearch.encoders import Encoder
from notesearch.records import Filters, Hit, Mode, Rerank
from notesearch.retrieval.dense import QueryEncoder, Scan, open_scan
from notesearch.retrieval.fusion import Candidate, Feedback, Fusion, Stage, run_stages
from notesearch.retrieval.late_interaction import LateInteraction, LateQuery
from notesearch.retrieval.lexical import NOTHING_MATCHED, chunks_with_phrases, match_lexical
from notesearch.retrieval.passages import (
    POOL_NOTES,
    ChosenPassage,
    choose_passages,
    rerank_by_cross_encoder,
    show_passages,
)
from notesearch.retrieval.query import Query, parse_query
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


@dataclass(frozen=True, slots=True, eq=False)
class _Ranking:
    """Notes as one text ranks them: the query, or an idea linked to it.

    Attributes:
        query: The text.
        fusion: Its scores of notes and passages.
        stages: What scores the best notes again.
        late: The text for late interaction, where that takes part.
        candidates: The notes, best first.
    """

    query: Query
    fusion: Fusion
    stages: tuple[Stage, ...]
    late: LateQuery | None
    candidates: list[Candidate]


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
        scope = _Scope(mode, rerank, filters, chunks_with_phrases(self._reader, query, filters))
        pool = max(POOL_NOTES, limit)

        # The query and each idea linked to it rank notes; then a note counts for whichever makes most of it.
        links = self._concepts.called_for(query.text, self._reader) if self._concepts else ()
        # Quotation marks in a query ask for something; in the name of an idea they are part of it.
        texts = [query, *(parse_query(link.linked.replace('"', " ")) for link in links)]
        depths = [(max(_LEAST_NOTES, _NOTES_A_HIT * limit), pool), *((_IDEA_NOTES, _IDEA_NOTES) for _ in links)]
        rankings = [self._rank(text, scope, *depth) for text, depth in zip(texts, depths, strict=True)]
        notes = [(candidate, 0) for candidate in rankings[0].candidates]
        if links:
            from notesearch.retrieval.concepts import count_ideas  # loaded only by those who have concepts

            own, *ideas = rankings
            known = {candidate.note_id for candidate in own.candidates}
            brought = {candidate.note_id for idea in ideas for candidate in idea.candidates} - known
            also = run_stages(own.fusion.score(sorted(brought)), own.stages)
            weighted = [(link.weight, idea.candidates) for link, idea in zip(links, ideas, strict=True)]
            notes = count_ideas([*own.candidates, *also], weighted)
        notes = notes[: pool if cross_encoder else limit]

        passages: dict[int, ChosenPassage] = {}
        for number, ranking in enumerate(rankings):
            found = [candidate for candidate, text in notes if text == number]
            chosen = choose_passages(self._reader, ranking.query, found, scope.required, ranking.fusion, ranking.late)
            passages |= {passage.note.id: passage for passage in chosen}
        shown = [passages[candidate.note_id] for candidate, _ in notes]
        if cross_encoder:
            shown = rerank_by_cross_encoder(cross_encoder, query.text, shown)[:limit]
        codes = self._reader.token_codes([passage.chunk.id for passage in shown if passage.late])
        return show_passages(shown, codes)

    def links_called_for(self, typed: str) -> tuple[ConceptLink, ...]:
        """The owner's links between ideas that a query calls for, the heaviest first.

        Raises:
            UsageError: The query is empty.
        """
        return self._concepts.called_for(parse_query(typed).text, self._reader) if self._concepts else ()

    def _rank(self, query: Query, scope: _Scope, proposed: int, pool: int) -> _Ranking:
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
            lexical = match_lexical(self._reader, query, scope.filters, scope.required)
        if encoding is None:
            fusion = Fusion(self._reader, lexical)
            return _Ranking(query, fusion, (), None, fusion.best(proposed, pool))
        encoded, encoder = encoding.result(), self._encoder.open().result()
        self._scan = self._scan or open_scan(self._reader)
        admitted = scope.required
        if admitted is None:
            admitted = self._reader.admitted_chunks(scope.filters)
        dense = self._scan.score(encoded.vector, admitted)
        fusion = Fusion(self._reader, lexical, dense, encoder.scale, by_words=scope.mode == "lexical")
        candidates = fusion.best(proposed, pool)
        if scope.rerank == "none":
            return _Ranking(query, fusion, (), None, candidates)
        late = LateQuery.of_index(query.text, encoder, encoded, self._reader)
        stages: list[Stage] = [LateInteraction(self._reader, dense, late)]
        if scope.mode != "lexical":
            stages.append(Feedback(self._reader, dense, encoded.vector, encoder.scale))
        return _Ranking(query, fusion, tuple(stages), late, run_stages(candidates, stages))
