"""notesearch as a library: the named collections of the settings file, searched together and kept in step."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from notesearch.errors import IndexMissing, UsageError, require_type
from notesearch.library.index import sync_index
from notesearch.library.properties import conditions_on
from notesearch.library.search import Index
from notesearch.path_globs import path_meanings
from notesearch.records import Filters, Hit, IndexReport
from notesearch.settings import Settings, load_settings
from notesearch.storage import IndexReader, Unfinished
from notesearch.storage.union_reader import UnionReader

if TYPE_CHECKING:
    from notesearch.retrieval.concepts import ConceptLink, Concepts


class Collections:
    """Collections opened for searching, as `Index` is for one index."""

    def __init__(self, indexes: Sequence[Index], names: Sequence[str]) -> None:
        self._indexes = tuple(indexes)  # those whose vectors are of one kind are one
        self._order = {name: place for place, name in enumerate(names)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        indexes = ExitStack()
        for index in self._indexes:
            indexes.push(index)
        indexes.__exit__(kind, error, traceback)

    def close(self) -> None:
        """Closes them."""
        for index in self._indexes:
            index.close()

    def search(self, query: str, *, limit: int = 10, where: Sequence[str] = (), **options: Any) -> list[Hit]:
        """Finds the notes that answer a query, in all collections.

        Args:
            query: See `Index.search`.
            limit: The most hits, ≥ 1.
            where: See `Index.search`; a property may be in one of the collections alone.
            options: See `Index.search`. What is given takes the place of the collections' own `tags`, `not_tags` and
                `path`.

        Returns:
            Hits, best first, one a note, even where it is in several collections.

        Raises:
            UsageError: See `Index.search`; likewise ModelError and StoreError.
        """
        require_type("limit", limit, int)
        # A note may be there once for each collection.
        most = limit * len(self._order)
        options["where"] = conditions_on(where, [index.reader for index in self._indexes])
        hits = [hit for index in self._indexes for hit in index.search(query, limit=most, **options)]
        # Scores are on scales that hold for any model: see `ScoreScale`.
        hits.sort(key=lambda hit: (hit.weaker, -hit.score))
        first: dict[str, Hit] = {}
        for hit in hits:
            known = first.setdefault(hit.path, hit)
            if self._order[hit.collection] < self._order[known.collection]:
                first[hit.path] = replace(known, collection=hit.collection)
        return [replace(hit, rank=rank) for rank, hit in enumerate(list(first.values())[:limit], start=1)]

    def unfinished(self) -> tuple[Unfinished, ...]:
        """See `Index.unfinished`; of each collection."""
        return tuple(each for index in self._indexes for each in index.unfinished())

    def concepts_of(self, query: str) -> tuple[ConceptLink, ...]:
        """See `Index.concepts_of`."""
        return self._indexes[0].concepts_of(query)


def open_collections(
    names: Sequence[str],
    *,
    index_dir: str | Path | None = None,
    cross_encoder: str | None = None,
    concepts: str | Path | bool = True,
) -> Collections:
    """Opens collections for searching.

    Args:
        names: Their names in the settings file, at least one.
        index_dir: The index, where it is not the one that the settings name for the collection.
        cross_encoder: See `open_index`; where collections name several, the first one's is taken.
        concepts: See `open_index`; the links of all collections are followed.

    Raises:
        UsageError: An index was named for several collections.
        SettingsError: There is no such collection, or something in the settings or in a file of concepts is wrong.
        IndexMissing: A collection was never indexed.
        StoreError: An index cannot be read.
    """
    distinct = list(dict.fromkeys(names))
    if index_dir and len(distinct) > 1:
        raise UsageError(f"one index was named for {len(distinct)} collections", "Leave out --index-dir.")
    flags: dict[str, Any] = {
        "index_dir": Path(index_dir) if index_dir else None,
        "cross_encoder": cross_encoder,
        "concepts": None if isinstance(concepts, bool) else Path(concepts),
    }
    settings = {name: load_settings(collection=name, **flags) for name in distinct}
    links = _concepts_of(settings.values()) if concepts else None
    scorer = next((own.cross_encoder for own in settings.values() if own.cross_encoder), None)
    with ExitStack() as opened:
        readers = {name: opened.enter_context(_open(name, own)) for name, own in settings.items()}
        indexes = []
        for members in _grouped(readers):
            union = UnionReader(
                {name: readers[name] for name in members},
                [_filters_in(own) for own in (settings[name] for name in members)],
                [reader for name, reader in readers.items() if name not in members],
            )
            indexes.append(Index(union, scorer, links))
        opened.pop_all()
    return Collections(indexes, distinct)


def sync_collection(settings: Settings, *, rebuild: bool = False, **options: Any) -> IndexReport:
    """Updates the index of a collection from its folders, and from others that it covers.

    Args:
        settings: Those of the collection.
        rebuild: See `sync_index`.
        options: See `sync_index`.

    Returns:
        What was done.

    Raises:
        FolderUnreadable: See `sync_index`; likewise the other errors.
    """
    covered = _covered(settings)
    new = [folder for folder in _folders(settings) if not _is_in(folder, covered)]
    if rebuild or not new or not covered:
        return sync_index(settings, new, rebuild=rebuild, **options)
    # Only new ones are named: of a folder that is named, and empty, the index forgets all notes.
    added = sync_index(settings, new, **options)
    return _sum(added, sync_index(settings, [], **options))


def folders_no_longer_named(settings: Settings) -> list[Path]:
    """The folders that the index of a collection covers and the settings do not name; none where they name no folder.

    Raises:
        StoreError: There is an index, and it cannot be read.
    """
    named = _folders(settings)
    return [folder for folder in _covered(settings) if not _is_in(folder, named)] if named else []


def _folders(settings: Settings) -> list[Path]:
    return [Path(os.path.realpath(folder)) for folder in settings.folders or ()]


def _covered(settings: Settings) -> list[Path]:
    """The folders that an index covers; none where there is no index yet."""
    try:
        with IndexReader(settings.index_dir) as index:
            return [Path(folder) for folder in index.folders()]
    except IndexMissing:
        return []


def _is_in(folder: Path, others: Sequence[Path]) -> bool:
    return any(folder.is_relative_to(other) for other in others)


def _sum(first: IndexReport, second: IndexReport) -> IndexReport:
    """Two runs as one; what the first did, the second found unchanged."""
    done = first.added + first.updated + first.renamed
    return replace(
        second,
        added=first.added + second.added,
        updated=first.updated + second.updated,
        removed=first.removed + second.removed,
        renamed=first.renamed + second.renamed,
        unchanged=max(0, second.unchanged - done),
        skipped=tuple(dict.fromkeys((*first.skipped, *second.skipped))),
        problems=tuple(dict.fromkeys((*first.problems, *second.problems))),
        encoded=first.encoded + second.encoded,
        seconds=first.seconds + second.seconds,
    )


def _open(name: str, settings: Settings) -> IndexReader:
    try:
        return IndexReader(settings.index_dir)
    except IndexMissing as error:
        folder = "" if settings.folders else " FOLDER"
        raise IndexMissing(
            f"the collection {name} was not indexed yet", f"Index it: notesearch index -c {name}{folder}"
        ) from error


def _grouped(readers: Mapping[str, IndexReader]) -> list[tuple[str, ...]]:
    """The names of those whose vectors are of one kind, together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, reader in readers.items():
        groups.setdefault((reader.fingerprint.encoder, reader.fingerprint.token_encoder), []).append(name)
    return [tuple(names) for names in groups.values()]


def _filters_in(settings: Settings) -> Filters:
    paths = (path_meanings(settings.path, None),) if settings.path else ()
    return Filters(settings.tags, settings.not_tags, paths)


def _concepts_of(settings: Iterable[Settings]) -> Concepts | None:
    """The owner's links in all the files that collections name."""
    files = list(dict.fromkeys(own.concepts for own in settings if own.concepts))
    if not files:
        return None
    from notesearch.retrieval.concepts import read_concepts

    first, *others = (read_concepts(file) for file in files)
    return replace(first, links=(*first.links, *(link for other in others for link in other.links)))
