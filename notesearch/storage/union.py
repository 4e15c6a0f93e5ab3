"""Several indexes read as one (docs/collections.md says how well that works)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from notesearch.records import Filters
from notesearch.storage.bm25 import idf
from notesearch.storage.reader import IndexReader, StoredChunk, StoredNote

if TYPE_CHECKING:
    from numpy.typing import NDArray

Value = TypeVar("Value")

# Ids of the n-th index begin here, n times; no index has so many notes or chunks.
_STRIDE = 1 << 40
_EVERY_PATH = "*"
_NO_LIMIT = -1
_PHRASE = re.compile(r'"(?:[^"]|"")*"')
# What FTS5 scores by itself: phrases near each other, or a phrase.
_CLAUSE = re.compile(rf"NEAR\((?:\s*{_PHRASE.pattern})+, \d+\)|{_PHRASE.pattern}")


class UnionReader(IndexReader):
    """Indexes with vectors of one kind, read as one: it answers all that a search asks of a reader.

    A word counts by how rare it is in all of them, so that what BM25 says of a note is the same as if they were one
    index; only the lengths of notes are compared with those of their own index.

    Args:
        readers: The indexes, of which this becomes the owner.
        defaults: For each, what holds where a search filters by nothing of that kind.
        beside: Indexes with other vectors that are searched for the same: their notes count where rarity does.
    """

    def __init__(
        self, readers: Sequence[IndexReader], defaults: Sequence[Filters], beside: Sequence[IndexReader] = ()
    ) -> None:
        self._readers = tuple(readers)
        self._defaults = tuple(defaults)
        self._counted = (*readers, *beside)
        self._of_paths: dict[str, int] = {}
        self.fingerprint = readers[0].fingerprint

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
        """Closes the indexes."""
        for reader in self._readers:
            reader.close()

    def index_of(self, path: str) -> int:
        """The number of the index that a note came from; of those that have it, the first."""
        return self._of_paths[path]

    def count_notes(self) -> int:
        """See `IndexReader`."""
        return sum(reader.count_notes() for reader in self._counted)

    def stems(self, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """See `IndexReader`; all indexes have one tokenizer."""
        return self._readers[0].stems(words)

    def note_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """See `IndexReader`."""
        wanted, total = set(terms), Counter[str]()
        for reader in self._counted:
            total.update(reader.note_frequencies(wanted))
        return dict(total)

    def match_words(
        self, expression: str, weights: tuple[float, float], limit: int, filters: Filters
    ) -> list[tuple[int, float]]:
        """See `IndexReader`."""
        statistics = _Statistics(self._counted, weights) if len(self._counted) > 1 else None
        found = []
        for place, reader in enumerate(self._readers):
            rows = reader.match_words(expression, weights, limit, self._filters_of(place, filters))
            if statistics:
                rows = statistics.rescored(place, expression, [note_id for note_id, _ in rows])
            found += [(_global(note_id, place), score) for note_id, score in rows]
        return sorted(found, key=lambda row: (-row[1], row[0]))[:limit]

    def chunk_ids_of_notes(self, note_ids: Sequence[int]) -> dict[int, int]:
        """See `IndexReader`."""
        found = self._ask(note_ids, IndexReader.chunk_ids_of_notes)
        return {_global(chunk, place): _global(note, place) for place, own in found for chunk, note in own.items()}

    def notes_of_chunks(self, chunk_ids: Sequence[int]) -> dict[int, int]:
        """See `IndexReader`."""
        found = self._ask(chunk_ids, IndexReader.notes_of_chunks)
        return {_global(chunk, place): _global(note, place) for place, own in found for chunk, note in own.items()}

    def chunks_of_notes(self, note_ids: Sequence[int]) -> list[StoredChunk]:
        """See `IndexReader`."""
        return [
            replace(chunk, id=_global(chunk.id, place), note_id=_global(chunk.note_id, place))
            for place, own in self._ask(note_ids, IndexReader.chunks_of_notes)
            for chunk in own
        ]

    def notes(self, note_ids: Sequence[int]) -> dict[int, StoredNote]:
        """See `IndexReader`."""
        notes = {}
        for place, own in self._ask(note_ids, IndexReader.notes):
            for note in own.values():
                notes[_global(note.id, place)] = replace(note, id=_global(note.id, place))
                self._of_paths[note.path] = min(place, self._of_paths.get(note.path, place))
        return notes

    def admitted_chunks(self, filters: Filters) -> NDArray[np.int64] | None:
        """See `IndexReader`."""
        own = [reader.admitted_chunks(self._filters_of(place, filters)) for place, reader in enumerate(self._readers)]
        if all(admitted is None for admitted in own):
            return None
        every_note = Filters(path_glob=_EVERY_PATH)
        parts = [
            reader.admitted_chunks(every_note) if admitted is None else admitted
            for admitted, reader in zip(own, self._readers, strict=True)
        ]
        return _joined(parts)

    def vectors(self) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """See `IndexReader`."""
        return [
            (ids + place * _STRIDE, vectors)
            for place, reader in enumerate(self._readers)
            for ids, vectors in reader.vectors()
        ]

    def dead_chunks(self) -> NDArray[np.int64]:
        """See `IndexReader`."""
        return _joined([reader.dead_chunks() for reader in self._readers])

    def vectors_of_chunks(self, chunk_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """See `IndexReader`."""
        return _merged(self._ask(chunk_ids, IndexReader.vectors_of_chunks))

    def token_codes(self, chunk_ids: Sequence[int]) -> dict[int, bytes]:
        """See `IndexReader`."""
        return _merged(self._ask(chunk_ids, IndexReader.token_codes))

    def _filters_of(self, place: int, filters: Filters) -> Filters:
        """What a search filters an index by: each kind of filter as it was asked for, else the index's own."""
        default = self._defaults[place]
        return replace(
            filters,
            tags=filters.tags or default.tags,
            excluded_tags=filters.excluded_tags or default.excluded_tags,
            path_glob=filters.path_glob or default.path_glob,
        )

    def _ask(
        self, ids: Sequence[int], question: Callable[[IndexReader, Sequence[int]], Value]
    ) -> Iterator[tuple[int, Value]]:
        """Asks each index about those ids that are its own; yields its number and its answer."""
        for place, reader in enumerate(self._readers):
            own = [number % _STRIDE for number in ids if number // _STRIDE == place]
            if own:
                yield place, question(reader, own)


class _Statistics:
    """BM25 by how rare words are in several indexes together.

    FTS5 knows only its own table. But what it gives a note for one phrase is the phrase's IDF times something that
    depends on the note alone; so one IDF can be put in the place of the other.
    """

    def __init__(self, readers: Sequence[IndexReader], weights: tuple[float, float]) -> None:
        self._readers = readers
        self._weights = weights
        self._notes = [reader.count_notes() for reader in readers]
        self._scores: dict[tuple[int, str], dict[int, float]] = {}

    def rescored(self, place: int, expression: str, note_ids: Iterable[int]) -> list[tuple[int, float]]:
        """Scores notes of one index that match an expression."""
        total = dict.fromkeys(note_ids, 0.0)
        for clause in _CLAUSE.findall(expression):
            phrases = _PHRASE.findall(clause)
            # Of two phrases near each other only the sum is known; they occur equally often.
            factor = sum(map(self._idf, phrases)) / sum(self._idf(phrase, place) for phrase in phrases)
            for note_id, score in self._matches(place, clause).items():
                if note_id in total:
                    total[note_id] += factor * score
        return list(total.items())

    def _idf(self, phrase: str, place: int | None = None) -> float:
        """A phrase's IDF in one index, or in all."""
        places = range(len(self._readers)) if place is None else [place]
        notes = sum(self._notes[number] for number in places)
        holding = sum(len(self._matches(number, phrase)) for number in places)
        return idf(notes, holding)

    def _matches(self, place: int, clause: str) -> dict[int, float]:
        if (place, clause) not in self._scores:
            rows = self._readers[place].match_words(clause, self._weights, _NO_LIMIT, Filters())
            self._scores[place, clause] = dict(rows)
        return self._scores[place, clause]


def _global(number: int, place: int) -> int:
    return place * _STRIDE + number


def _joined(parts: Sequence[NDArray[np.int64] | None]) -> NDArray[np.int64]:
    return np.concatenate([part + place * _STRIDE for place, part in enumerate(parts) if part is not None])


def _merged(found: Iterable[tuple[int, Mapping[int, Value]]]) -> dict[int, Value]:
    return {_global(number, place): value for place, own in found for number, value in own.items()}
