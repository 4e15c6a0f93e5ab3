"""Ranks places that other programs found; what the index knows of them is not encoded again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from notesearch.encoders import EncodedQuery, Encoder
from notesearch.errors import NoteUnreadable
from notesearch.files import Stamp
from notesearch.notes import NO_TEXT, NoteFile, chunk_note, is_unchanged, lines_are_of_file, most_bytes, read_note
from notesearch.notes.structure import LineTable
from notesearch.records import Chunking, Hit, Place, RerankMethod, Skipped
from notesearch.retrieval.fusion import Candidate
from notesearch.retrieval.late_interaction import PASSAGES_A_NOTE, LateQuery, score_note
from notesearch.retrieval.lexical import word_forms
from notesearch.retrieval.passages import POOL_NOTES, ChosenPassage, rerank_by_cross_encoder, show_passages
from notesearch.retrieval.query import Query, parse_query
from notesearch.storage import IndexReader, StoredChunk, StoredNote
from notesearch.words import distinct_words, passage_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from notesearch.encoders.cross_encoder import CrossEncoder

    Vectors = NDArray[np.float32]


# Passages encoded together, between two reports of progress.
_BATCH_PASSAGES = 256


@dataclass(frozen=True, slots=True)
class _Unit:
    """What becomes one hit: a note, or a passage in which lines were found.

    Attributes:
        note: The note.
        chunks: Its passages, or the one (several, where one line is cut into them); those that the index does not know
            have ids below 0.
        lines: First and last of the lines that were found.
    """

    note: StoredNote
    chunks: tuple[StoredChunk, ...]
    lines: tuple[int, int] | None = None


class Reranker:
    """Ranks places that another program has found.

    Args:
        reader: The index, if there is one: what it knows need not be encoded again.
        encoder: The index's encoder, or any.
        chunking: How the index's notes are cut.
        max_bytes: Larger files are not read.
        progress: Told the passages encoded so far, and those to encode.
    """

    def __init__(
        self,
        reader: IndexReader | None,
        encoder: Encoder,
        *,
        chunking: Chunking,
        max_bytes: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._reader = reader
        self._encoder = encoder
        self._chunking = chunking
        self._max_bytes = max_bytes
        self._progress = progress or (lambda done, total: None)
        self._new_ids = count(-1, -1)
        self._vectors: dict[int, Vectors] = {}
        self._codes: dict[int, bytes] = {}

    def rerank(
        self,
        typed: str,
        places: Sequence[Place],
        *,
        method: RerankMethod,
        limit: int,
        cross_encoder: CrossEncoder | None = None,
    ) -> tuple[list[Hit], list[Skipped]]:
        """Ranks places by how well they answer a query.

        Args:
            typed: The query.
            places: Notes, or lines in notes; lines of one passage become one hit.
            method: `maxsim` (embeddings and late interaction), `dense` (embeddings alone), or `cross-encoder`, which
                scores the best of `maxsim` again.
            limit: The most hits, ≥ 1.
            cross_encoder: The cross-encoder, for `cross-encoder`.

        Returns:
            Hits, best first, and what could not be read.

        Raises:
            UsageError: The query is empty.
        """
        query = parse_query(typed)
        units, skipped = self._read(places)
        self._encode(units)
        encoded = self._encoder.encode_query(query.text)
        late = self._late_query(query.text, encoded, units) if method != "dense" else None
        chosen = sorted((self._choose(unit, encoded, late) for unit in units), key=lambda passage: -passage.found.score)
        if cross_encoder:
            chosen = rerank_by_cross_encoder(cross_encoder, query.text, chosen, max(POOL_NOTES, limit))
        return show_passages(self._with_word_forms(query, chosen[:limit]), self._codes), skipped

    def _read(self, places: Sequence[Place]) -> tuple[list[_Unit], list[Skipped]]:
        """Finds the passages that places are in."""
        by_path: dict[Path, list[Place]] = {}
        for place in places:
            by_path.setdefault(place.path, []).append(place)
        units: list[_Unit] = []
        skipped: list[Skipped] = []
        for path, own in by_path.items():
            try:
                str(path).encode()
                note, chunks = self._stored(path) or self._read_file(path)
            except UnicodeEncodeError:
                skipped.append(Skipped(str(path), "name is not valid UTF-8"))
                continue
            except NoteUnreadable as error:
                skipped.append(Skipped(str(path), error.message, error.for_now))
                continue
            # Another program that found a line in a document, a web page say, counts other lines.
            lines = [place.line for place in own if place.line is not None and lines_are_of_file(path)]
            if len(lines) < len(own):
                units.append(_Unit(note, chunks))
                continue
            lines_of_chunks: dict[tuple[StoredChunk, ...], list[int]] = {}
            for line in lines:
                lines_of_chunks.setdefault(_chunks_at(chunks, line), []).append(line)
            units += [_Unit(note, held, _span(held, found)) for held, found in lines_of_chunks.items()]
        return units, skipped

    def _stored(self, path: Path) -> tuple[StoredNote, tuple[StoredChunk, ...]] | None:
        """The note as the index knows it, if it does, and if its file is still the same."""
        if self._reader is None:
            return None
        known = self._reader.note_at(str(path))
        try:
            file = NoteFile(path, Stamp.of(path.stat()))
            if known is None or not is_unchanged(file, known.stamp, known.content_hash):
                return None
        except (OSError, NoteUnreadable):
            return None
        chunks = tuple(self._reader.chunks_of_notes([known.id]))
        ids = [chunk.id for chunk in chunks]
        self._codes |= self._reader.token_codes(ids)
        self._vectors |= self._reader.vectors_of_chunks(ids)
        return self._reader.notes([known.id])[known.id], chunks

    def _read_file(self, path: Path) -> tuple[StoredNote, tuple[StoredChunk, ...]]:
        """Reads a note and cuts it as `index` would.

        Raises:
            NoteUnreadable: It cannot be read.
        """
        try:
            status = path.stat()
        except OSError as error:
            raise NoteUnreadable((error.strerror or "cannot be read").lower()) from error
        if path.is_dir():
            raise NoteUnreadable("a folder; name the files in it")
        if status.st_size > (limit := most_bytes(path, self._max_bytes)):
            raise NoteUnreadable(f"larger than {limit:,} bytes")
        note = read_note(NoteFile(path, Stamp.of(status)))
        chunks = chunk_note(note, self._encoder.token_starts, self._chunking) or (NO_TEXT,)
        return StoredNote.of(note, 0), tuple(StoredChunk.of(chunk, next(self._new_ids), 0) for chunk in chunks)

    def _encode(self, units: Sequence[_Unit]) -> None:
        """Encodes what the index does not know."""
        unknown = {
            chunk.id: passage_text(unit.note.title, chunk.heading, chunk.text)
            for unit in units
            for chunk in unit.chunks
            if chunk.id not in self._codes
        }
        ids = list(unknown)
        for first in range(0, len(ids), _BATCH_PASSAGES):
            batch = ids[first : first + _BATCH_PASSAGES]
            encoded = self._encoder.encode_passages([unknown[chunk_id] for chunk_id in batch])
            self._codes |= zip(batch, encoded.codes, strict=True)
            self._vectors |= zip(batch, encoded.vectors, strict=True)
            self._progress(first + len(batch), len(ids))

    def _late_query(self, text: str, encoded: EncodedQuery, units: Sequence[_Unit]) -> LateQuery:
        """Weights the query's words by how rare they are in the index, or else among the passages."""
        if self._reader is not None:
            return LateQuery.of_index(text, self._encoder, encoded, self._reader)
        # With the single characters, which are the words of an unspaced script.
        passages = [distinct_words(chunk.text) | set(chunk.text) for unit in units for chunk in unit.chunks]
        frequencies = {word.word: sum(word.word in held for held in passages) for word in encoded.words}
        return LateQuery.of(text, self._encoder, encoded, frequencies, len(passages))

    def _choose(self, unit: _Unit, encoded: EncodedQuery, late: LateQuery | None) -> ChosenPassage:
        """Scores a unit, and chooses the passage to show."""
        cosines = np.stack([self._vectors[chunk.id] for chunk in unit.chunks]) @ encoded.vector
        similarity = self._encoder.scale.similarity(cosines)
        closest = np.argsort(-cosines, kind="stable")[:PASSAGES_A_NOTE]
        highest = float(similarity.max())
        found = Candidate(0, highest, {"dense": float(cosines.max())}, {"dense": highest})
        best = int(closest[0])
        if late:
            scores = late.score([self._codes[unit.chunks[row].id] for row in closest])
            added = late.contributions(scores)
            best = int(closest[int((similarity[closest] + added).argmax())])
            found = found.with_part("late", score_note(scores.tolist()), score_note(added.tolist()))
        others = 0 if unit.lines else len(unit.chunks) - 1
        chunk = unit.chunks[best]
        return ChosenPassage(found, unit.note, chunk, others, {}, late, _from_lines(chunk, unit.lines))

    def _with_word_forms(self, query: Query, chosen: Sequence[ChosenPassage]) -> list[ChosenPassage]:
        words = set().union(*(distinct_words(passage.chunk.text) for passage in chosen))
        if self._reader is not None:
            forms = word_forms(self._reader, query.words, words)
        else:
            forms = {word: word for word in words & set(query.words)}
        return [replace(passage, forms=forms) for passage in chosen]


def _chunks_at(chunks: Sequence[StoredChunk], line: int) -> tuple[StoredChunk, ...]:
    """The chunks that a line is in, of which there may be several; the closest one, for a line that is in none."""
    holders = tuple(chunk for chunk in chunks if chunk.start_line <= line <= chunk.end_line)
    return holders or (min(chunks, key=lambda chunk: max(chunk.start_line - line, line - chunk.end_line)),)


def _span(chunks: Sequence[StoredChunk], lines: Sequence[int]) -> tuple[int, int]:
    """First and last of some lines; those in no chunk (in the front matter, say) count only if there are no others."""
    inside = [line for line in lines if any(chunk.start_line <= line <= chunk.end_line for chunk in chunks)]
    return min(inside or lines), max(inside or lines)


def _from_lines(chunk: StoredChunk, lines: tuple[int, int] | None) -> StoredChunk:
    """The part of a chunk that begins with the first of the lines that were found in it."""
    if lines is None or not chunk.start_line <= lines[0] <= lines[1] <= chunk.end_line:
        return chunk
    offset = LineTable(chunk.text).starts[lines[0] - chunk.start_line]
    text = chunk.text[offset:]
    return replace(chunk, start=chunk.start + offset, start_line=lines[0], end_line=lines[1], text=text)
