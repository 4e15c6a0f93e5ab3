"""What a search asks of an index, however that is stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from notesearch.records import Chunk, Filters, LinkKind, Note
from notesearch.storage.full_text import WordQuery

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the vectors of an index depend on; vectors of two fingerprints never meet in one index.

    Attributes:
        model: The bi-encoder as the user named it.
        encoder: `EncoderConfig.fingerprint`.
        dim: Length of a vector.
        budget_tokens: See `Chunking`.
        overlap_sentences: See `Chunking`.
        passages: Version of the way in which notes are cut and passages are put together.
        token_model: The multi-vector model that the token codes are of, as the user named it; empty for the bi-encoder.
        token_encoder: The fingerprint of that model.
    """

    model: str
    encoder: str
    dim: int
    budget_tokens: int
    overlap_sentences: int
    passages: int
    token_model: str = ""
    token_encoder: str = ""


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as stored; see `records.Chunk`."""

    id: int
    note_id: int
    start: int
    end: int
    start_line: int
    end_line: int
    heading: str
    text: str
    page: int = 0
    end_page: int = 0

    @classmethod
    def of(cls, chunk: Chunk, id: int, note_id: int) -> Self:
        """A chunk that is not stored, as it would be."""
        return cls(
            *(id, note_id, chunk.start, chunk.end, chunk.start_line, chunk.end_line, chunk.heading, chunk.text),
            page=chunk.page,
            end_page=chunk.end_page,
        )


@dataclass(frozen=True, slots=True)
class StoredNote:
    """A note as stored; see `records.Note`. Of several indexes read as one, `collection` names the note's own."""

    id: int
    path: str
    title: str
    date: str
    tags: tuple[str, ...]
    file_tags: tuple[str, ...] = ()
    collection: str = ""

    @classmethod
    def of(cls, note: Note, id: int) -> Self:
        """A note that is not stored, as it would be."""
        return cls(id, str(note.path), note.title, note.date.isoformat(timespec="seconds"), note.tags, note.file_tags)


class StoredProperty(NamedTuple):
    """A value of a property of a note as stored; see `records.Property`."""

    name: str
    value: str


class StoredLink(NamedTuple):
    """A link as stored; see `records.Link`.

    Attributes:
        note_id: The note that it stands in.
        target: As written.
        anchor: The words that carry it.
        kind: Of the link.
        line: Where it begins, 1-based; 0 in metadata.
    """

    note_id: int
    target: str
    anchor: str
    kind: LinkKind
    line: int


class Unfinished(NamedTuple):
    """A first run of `index` that was begun, and is not finished.

    Attributes:
        notes: How many notes the index holds.
        expected: How many it will hold; 0 where that is not known yet.
    """

    notes: int
    expected: int

    def __str__(self) -> str:
        """How much that is, in words."""
        of = f" of {self.expected:,}" if self.expected else ""
        return f"{self.notes:,}{of} notes"


class Reader(Protocol):
    """An index opened for searching. It sees one state of the index, whatever is written meanwhile.

    Implemented by `IndexReader` (one index, read once), `WarmReader` (one index, read again and again) and
    `UnionReader` (several indexes as one). Notes and chunks are known by ids, which mean something to one reader only.
    """

    @property
    def fingerprint(self) -> Fingerprint:
        """What its vectors depend on."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def close(self) -> None:
        """Closes the index."""
        ...

    def count_notes(self) -> int:
        """Notes in the index."""
        ...

    def unfinished(self) -> tuple[Unfinished, ...]:
        """How far first runs are that are not finished."""
        ...

    def stems(self, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Maps words to the terms that the full-text index makes of them: stemmed, without diacritics.

        Most words give one term; a word of an unspaced script gives one a character, and a word without letters none.
        """
        ...

    def note_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """In how many notes each term occurs; terms as `stems` gives them, those that occur nowhere left out."""
        ...

    def match(self, query: WordQuery, limit: int, filters: Filters) -> list[tuple[int, float]]:
        """Finds the notes that match a query best by BM25 over titles and texts.

        Args:
            query: The words.
            limit: The most notes to return; -1 for all.
            filters: Notes to admit.

        Returns:
            `(note id, score)`, best first; scores are greater than 0, and do not depend on the filters.
        """
        ...

    def chunk_ids_of_notes(self, note_ids: Sequence[int]) -> dict[int, int]:
        """Maps the ids of all chunks of some notes to the ids of these notes."""
        ...

    def notes_of_chunks(self, chunk_ids: Sequence[int]) -> dict[int, int]:
        """Maps chunk ids to the ids of their notes."""
        ...

    def chunks_of_notes(self, note_ids: Sequence[int]) -> list[StoredChunk]:
        """Fetches all chunks of some notes, note by note, each in order."""
        ...

    def notes(self, note_ids: Sequence[int]) -> dict[int, StoredNote]:
        """Fetches notes by id."""
        ...

    def properties(self, note_ids: Sequence[int]) -> dict[int, list[StoredProperty]]:
        """Fetches the values of properties by which some notes are found, and that are not in their chunks as well."""
        ...

    def property_names(self) -> dict[str, str]:
        """All properties of notes: their keys, for comparison, and what their owner calls them."""
        ...

    def admitted_chunks(self, filters: Filters) -> NDArray[np.int64] | None:
        """Ids of the chunks that the filters admit, ascending int64; `None` where every chunk is admitted."""
        ...

    def vectors(self) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """All embeddings, as pairs of chunk ids int64 `(n,)` and vectors float32 `(n, dim)`.

        Some may be mapped from a file, which still holds chunks that are gone; see `dead_chunks`.
        """
        ...

    def dead_chunks(self) -> NDArray[np.int64]:
        """Ids of chunks that `vectors` may still give though they are gone, ascending int64."""
        ...

    def graph(self) -> Any:
        """The first vectors as an `hnswlib.Index`; `None` where there is none, or loading it does not pay."""
        ...

    def vectors_of_chunks(self, chunk_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Embeddings by chunk id, float32 `(dim,)` each."""
        ...

    def token_codes(self, chunk_ids: Sequence[int]) -> dict[int, bytes]:
        """Token codes by chunk id."""
        ...
