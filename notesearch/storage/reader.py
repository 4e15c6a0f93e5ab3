"""Reading an index: everything that a search asks of SQLite. Standard library and numpy only."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from notesearch.errors import IndexDamaged, IndexMissing
from notesearch.records import Chunk, Filters, LinkKind, Note
from notesearch.storage.database import (
    HOW_TO_INDEX,
    blame_damage,
    database_file,
    open_for_reading,
    translated_errors,
)
from notesearch.storage.filters import admitted_notes_sql
from notesearch.storage.schema import TOKENIZER
from notesearch.storage.vector_file import VectorFileRecord, map_vectors, vector_file
from notesearch.storage.vectors import unpack
from notesearch.storage.words import quoted, searchable_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

Record = TypeVar("Record")


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
        token_model: The ColBERT model that the token codes are of, as the user named it; empty for the bi-encoder.
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
    """A note as stored; see `records.Note`."""

    id: int
    path: str
    title: str
    date: str
    tags: tuple[str, ...]

    @classmethod
    def of(cls, note: Note, id: int) -> Self:
        """A note that is not stored, as it would be."""
        return cls(id, str(note.path), note.title, note.date.isoformat(timespec="seconds"), note.tags)


_TAGS_OF_NOTE = "SELECT 1 FROM tags WHERE note_id = notes.id"
_CHUNK_COLUMNS = "id, note_id, start, end, start_line, end_line, heading, text, page, end_page"


class IndexReader:
    """An index opened for reading. It sees one state of the index, whatever is written meanwhile.

    Attributes:
        fingerprint: What its vectors depend on.
    """

    def __init__(self, index_dir: Path) -> None:
        self._index_dir = index_dir
        self._connection = open_for_reading(index_dir)
        with self._errors():
            self._connection.execute("PRAGMA temp_store = MEMORY")
            self._connection.execute("BEGIN")
            fingerprint = read_fingerprint(self._connection)
        if fingerprint is None:
            raise IndexMissing(f"the index in {index_dir} is empty", HOW_TO_INDEX)
        self.fingerprint = fingerprint

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        blame_damage(database_file(self._index_dir), error)

    def close(self) -> None:
        """Closes the database."""
        self._connection.close()

    def count_notes(self) -> int:
        """Notes in the index."""
        return int(self._query("SELECT count(*) FROM notes")[0][0])

    def stems(self, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Maps words to the terms that the full-text index makes of them: stemmed, without diacritics.

        Most words give one term; a word of an unspaced script gives one a character, and a word without letters none.
        """
        distinct = list(dict.fromkeys(words))
        self._query(f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.words USING fts5 (word, tokenize = '{TOKENIZER}')")
        self._query("CREATE VIRTUAL TABLE IF NOT EXISTS temp.word_terms USING fts5vocab (temp, words, instance)")
        self._query("DELETE FROM temp.words")
        with self._errors():
            self._connection.executemany(
                "INSERT INTO temp.words (rowid, word) VALUES (?, ?)",
                [(row, searchable_words(word)) for row, word in enumerate(distinct)],
            )
        terms: dict[str, list[str]] = {word: [] for word in distinct}
        for row, term in self._query("SELECT doc, term FROM temp.word_terms ORDER BY doc, offset"):
            terms[distinct[row]].append(term)
        return {word: tuple(parts) for word, parts in terms.items()}

    def note_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """In how many notes each term occurs; terms as `stems` gives them, those that occur nowhere left out."""
        wanted = sorted(set(terms))
        self._query("CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary USING fts5vocab (main, note_words, row)")
        marks = ",".join("?" * len(wanted))
        return dict(self._query(f"SELECT term, doc FROM temp.vocabulary WHERE term IN ({marks})", wanted))

    def match_words(
        self, expression: str, weights: tuple[float, float], limit: int, filters: Filters
    ) -> list[tuple[int, float]]:
        """Runs a full-text query.

        Args:
            expression: In FTS5's query syntax.
            weights: BM25 weights of title and text.
            limit: The most rows to return.
            filters: Notes to admit.

        Returns:
            `(note id, BM25 score)`, best first; the score is positive and higher is better.
        """
        admitted, parameters = admitted_notes_sql(filters)
        condition = f"AND rowid IN ({admitted})" if admitted else ""
        sql = f"""
            SELECT rowid, -rank FROM note_words
            WHERE note_words MATCH ? AND rank MATCH 'bm25({weights[0]}, {weights[1]})' {condition}
            ORDER BY rank LIMIT ?"""
        return self._query(sql, [expression, *parameters, limit])

    def match_any_word(
        self, words: Sequence[str], weights: tuple[float, float], limit: int, filters: Filters
    ) -> list[tuple[int, float]]:
        """Finds the notes that hold any of some words, each counting as often as it is given; see `match_words`."""
        return self.match_words(" OR ".join(map(quoted, words)), weights, limit, filters)

    def chunk_ids_of_notes(self, note_ids: Sequence[int]) -> dict[int, int]:
        """Maps the ids of all chunks of some notes to the ids of these notes."""
        return dict(self._query_many("SELECT id, note_id FROM chunks WHERE note_id IN ({})", note_ids))

    def chunks_of_notes(self, note_ids: Sequence[int]) -> list[StoredChunk]:
        """Fetches all chunks of some notes, note by note, each in order."""
        sql = f"SELECT {_CHUNK_COLUMNS} FROM chunks WHERE note_id IN ({{}}) ORDER BY note_id, position"
        return [StoredChunk(*row) for row in self._query_many(sql, note_ids)]

    def admitted_chunks(self, filters: Filters) -> NDArray[np.int64] | None:
        """Ids of the chunks that the filters admit, ascending int64; `None` where every chunk is admitted."""
        admitted, parameters = admitted_notes_sql(filters)
        if not admitted:
            return None
        rows = self._query(f"SELECT id FROM chunks WHERE note_id IN ({admitted}) ORDER BY id", parameters)
        return np.array([row[0] for row in rows], dtype=np.int64)

    def vectors(self) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """All embeddings, as pairs of chunk ids int64 `(n,)` and vectors float32 `(n, dim)`.

        The first pair may be mapped from `vectors.hnsw`; the last comes from SQLite: what the file does not hold, or
        everything where the file is missing, stale or damaged. Ids that are gone are still in the mapped pair; see
        `dead_chunks`.
        """
        return self._read_vectors(verify=False)

    def _read_vectors(self, *, verify: bool) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """See `vectors` and `map_vectors`."""
        record = self._vector_file_record()
        mapped = record and map_vectors(vector_file(self._index_dir), record, self.fingerprint.dim, verify=verify)
        stored = self._stored_vectors(record.last_chunk_id if record and mapped else 0)
        return [pair for pair in (mapped, stored) if pair and len(pair[0])]

    def vectors_of_chunks(self, chunk_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Embeddings by chunk id, float32 `(dim,)` each."""
        rows = self._query_many("SELECT chunk_id, vector FROM embeddings WHERE chunk_id IN ({})", chunk_ids)
        vectors = _unpacked(rows, self.fingerprint.dim)
        return dict(zip([row[0] for row in rows], vectors, strict=True))

    def unchanged_note(self, path: str, size: int, mtime_ns: int) -> int | None:
        """Id of the note at a path, if its file still has the size and time that it was indexed with."""
        sql = "SELECT id FROM notes WHERE path = ? AND size = ? AND mtime_ns = ?"
        rows = self._query(sql, [path, size, mtime_ns])
        return int(rows[0][0]) if rows else None

    def note_at(self, path: str) -> tuple[int, bytes] | None:
        """Id of the note at a path, and the BLAKE2b-128 of its file as it was indexed."""
        rows = self._query("SELECT id, content_hash FROM notes WHERE path = ?", [path])
        return (int(rows[0][0]), bytes(rows[0][1])) if rows else None

    def token_codes(self, chunk_ids: Sequence[int]) -> dict[int, bytes]:
        """Token codes by chunk id; chunks that have none, in an index made by an older notesearch, are left out."""
        return dict(self._query_many("SELECT chunk_id, codes FROM token_codes WHERE chunk_id IN ({})", chunk_ids))

    def note_ids(self, *, tagged: bool | None = None) -> list[int]:
        """Ids of the notes that have tags, of those that have none, or of all, by path."""
        conditions = {True: f"WHERE EXISTS ({_TAGS_OF_NOTE})", False: f"WHERE NOT EXISTS ({_TAGS_OF_NOTE})", None: ""}
        return [row[0] for row in self._query(f"SELECT id FROM notes {conditions[tagged]} ORDER BY path")]

    def folders_of_notes(self) -> dict[int, tuple[str, str]]:
        """Maps the ids of all notes to their paths and those of the indexed folders that they are in."""
        rows = self._query("SELECT n.id, n.path, f.path FROM notes n JOIN folders f ON f.id = n.folder_id")
        return {note_id: (path, folder) for note_id, path, folder in rows}

    def paths(self) -> dict[int, str]:
        """Maps the ids of all notes to their paths."""
        return dict(self._query("SELECT id, path FROM notes"))

    def owners_of_chunks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids of all chunks, and of their notes, note by note: both int64, ascending by the note's id."""
        rows = self._query("SELECT id, note_id FROM chunks ORDER BY note_id, position")
        table = np.array(rows, dtype=np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def folders(self) -> list[str]:
        """Paths of the folders that the index covers."""
        return [row[0] for row in self._query("SELECT path FROM folders ORDER BY path")]

    def tag_counts(self) -> list[tuple[str, int]]:
        """All tags, and how many notes have each, the most frequent first; spellings by case count as one."""
        sql = "SELECT min(tag), count(DISTINCT note_id) AS notes FROM tags GROUP BY key ORDER BY notes DESC, key"
        return self._query(sql)

    def links(self) -> list[tuple[int, str, LinkKind]]:
        """All links as written: ids of their notes, targets and kinds; see `records.Link`."""
        return self._query("SELECT note_id, target, kind FROM links ORDER BY note_id, position")

    def note_names(self) -> dict[str, int]:
        """Maps the ids by which links may call notes to the ids that the notes have here."""
        return dict(self._query("SELECT name, note_id FROM names ORDER BY note_id DESC"))

    def synced(self) -> dict[str, datetime]:
        """Maps the paths of folders to when they were last brought in step, UTC; one that never was is missing."""
        with self._errors():
            return read_synced(self._connection)

    def dead_chunks(self) -> NDArray[np.int64]:
        """Ids of chunks that `vectors.hnsw` may still hold though they are gone, ascending int64."""
        rows = self._query("SELECT chunk_id FROM dead_vectors ORDER BY chunk_id")
        return np.array([row[0] for row in rows], dtype=np.int64)

    def graph(self) -> Any:
        """The vector file loaded as an hnswlib index, where there is one and loading it pays: never for one search."""
        return None

    def notes_of_chunks(self, chunk_ids: Sequence[int]) -> dict[int, int]:
        """Maps chunk ids to the ids of their notes."""
        return dict(self._query_many("SELECT id, note_id FROM chunks WHERE id IN ({})", chunk_ids))

    def notes(self, note_ids: Sequence[int]) -> dict[int, StoredNote]:
        """Fetches notes by id."""
        tags: dict[int, list[str]] = {}
        for note_id, tag in self._query_many(
            "SELECT note_id, tag FROM tags WHERE note_id IN ({}) ORDER BY note_id, position", note_ids
        ):
            tags.setdefault(note_id, []).append(tag)
        rows = self._query_many("SELECT id, path, title, date FROM notes WHERE id IN ({})", note_ids)
        return {
            note_id: StoredNote(note_id, path, title, date, tuple(tags.get(note_id, ())))
            for note_id, path, title, date in rows
        }

    def _vector_file_record(self) -> VectorFileRecord | None:
        with self._errors():
            return read_vector_file_record(self._connection)

    def _stored_vectors(self, after_chunk_id: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        with self._errors():
            return read_vectors(self._connection, after_chunk_id, self.fingerprint.dim)

    def _query_many(self, sql: str, ids: Sequence[int]) -> list[Any]:
        """Runs a query with a list of ids in the place of `{}`."""
        return self._query(sql.format(",".join(str(int(i)) for i in ids)))

    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._errors():
            return self._connection.execute(sql, parameters).fetchall()

    def _errors(self) -> Any:
        return translated_errors(database_file(self._index_dir))


def read_fingerprint(connection: sqlite3.Connection) -> Fingerprint | None:
    """Reads what the vectors of an index depend on; `None` where none was ever written."""
    return _read_record(connection, "fingerprint", Fingerprint)


def read_vector_file_record(connection: sqlite3.Connection) -> VectorFileRecord | None:
    """Reads what SQLite knows of the vector file; `None` where there is none."""
    return _read_record(connection, "vector_file", VectorFileRecord)


def read_synced(connection: sqlite3.Connection) -> dict[str, datetime]:
    """Maps the paths of folders to when they were last brought in step, UTC; one that never was is missing."""
    return _read_record(connection, "synced", _times) or {}


def _times(**written: str) -> dict[str, datetime]:
    return {path: datetime.fromisoformat(when) for path, when in written.items()}


def read_vectors(
    connection: sqlite3.Connection, after_chunk_id: int, dim: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Reads the embeddings of all chunks with greater ids: ids int64 `(n,)` and vectors float32 `(n, dim)`."""
    rows = connection.execute(
        "SELECT chunk_id, vector FROM embeddings WHERE chunk_id > ? ORDER BY chunk_id", [after_chunk_id]
    ).fetchall()
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    return ids, _unpacked(rows, dim)


def _unpacked(rows: Sequence[tuple[int, bytes]], dim: int) -> NDArray[np.float32]:
    """The vectors of chunks, given with their ids."""
    try:
        return unpack([row[1] for row in rows], dim)
    except (TypeError, ValueError) as error:
        raise IndexDamaged("the index is damaged: a vector in it is none") from error


def _read_record(connection: sqlite3.Connection, key: str, kind: Callable[..., Record]) -> Record | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", [key]).fetchone()
    try:
        return kind(**json.loads(row[0])) if row else None
    except (TypeError, ValueError, RecursionError) as error:
        raise IndexDamaged(f"the index is damaged: what it knows of its {key} cannot be read") from error
