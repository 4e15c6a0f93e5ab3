"""Several indexes read as one (docs/collections.md says how well that works)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from notesearch.records import Filters
from notesearch.storage.full_text import WordQuery, idf
from notesearch.storage.reader import Reader, StoredChunk, StoredNote, StoredProperty, Unfinished

if TYPE_CHECKING:
    from numpy.typing import NDArray

Value = TypeVar("Value")

# Ids of the n-th index begin here, n times; no index has so many notes or chunks.
_STRIDE = 1 << 40
_NO_LIMIT = -1


class UnionReader:
    """Indexes with vectors of one kind, read as one; see `Reader`.

    A word counts by how rare it is in all of them, so that what BM25 says of a note is the same as if they were one
    index; only the lengths of notes are compared with those of their own index.

    Args:
        readers: The indexes by the names of their collections; this becomes their owner.
        defaults: For each, what holds where a search filters by nothing of that kind.
        beside: Indexes with other vectors that are searched for the same: their notes count where rarity does.

    Attributes:
        fingerprint: See `Reader`.
    """

    def __init__(
        self, readers: Mapping[str, Reader], defaults: Sequence[Filters], beside: Sequence[Reader] = ()
    ) -> None:
        self._names, self._readers = tuple(readers), tuple(readers.values())
        self._defaults = tuple(defaults)
        self._counted = (*self._readers, *beside)
        self.fingerprint = self._readers[0].fingerprint

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        readers = ExitStack()
        for reader in self._readers:
            readers.push(reader)
        readers.__exit__(kind, error, traceback)

    def close(self) -> None:
        """See `Reader`."""
        for reader in self._readers:
            reader.close()

    def count_notes(self) -> int:
        """See `Reader`."""
        return sum(reader.count_notes() for reader in self._counted)

    def unfinished(self) -> tuple[Unfinished, ...]:
        """See `Reader`."""
        return tuple(each for reader in self._readers for each in reader.unfinished())

    def stems(self, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """See `Reader`; all indexes have one tokenizer."""
        return self._readers[0].stems(words)

    def note_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """See `Reader`."""
        wanted, total = set(terms), Counter[str]()
        for reader in self._counted:
            total.update(reader.note_frequencies(wanted))
        return dict(total)

    def match(self, query: WordQuery, limit: int, filters: Filters) -> list[tuple[int, float]]:
        """See `Reader`."""
        rarity = _Rarity(self._counted) if len(self._counted) > 1 else None
        found = []
        for place, reader in enumerate(self._readers):
            scores = dict(reader.match(query, limit, self._filters_of(place, filters)))
            if rarity:
                scores = rarity.rescored(place, query, scores)
            found += [(_global(note_id, place), score) for note_id, score in scores.items()]
        return sorted(found, key=lambda row: (-row[1], row[0]))[: limit if limit >= 0 else None]

    def chunk_ids_of_notes(self, note_ids: Sequence[int]) -> dict[int, int]:
        """See `Reader`."""
        found = self._ask(note_ids, lambda reader, own: reader.chunk_ids_of_notes(own))
        return {_global(chunk, place): _global(note, place) for place, own in found for chunk, note in own.items()}

    def notes_of_chunks(self, chunk_ids: Sequence[int]) -> dict[int, int]:
        """See `Reader`."""
        found = self._ask(chunk_ids, lambda reader, own: reader.notes_of_chunks(own))
        return {_global(chunk, place): _global(note, place) for place, own in found for chunk, note in own.items()}

    def chunks_of_notes(self, note_ids: Sequence[int]) -> list[StoredChunk]:
        """See `Reader`."""
        return [
            replace(chunk, id=_global(chunk.id, place), note_id=_global(chunk.note_id, place))
            for place, own in self._ask(note_ids, lambda reader, own: reader.chunks_of_notes(own))
            for chunk in own
        ]

    def notes(self, note_ids: Sequence[int]) -> dict[int, StoredNote]:
        """See `Reader`."""
        return {
            _global(note.id, place): replace(note, id=_global(note.id, place), collection=self._names[place])
            for place, own in self._ask(note_ids, lambda reader, own: reader.notes(own))
            for note in own.values()
        }

    def properties(self, note_ids: Sequence[int]) -> dict[int, list[StoredProperty]]:
        """See `Reader`."""
        return _merged(self._ask(note_ids, lambda reader, own: reader.properties(own)))

    def property_names(self) -> dict[str, str]:
        """See `Reader`."""
        return {key: name for reader in self._readers for key, name in reader.property_names().items()}

    def admitted_chunks(self, filters: Filters) -> NDArray[np.int64] | None:
        """See `Reader`."""
        own = [reader.admitted_chunks(self._filters_of(place, filters)) for place, reader in enumerate(self._readers)]
        if all(admitted is None for admitted in own):
            return None
        every_note = Filters(paths=(("*",),))
        parts = [
            reader.admitted_chunks(every_note) if admitted is None else admitted
            for admitted, reader in zip(own, self._readers, strict=True)
        ]
        return _joined(parts)

    def vectors(self) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """See `Reader`."""
        return [
            (ids + place * _STRIDE, vectors)
            for place, reader in enumerate(self._readers)
            for ids, vectors in reader.vectors()
        ]

    def dead_chunks(self) -> NDArray[np.int64]:
        """See `Reader`."""
        return _joined([reader.dead_chunks() for reader in self._readers])

    def graph(self) -> Any:
        """See `Reader`; each index has a graph of its own, if it has one."""
        return None

    def vectors_of_chunks(self, chunk_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """See `Reader`."""
        return _merged(self._ask(chunk_ids, lambda reader, own: reader.vectors_of_chunks(own)))

    def token_codes(self, chunk_ids: Sequence[int]) -> dict[int, bytes]:
        """See `Reader`."""
        return _merged(self._ask(chunk_ids, lambda reader, own: reader.token_codes(own)))

    def _filters_of(self, place: int, filters: Filters) -> Filters:
        """What a search filters an index by: each kind of filter as it was asked for, else the index's own."""
        default = self._defaults[place]
        return replace(
            filters,
            tags=filters.tags or default.tags,
            excluded_tags=filters.excluded_tags or default.excluded_tags,
            paths=filters.paths or default.paths,
            excluded_paths=filters.excluded_paths or default.excluded_paths,
            notes=None if filters.notes is None else tuple(n % _STRIDE for n in filters.notes if n // _STRIDE == place),
        )

    def _ask(
        self, ids: Sequence[int], question: Callable[[Reader, Sequence[int]], Value]
    ) -> Iterator[tuple[int, Value]]:
        """Asks each index about those ids that are its own; yields its number and its answer."""
        for place, reader in enumerate(self._readers):
            own = [number % _STRIDE for number in ids if number // _STRIDE == place]
            if own:
                yield place, question(reader, own)


class _Rarity:
    """How rare words are in several indexes together; for one query.

    An index knows only its own notes. But the BM25 of a note for one word or phrase is its IDF times something that
    depends on the note alone; so one IDF can be put in the place of the other.
    """

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = readers
        self._notes = [reader.count_notes() for reader in readers]
        self._scores: dict[tuple[int, WordQuery], dict[int, float]] = {}

    def rescored(self, place: int, query: WordQuery, note_ids: Iterable[int]) -> dict[int, float]:
        """Scores notes of one index that match a query."""
        total = dict.fromkeys(note_ids, 0.0)
        for clause in query.clauses():
            words = [word for pair in clause.pairs for word in pair] or clause.words
            # Of two words near each other only the sum is known; they occur equally often.
            factor = sum(map(self._idf, words)) / sum(self._idf(word, place) for word in words)
            for note_id, score in self._matches(place, clause).items():
                if note_id in total:
                    total[note_id] += factor * score
        return total

    def _idf(self, word: str, place: int | None = None) -> float:
        """A word's IDF in one index, or in all."""
        places = range(len(self._readers)) if place is None else [place]
        notes = sum(self._notes[number] for number in places)
        return idf(notes, sum(len(self._matches(number, WordQuery((word,)))) for number in places))

    def _matches(self, place: int, clause: WordQuery) -> dict[int, float]:
        if (place, clause) not in self._scores:
            self._scores[place, clause] = dict(self._readers[place].match(clause, _NO_LIMIT, Filters()))
        return self._scores[place, clause]


def _global(number: int, place: int) -> int:
    return place * _STRIDE + number


def _joined(parts: Sequence[NDArray[np.int64] | None]) -> NDArray[np.int64]:
    return np.concatenate([part + place * _STRIDE for place, part in enumerate(parts) if part is not None])


def _merged(found: Iterable[tuple[int, Mapping[int, Value]]]) -> dict[int, Value]:
    return {_global(number, place): value for place, own in found for number, value in own.items()}
