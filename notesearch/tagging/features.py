"""What a tagger uses of a note: its terms, and the mean embedding of a few of its passages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.encoders import Encoder, models
from notesearch.errors import NoteUnreadable
from notesearch.file_kinds import kind_of
from notesearch.files import Stamp, hash_of
from notesearch.notes import (
    NO_TEXT,
    NoteFile,
    chunk_note,
    is_unchanged,
    most_bytes,
    note_from_bytes,
    parse_note,
    read_bytes,
    without_tags,
)
from notesearch.notes.chunks import PASSAGES_VERSION
from notesearch.notes.tags import effect_of_tag
from notesearch.records import Chunk, Chunking, Note
from notesearch.storage import IndexReader, StoredChunk
from notesearch.words import find_words, passage_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


# More passages say little more about the subject of a note, and most of the time of tagging is spent on encoding.
_MOST_PASSAGES = 2
_BATCH_PASSAGES = 256
# The name of a text that is in no file; the suffix says how it is read.
_TEXT = "text.md"
_MOST_TITLE_CHARS = 60

Progress = Callable[[int, int], None]

# A term of one note says nothing about another.
_LEAST_NOTES = 2
# Terms beyond these are pairs of words that occur in few notes.
_MOST_TERMS = 200_000


@dataclass(frozen=True, slots=True)
class Content:
    """What a tagger uses of a note.

    Attributes:
        path: Absolute path; empty for a text that is in no file.
        title: The note's title.
        date: ISO 8601.
        tags: Its tags that say what it is about: those of the whole note, but for control tags.
        text: Title and text, without the tags in it.
        passages: Those of its passages that are encoded, spread over the note.
        vectors: Their embeddings, float32 `(len(passages), dim)`, where the index has them.
        content_hash: BLAKE2b-128 of the file as it was read; empty where there is no file.
    """

    path: str
    title: str
    date: str
    tags: tuple[str, ...]
    text: str
    passages: tuple[str, ...]
    vectors: Vectors | None = None
    content_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """The encoder that a tagger needs.

    Attributes:
        model: As the user named it.
        fingerprint: Of its weights and use.
        budget_tokens: The size of chunks for it.
    """

    model: str
    fingerprint: str
    budget_tokens: int

    @classmethod
    def of_index(cls, reader: IndexReader) -> EncoderSpec:
        """That of an index."""
        made_with = reader.fingerprint
        return cls(made_with.model, made_with.encoder, made_with.budget_tokens)


class ContentReader:
    """Reads notes for a tagger.

    Args:
        reader: The index, if there is one.
        spec: The encoder, by which notes are cut and embedded.
        max_bytes: Larger files are not read.
    """

    def __init__(self, reader: IndexReader | None, spec: EncoderSpec, *, max_bytes: int) -> None:
        self._reader = reader
        self._spec = spec
        self._max_bytes = max_bytes
        self._chunking = Chunking(spec.budget_tokens)
        # The embeddings in the index serve where they are of the same passages by the same encoder.
        self._reuses_vectors = (
            reader is not None
            and EncoderSpec.of_index(reader).fingerprint == spec.fingerprint
            and (reader.fingerprint.budget_tokens, reader.fingerprint.passages)
            == (spec.budget_tokens, PASSAGES_VERSION)
        )

    def indexed(self, note_ids: Sequence[int]) -> list[Content]:
        """Reads notes from the index, in the order of their paths."""
        if self._reader is None or not note_ids:
            return []
        chunks: dict[int, list[StoredChunk]] = {}
        for chunk in self._reader.chunks_of_notes(note_ids):
            chunks.setdefault(chunk.note_id, []).append(chunk)
        notes = sorted(self._reader.notes(note_ids).values(), key=lambda note: note.path)
        found = []
        for note in notes:
            own = chunks[note.id]
            chosen = _spread(len(own))
            content = _content(note.path, note.title, note.date, note.file_tags, own)
            # Tags within a text must not give the answer away, but the embeddings in the index contain them.
            as_indexed = tuple(passage_text(note.title, own[place].heading, own[place].text) for place in chosen)
            if self._reuses_vectors and content.passages == as_indexed:
                vectors = self._reader.vectors_of_chunks([own[place].id for place in chosen])
                content = replace(content, vectors=np.stack([vectors[own[place].id] for place in chosen]))
            found.append(content)
        return found

    def file(self, path: Path) -> Content:
        """Reads a note from its file, or from the index where that knows it as it is.

        Raises:
            NoteUnreadable: It cannot be read; the message is a short reason.
        """
        try:
            status = path.stat()
        except OSError as error:
            raise NoteUnreadable((error.strerror or "cannot be read").lower()) from error
        except ValueError as error:  # a NUL, or what no file system can encode
            raise NoteUnreadable("no such file") from error
        file = NoteFile(path, Stamp.of(status))
        known = self._reader.note_at(str(path)) if self._reader else None
        if known and is_unchanged(file, known.stamp, known.content_hash):
            return replace(self.indexed([known.id])[0], content_hash=known.content_hash)
        if status.st_size > (limit := most_bytes(path, self._max_bytes)):
            raise NoteUnreadable(f"larger than {limit:,} bytes")
        data = read_bytes(file)
        return replace(self._cut(note_from_bytes(file, data)), content_hash=hash_of(data))

    def text(self, text: str) -> Content:
        """Reads a text that is in no file as a note in Markdown."""
        note = parse_note(Path(_TEXT), text, datetime.fromtimestamp(0))
        title = note.title if note.title_source != "file_name" else ""
        return replace(self._cut(replace(note, title=title)), path="", date="", title=title or _beginning(text))

    def embed(self, contents: Sequence[Content], progress: Progress | None = None) -> Vectors:
        """Embeds notes: the mean of their passages' embeddings, float32 `(n, dim)`, each row of length 1."""
        unknown = sorted({passage for content in contents if content.vectors is None for passage in content.passages})
        encoded: dict[str, Vectors] = {}
        for first in range(0, len(unknown), _BATCH_PASSAGES):
            batch = unknown[first : first + _BATCH_PASSAGES]
            encoded |= zip(batch, self.encoder.encode_passages(batch).vectors, strict=True)
            if progress:
                progress(first + len(batch), len(unknown))
        means = [
            (np.stack([encoded[p] for p in content.passages]) if content.vectors is None else content.vectors).mean(0)
            for content in contents
        ]
        vectors: Vectors = np.stack(means).astype(np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
        return vectors

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder, opened when it is first needed."""
        return models.encoder_of(self._spec.model, self._spec.fingerprint)

    def _cut(self, note: Note) -> Content:
        chunks = chunk_note(note, self.encoder.token_starts, self._chunking) or (NO_TEXT,)
        return _content(str(note.path), note.title, note.date.isoformat(timespec="seconds"), note.file_tags, chunks)


def _content(path: str, title: str, date: str, tags: tuple[str, ...], chunks: Sequence[Chunk | StoredChunk]) -> Content:
    texts = [without_tags(chunk.text, path) for chunk in chunks]
    shown_title = without_tags(title, path)
    passages = tuple(
        passage_text(shown_title, without_tags(chunks[place].heading, path), texts[place])
        for place in _spread(len(chunks))
    )
    telling = tuple(tag for tag in tags if not effect_of_tag(tag, kind_of(path)))
    return Content(path, title, date, telling, passage_text(shown_title, "", "\n\n".join(texts)), passages)


def _spread(count: int) -> list[int]:
    """Which of so many passages are encoded: the first, and others at equal distances."""
    wanted = min(count, _MOST_PASSAGES)
    return [place * count // wanted for place in range(wanted)]


def _beginning(text: str) -> str:
    """The first words of a text, in the place of a title."""
    words = " ".join(text[: 4 * _MOST_TITLE_CHARS].split())
    return words if len(words) <= _MOST_TITLE_CHARS else words[:_MOST_TITLE_CHARS] + "…"


def count_terms(text: str) -> Counter[str]:
    """Counts the words of a text, in lower case, and the pairs of adjoining words, with a space between."""
    words = [word for _, _, word in find_words(text)]
    counts = Counter(words)
    counts.update(f"{first} {second}" for first, second in pairwise(words))
    return counts


@dataclass(frozen=True, slots=True)
class WeighedTerms:
    """The terms of a text that a vocabulary knows.

    Attributes:
        places: Where they are in the vocabulary, int64 `(n,)`.
        weights: TF-IDF, float32 `(n,)`, of length 1 (empty for a text without known terms).
    """

    places: NDArray[np.int64]
    weights: NDArray[np.float32]


class Vocabulary:
    """The terms that are features, and their inverse document frequencies.

    The weight of a term is (1 + ln tf) · (1 + ln((1 + N) / (1 + df))), scaled so that a text's weights have length 1
    (Salton & Buckley, 1988, with the smoothing of scikit-learn).

    Attributes:
        terms: The terms, sorted.
        idf: Inverse document frequencies, float32 `(len(terms),)`.
    """

    def __init__(self, terms: Sequence[str], idf: NDArray[np.float32]) -> None:
        self.terms = tuple(terms)
        self.idf = idf
        self._places = {term: place for place, term in enumerate(self.terms)}

    @classmethod
    def of(cls, texts: Sequence[Counter[str]]) -> Vocabulary:
        """Takes the terms of at least two of the texts, the most frequent ones where there are too many."""
        frequencies = Counter(term for counts in texts for term in counts)
        kept = [term for term, _ in frequencies.most_common(_MOST_TERMS) if frequencies[term] >= _LEAST_NOTES]
        terms = sorted(kept)
        idf = [1 + math.log((1 + len(texts)) / (1 + frequencies[term])) for term in terms]
        return cls(terms, np.array(idf, dtype=np.float32))

    def weigh(self, counts: Counter[str]) -> WeighedTerms:
        """Weighs the terms of a text."""
        known = [(place, count) for term, count in counts.items() if (place := self._places.get(term)) is not None]
        places = np.array([place for place, _ in known], dtype=np.int64)
        frequencies = np.array([count for _, count in known], dtype=np.float32)
        weights = (1 + np.log(np.maximum(frequencies, 1))) * self.idf[places]
        length = float(np.linalg.norm(weights))
        return WeighedTerms(places, weights / np.float32(length or 1))


def term_matrix(texts: Iterable[WeighedTerms], terms: int) -> Any:
    """The weights of texts as a scipy CSR matrix, float32 `(texts, terms)`."""
    from scipy import sparse

    rows = list(texts)
    ends = np.cumsum([0, *(len(row.places) for row in rows)])
    places = np.concatenate([np.empty(0, dtype=np.int64), *(row.places for row in rows)])
    weights = np.concatenate([np.empty(0, dtype=np.float32), *(row.weights for row in rows)])
    return sparse.csr_matrix((weights, places, ends), shape=(len(rows), terms))
