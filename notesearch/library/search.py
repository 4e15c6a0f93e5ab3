"""Open an index and search it; rank what another program has found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, get_args

from notesearch.encoders import Encoder, models
from notesearch.errors import IndexMissing, UsageError, require_type
from notesearch.library.properties import conditions_on
from notesearch.records import Chunking, HeldWords, Hit, Mode, Place, PropertyCondition, Rerank, RerankMethod, Skipped
from notesearch.retrieval import Searcher
from notesearch.retrieval.query import make_filters
from notesearch.settings import DEFAULT_MODEL, Settings, load_settings
from notesearch.storage import IndexReader, Reader, Unfinished

if TYPE_CHECKING:
    from notesearch.encoders.cross_encoder import CrossEncoder
    from notesearch.retrieval.concepts import ConceptLink, Concepts


_HOW_TO_GET_CROSS_ENCODER = (
    "Name one with --cross-encoder: a directory, or a hub id to be fetched once (cross-encoder/ms-marco-MiniLM-L6-v2)."
)


class Index:
    """An index opened for searching. It sees one state of the index; open it again to see a newer one.

    Attributes:
        reader: What reads it.
    """

    def __init__(
        self,
        index: Path | Reader,
        cross_encoder: str | None = None,
        concepts: Concepts | None = None,
        encoder_of: Callable[[Reader], Encoder] | None = None,
    ) -> None:
        self.reader = reader = IndexReader(index) if isinstance(index, Path) else index
        # Without `self`: a cycle would keep the memory and the thread of an index that is no longer used.
        self._searcher = Searcher(reader, lambda: (encoder_of or open_encoder_of)(reader), concepts)
        self._cross_encoder_name = cross_encoder
        self._cross_encoder: CrossEncoder | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.reader.__exit__(kind, error, traceback)

    def close(self) -> None:
        """Closes the index."""
        self.reader.close()

    def search(
        self,
        query: str,
        *,
        limit: int = 10,
        mode: Mode = "hybrid",
        rerank: Rerank | None = None,
        tags: Sequence[str] = (),
        not_tags: Sequence[str] = (),
        path: str | Sequence[str] = "",
        not_paths: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        held: Sequence[HeldWords] = (),
        where: Sequence[str | PropertyCondition] = (),
    ) -> list[Hit]:
        """Finds the notes that answer a query.

        Args:
            query: Words or a question; words in double quotes must occur as they stand. Nothing else in it has a
                meaning of its own: `parse_query_line` reads what people type.
            limit: The most hits, ≥ 1.
            mode: `lexical` (BM25), `dense` (embeddings) or `hybrid` (both).
            rerank: What the best candidates are scored again by: `maxsim` (late interaction), `cross-encoder` (which
                the index must have been opened with) or `none`. By default `maxsim` in the mode `hybrid`.
            tags: Tags that a note must have, all of them.
            not_tags: Tags that a note must not have.
            path: The note's path, or that of a folder above it, or a glob: absolute, relative to the working directory,
                or below its indexed folder. Of several, all must match.
            not_paths: Paths that the note must not have.
            since: Earliest date of a note, inclusive, local time.
            until: Latest date of a note, inclusive, local time.
            held: Words that the note must hold, or must not.
            where: Conditions on properties, all of which must hold: `status=draft`, `rating>=4`, `due<2025-03`,
                `status!=done`, `status` (has it).

        Returns:
            Hits, best first, one a note; empty where nothing was found.

        Raises:
            UsageError: The query is empty, the limit is below 1, the path is too long, a condition cannot be understood
                or asks for a property that no note has, there is no such mode or reranking, or the index was opened
                without a cross-encoder.
            ModelError: The index's model cannot be loaded.
            StoreError: The index cannot be read.
        """
        require_type("limit", limit, int)
        if limit < 1:
            raise UsageError(f"the limit is {limit}", "Give a limit of 1 or more.")
        if mode not in get_args(Mode):
            raise UsageError(f"there is no mode {mode!r}", f"Choose one of {', '.join(get_args(Mode))}.")
        rerank = rerank or ("maxsim" if mode == "hybrid" else "none")
        if rerank not in get_args(Rerank):
            raise UsageError(f"there is no reranking by {rerank!r}", f"Choose one of {', '.join(get_args(Rerank))}.")
        filters = make_filters(tags, not_tags, path, since, until, not_paths=not_paths, held=held)
        filters = replace(filters, where=conditions_on(where, [self.reader]))
        if rerank == "cross-encoder":
            self._cross_encoder = self._cross_encoder or _named_cross_encoder(self._cross_encoder_name)
        cross_encoder = self._cross_encoder if rerank == "cross-encoder" else None
        return self._searcher.search(
            query, limit=limit, mode=mode, filters=filters, rerank=rerank, cross_encoder=cross_encoder
        )

    def unfinished(self) -> tuple[Unfinished, ...]:
        """How much of the notes is searched while the first run of `index` is not finished; empty where it is.

        Raises:
            StoreError: The index cannot be read.
        """
        return self.reader.unfinished()

    def concepts_of(self, query: str) -> tuple[ConceptLink, ...]:
        """The owner's links between ideas that a query brings into the search, the heaviest first.

        Raises:
            UsageError: The query is empty.
            StoreError: The index cannot be read.
        """
        return self._searcher.links_called_for(query)


def open_encoder_of(reader: Reader) -> Encoder:
    """Opens the encoder that an index was made with.

    Raises:
        ModelError: It cannot be loaded.
        IndexMismatch: The model is no longer the one that the index was made with.
    """
    made_with = reader.fingerprint
    return models.encoder_of(made_with.model, made_with.encoder, made_with.token_model, made_with.token_encoder)


def _named_cross_encoder(name: str | None) -> CrossEncoder:
    if not name:
        raise UsageError("no cross-encoder was chosen, and none comes with notesearch", _HOW_TO_GET_CROSS_ENCODER)
    return models.open_cross_encoder(name)


def open_index(
    index_dir: str | Path | None = None, *, cross_encoder: str | None = None, concepts: str | Path | bool = True
) -> Index:
    """Opens an index for searching.

    Args:
        index_dir: Its directory; by default the one that the command line uses.
        cross_encoder: A local directory or a hub id; by default the one in the settings, if there is one.
        concepts: A file of links between ideas; `True` for the one in the settings, if there is one; `False` for none.

    Raises:
        SettingsError: The file of concepts is missing though it was named, or something in it is wrong.
        IndexMissing: Nothing has been indexed there.
        StoreError: The index cannot be read.
    """
    settings = load_settings(
        index_dir=Path(index_dir) if index_dir else None,
        cross_encoder=cross_encoder,
        concepts=None if isinstance(concepts, bool) else Path(concepts),
    )
    return Index(settings.index_dir, settings.cross_encoder, concepts_in(settings) if concepts else None)


def concepts_in(settings: Settings) -> Concepts | None:
    """The owner's links between ideas, if there are any.

    Raises:
        SettingsError: Their file is missing though it was named, or something in it is wrong.
    """
    if settings.concepts is None:
        return None
    from notesearch.retrieval.concepts import read_concepts

    return read_concepts(settings.concepts)


def rerank_places(
    query: str,
    places: Sequence[Place],
    *,
    method: RerankMethod = "maxsim",
    limit: int = 10,
    index_dir: str | Path | None = None,
    cross_encoder: str | None = None,
    collection: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Hit], list[Skipped]]:
    """Ranks places that another program has found by how well they answer a query; needs no index.

    Args:
        query: Words or a question.
        places: Notes, or lines in notes; lines of one passage become one hit.
        method: `maxsim` (embeddings and late interaction), `dense` (embeddings) or `cross-encoder`.
        limit: The most hits, ≥ 1.
        index_dir: The index to take vectors from, where there is one; by default the command line's.
        cross_encoder: A local directory or a hub id; by default the one in the settings, if there is one.
        collection: The collection of the settings file whose index and models are taken.
        progress: Told the passages encoded so far and those to encode.

    Returns:
        Hits, best first, and the places that could not be read.

    Raises:
        UsageError: The query is empty, or no cross-encoder was named for the method that needs one.
        ModelError: A model cannot be loaded.
        StoreError: There is an index, and it cannot be read.
    """
    from notesearch.indexing import chunking_for
    from notesearch.retrieval.rerank import Reranker

    settings = load_settings(
        collection=collection, index_dir=Path(index_dir) if index_dir else None, cross_encoder=cross_encoder
    )
    scorer = _named_cross_encoder(settings.cross_encoder) if method == "cross-encoder" else None
    reader: IndexReader | None = None
    with ExitStack() as stack:
        with suppress(IndexMissing):
            reader = stack.enter_context(IndexReader(settings.index_dir))
        if reader:
            encoder = open_encoder_of(reader)
            chunking = Chunking(reader.fingerprint.budget_tokens, reader.fingerprint.overlap_sentences)
        else:
            encoder = models.open_encoder(models.prepare(settings.model or DEFAULT_MODEL))
            chunking = chunking_for(encoder.config.max_tokens)
        reranker = Reranker(reader, encoder, chunking=chunking, max_bytes=settings.max_file_bytes, progress=progress)
        return reranker.rerank(query, places, method=method, limit=limit, cross_encoder=scorer)
