"""How similar notes are to a note, by comparing all passages of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from notesearch.errors import IndexDamaged
from notesearch.storage import IndexReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]
    Vectors = NDArray[np.float32]
    Scores = NDArray[np.float32]

# How much of a passage's mean cosine with all passages is subtracted, since some passages are similar to everything.
_HUB_WEIGHT = np.float32(0.5)
# Passages of a note that are compared at a time: 25 MB of cosines in an index of 100,000.
_BLOCK_PASSAGES = 64


@dataclass(frozen=True, slots=True)
class AllPassages:
    """The passages of an index, note by note.

    Attributes:
        note_ids: The notes that have any, ascending.
        chunk_ids: Their chunks, note by note, each in order.
        starts: Where the chunks of each note start in `chunk_ids`.
        vectors: Their embeddings, in parts and in an order of their own.
        rows: Where the embedding of each chunk is, counted through the parts.
        hubness: What is subtracted from the cosines of each chunk.
    """

    note_ids: Ids
    chunk_ids: Ids
    starts: Ids
    vectors: tuple[Vectors, ...]
    rows: Ids
    hubness: Scores

    @classmethod
    def read(cls, reader: IndexReader) -> AllPassages:
        """Reads the embeddings of an index, or maps them from its vector file.

        Raises:
            IndexDamaged: A chunk has none.
        """
        pairs = reader.vectors()
        vectors = tuple(vectors for _, vectors in pairs)
        stored_ids = np.concatenate([ids for ids, _ in pairs] or [np.empty(0, dtype=np.int64)])
        order = np.argsort(stored_ids, kind="stable")
        chunk_ids, owners = reader.owners_of_chunks()
        if not np.isin(chunk_ids, stored_ids).all():
            raise IndexDamaged("the index is damaged: a passage has no embedding")
        rows = order[np.searchsorted(stored_ids, chunk_ids, sorter=order)]
        note_ids, starts = np.unique(owners, return_index=True)
        is_alive = np.zeros(len(stored_ids), dtype=np.float32)
        is_alive[rows] = 1 / max(1, len(rows))
        parts = np.split(is_alive, np.cumsum([len(part) for part in vectors])[:-1])
        mean = sum((weights @ part for weights, part in zip(parts, vectors, strict=False)), start=np.float32(0))
        hubness = _HUB_WEIGHT * np.concatenate([part @ mean for part in vectors])[rows] if vectors else is_alive
        return cls(note_ids, chunk_ids, starts, vectors, rows, hubness)

    def similarity(self, own: Vectors) -> Scores:
        """How similar each note is to a given note.

        The mean, in both directions, of each passage's cosine with the closest passage of the other note. With one
        direction alone, long notes (some passage of which is similar to anything) or stubs would be similar to all.

        Args:
            own: The embeddings of the given note, float32 `(passages, dim)`.
        """
        there = np.zeros(len(self.note_ids), dtype=np.float32)
        back = np.full(len(self.chunk_ids), -np.inf, dtype=np.float32)
        for first in range(0, len(own), _BLOCK_PASSAGES):
            block = own[first : first + _BLOCK_PASSAGES]
            cosines = np.concatenate([part @ block.T for part in self.vectors])[self.rows]
            cosines -= self.hubness[:, np.newaxis]
            there += np.maximum.reduceat(cosines, self.starts, axis=0).sum(axis=1)
            np.maximum(back, cosines.max(axis=1), out=back)
        counts = np.diff(self.starts, append=len(self.chunk_ids))
        means: Scores = ((there / len(own) + np.add.reduceat(back, self.starts) / counts) / 2).astype(np.float32)
        return means

    def of(self, note: int) -> slice:
        """Which of all chunks are those of a note, given by its place in `note_ids`."""
        end = self.starts[note + 1] if note + 1 < len(self.starts) else len(self.chunk_ids)
        return slice(int(self.starts[note]), int(end))


def mutually_closest(cosines: Scores, hubness: Scores, most: int) -> list[tuple[int, int]]:
    """Pairs of passages of two notes, each the other's closest, the closest pair first.

    Args:
        cosines: `(passages of one, passages of the other)`.
        hubness: What is subtracted from the cosines of each passage of the other.
        most: The most pairs.
    """
    adjusted = cosines - hubness
    of_one, of_other = adjusted.argmax(axis=1), adjusted.argmax(axis=0)
    pairs = [(row, int(column)) for row, column in enumerate(of_one) if of_other[column] == row]
    return sorted(pairs, key=lambda pair: -adjusted[pair])[:most]
