"""The words of many notes as numbers, one note after another, and where they stand in their files."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from notesearch.notes.lines import LineTable
from notesearch.storage import IndexReader, StoredChunk
from notesearch.words import UNSPACED_CHARACTER, find_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Notes whose texts are in memory at a time.
_BATCH_NOTES = 500
_EXCERPT_CHARS = 200


@dataclass(frozen=True, slots=True)
class WordTable:
    """The words of notes, without their titles; each character of a script without spaces is a word.

    Attributes:
        note_ids: The notes.
        words: Numbers of their words, one note after another, int32; the same word has the same number in any case.
        starts: Where the words of each note start in `words`, int64 `(notes + 1,)`.
    """

    note_ids: tuple[int, ...]
    words: NDArray[np.int32]
    starts: NDArray[np.int64]

    def of(self, row: int) -> NDArray[np.int32]:
        """The words of one note."""
        own: NDArray[np.int32] = self.words[self.starts[row] : self.starts[row + 1]]
        return own


@dataclass(frozen=True, slots=True)
class NoteText:
    """The text of a note, and where its words stand in it.

    Attributes:
        chunks: The note's chunks.
        spans: For each word, as `WordTable` counts them, its chunk, and where it starts and ends in that chunk's text.
    """

    chunks: tuple[StoredChunk, ...]
    spans: tuple[tuple[int, int, int], ...]

    def lines(self, first: int, last: int) -> tuple[int, int]:
        """The lines of the file, 1-based, that the words from `first` to `last`, inclusive, stand on."""
        return self._line(first), self._line(last)

    def excerpt(self, first: int, last: int) -> str:
        """The text from one word to another, inclusive, white space collapsed; its beginning, where it is long."""
        shown = ""
        chunk, start, _ = self.spans[first]
        last_chunk, _, end = self.spans[last]
        while chunk <= last_chunk and len(shown) <= _EXCERPT_CHARS:
            text = self.chunks[chunk].text[start : end if chunk == last_chunk else None]
            shown = " ".join([shown, *text.split()]).strip()
            chunk, start = chunk + 1, 0
        return shown if len(shown) <= _EXCERPT_CHARS else shown[:_EXCERPT_CHARS].rsplit(" ", 1)[0] + "…"

    def _line(self, word: int) -> int:
        chunk, start, _ = self.spans[word]
        return self.chunks[chunk].start_line + len(LineTable(self.chunks[chunk].text[:start]).starts) - 1


def read_word_table(reader: IndexReader, note_ids: Sequence[int]) -> WordTable:
    """Reads the words of notes; their texts are in memory only some at a time."""
    numbers: dict[str, int] = {}
    columns: list[NDArray[np.int32]] = []
    for first in range(0, len(note_ids), _BATCH_NOTES):
        batch = note_ids[first : first + _BATCH_NOTES]
        words: dict[int, list[int]] = {note_id: [] for note_id in batch}
        for chunk, repeated in _without_repeats(reader.chunks_of_notes(batch)):
            own = words[chunk.note_id]
            own += [numbers.setdefault(word, len(numbers)) for word in _words(chunk.text[repeated:])]
        columns += [np.array(own, dtype=np.int32) for own in words.values()]
    starts = np.zeros(len(columns) + 1, dtype=np.int64)
    np.cumsum([len(column) for column in columns], out=starts[1:])
    return WordTable(tuple(note_ids), np.concatenate([*columns, np.empty(0, dtype=np.int32)]), starts)


def read_text(reader: IndexReader, note_id: int) -> NoteText:
    """Reads one note."""
    chunks = reader.chunks_of_notes([note_id])
    spans = [
        (number, repeated + start, repeated + end)
        for number, (chunk, repeated) in enumerate(_without_repeats(chunks))
        for start, end in _spans(chunk.text[repeated:])
    ]
    return NoteText(tuple(chunks), tuple(spans))


def _without_repeats(chunks: Sequence[StoredChunk]) -> Iterator[tuple[StoredChunk, int]]:
    """Chunks, and how many characters each repeats of the one before."""
    note_id, end = 0, 0
    for chunk in chunks:
        if chunk.note_id != note_id:
            note_id, end = chunk.note_id, 0
        yield chunk, max(0, end - chunk.start)
        end = max(end, chunk.end)


def _spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each word."""
    runs = find_runs(text)
    if text.isascii() or not UNSPACED_CHARACTER.search(text):
        return runs
    spans = []
    for start, end in runs:
        unspaced = UNSPACED_CHARACTER.match(text, start)
        spans += [(place, place + 1) for place in range(start, end)] if unspaced else [(start, end)]
    return spans


def _words(text: str) -> list[str]:
    """The words of a text, such that the same word is the same in any case and however its letters are typed."""
    if text.isascii():
        lowered = text.lower()
        return [lowered[start:end] for start, end in _spans(text)]
    return [unicodedata.normalize("NFC", text[start:end].lower()) for start, end in _spans(text)]
