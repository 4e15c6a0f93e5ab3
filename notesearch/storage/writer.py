"""Writing an index: one writer at a time, one transaction a batch."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from notesearch.errors import IndexBusy, StoreError
from notesearch.files import Stamp
from notesearch.storage.database import (
    acquire_lock,
    blame_damage,
    database_file,
    delete_file,
    has_other_version,
    make_index_dir,
    open_empty,
    open_for_writing,
    other_version,
    replace_database,
    translated_errors,
)
from notesearch.storage.folders import Coverage, read_coverage, write_coverage
from notesearch.storage.index_reader import read_fingerprint, read_synced, read_vector_file_record, read_vectors
from notesearch.storage.known import (
    KnownNote,
    WronglyTitled,
    read_known_notes,
    read_unreadable_files,
    read_wrongly_titled,
)
from notesearch.storage.reader import Fingerprint
from notesearch.storage.rows import (
    EncodedNote,
    KeptNote,
    Rows,
    SkippedFile,
    add_chunk_row,
    add_note_rows,
    stored_date,
)
from notesearch.storage.vectors import build_vector_file, extend_vector_file, is_sound, vector_file

_PARTS_OF_NOTES = ("tags", "links", "names", "properties")
# The vector file is extended when SQLite holds this part more than it, and built from nothing when this part is dead.
_STALE_PART = 0.1
_DEAD_PART = 0.25
# Empty pages of the database are used again; only where they are more than this part is it made smaller.
_FREE_PART = 0.05


class IndexWriter:
    """An index opened for writing. Methods that change it must run inside `transaction`.

    Args:
        index_dir: The directory of the index; readable as an attribute.
        wait_s: How long to wait for another writer to finish.
        waiting: Called once where there is one to wait for.
        anew: Whether the index is to be made anew: then a damaged one is no obstacle, and passes for an empty one.
    """

    _damaged = _anew = False

    def __init__(
        self,
        index_dir: Path,
        *,
        wait_s: float = 0.0,
        waiting: Callable[[], None] | None = None,
        anew: bool = False,
    ) -> None:
        self.index_dir = index_dir
        self._database = database_file(index_dir)
        self._anew = anew
        make_index_dir(index_dir)
        self._lock = acquire_lock(index_dir, wait_s, waiting)
        try:
            self._open(anew)
        except BaseException:
            self._lock.release()
            raise

    def _open(self, anew: bool) -> None:
        try:
            self._connection = open_for_writing(self._database)
            if anew:
                self.coverage()  # raises where it cannot be read
        except IndexBusy:
            raise
        except (StoreError, TypeError):
            if not anew:
                raise
            self._damaged = True
            self._connection = open_empty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        blame_damage(self._database, error)

    def close(self) -> None:
        """Closes the database and lets the next writer in."""
        self._close_database()
        self._lock.release()

    def _close_database(self) -> None:
        # The log goes into the database beside searches; as it closes, SQLite would keep them waiting for that.
        with suppress(sqlite3.DatabaseError):  # no matter: what was committed is in the log
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._connection.close()

    def is_outdated(self) -> bool:
        """Whether another version of notesearch made the index.

        Then only `fingerprint`, `folders` and `known_passages` can be asked, and `storage.rebuild` makes it anew.
        """
        with translated_errors(self._database):
            return has_other_version(self._connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside are made together, or not at all.

        Raises:
            OtherIndexVersion: Another version of notesearch made the index.
        """
        if self.is_outdated():
            raise other_version(self.index_dir)
        with translated_errors(self._database):
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                yield

    def fingerprint(self) -> Fingerprint | None:
        """What the vectors in the index depend on; `None` for a new index."""
        with translated_errors(self._database):
            return read_fingerprint(self._connection)

    def set_fingerprint(self, fingerprint: Fingerprint) -> None:
        """Sets what the vectors of an empty index are to depend on."""
        self._write_meta("fingerprint", asdict(fingerprint))

    def page_bytes(self) -> int:
        """Bytes of a page of the database."""
        return int(self._query("PRAGMA page_size")[0][0])

    def take_over(self, other: IndexWriter) -> None:
        """Puts what another index holds in the place of all that is here, at once; runs outside a transaction.

        The pages of both must have one size. The other index is closed where it takes the place of a damaged one.

        Raises:
            StoreError: It cannot be written; what was here is still here.
        """
        if not self._damaged:
            with translated_errors(self._database):
                other._connection.backup(self._connection)
            self._anew = False
            return
        # Whoever reads the damaged one goes on reading it: a copy into it would have to make sense of what is there.
        other._close_database()
        self._connection.close()
        replace_database(self._database, other._database)
        self._connection, self._damaged = open_for_writing(self._database), False
        self._anew = False

    def folders(self) -> list[tuple[int, Path]]:
        """Ids and paths of the folders that the index covers."""
        return [(row[0], Path(row[1])) for row in self._query("SELECT id, path FROM folders ORDER BY path")]

    def add_folder(self, path: Path) -> int:
        """Adds a folder; the folders below it become part of it."""
        folder_id = self._execute("INSERT INTO folders (path) VALUES (?)", [str(path)]).lastrowid
        assert folder_id is not None
        self.keep_coverage()  # before it is committed here
        for other_id, other in self.folders():
            if other != path and other.is_relative_to(path):
                self._execute("UPDATE notes SET folder_id = ? WHERE folder_id = ?", [folder_id, other_id])
                self._execute("DELETE FROM skipped WHERE folder_id = ?", [other_id])
                self._execute("DELETE FROM folders WHERE id = ?", [other_id])
        return folder_id

    def cover(self, folders: Iterable[Path]) -> None:
        """Adds those folders that the index does not cover yet."""
        for folder in folders:
            if not any(folder.is_relative_to(covered) for _, covered in self.folders()):
                self.add_folder(folder)

    def remove_folder(self, folder_id: int) -> None:
        """Removes a folder and its notes from the index."""
        notes = self._query("SELECT id FROM notes WHERE folder_id = ?", [folder_id])
        self.remove_notes([row[0] for row in notes])
        self._execute("DELETE FROM skipped WHERE folder_id = ?", [folder_id])
        self._execute("DELETE FROM folders WHERE id = ?", [folder_id])

    def coverage(self) -> Coverage:
        """What the index covers and was made with; of one that is new or made anew, what `folders.json` says."""
        fingerprint, listed = self.fingerprint(), read_coverage(self.index_dir)
        if fingerprint is None or (self._anew and listed.folders):
            return Coverage(listed.folders, listed.fingerprint or fingerprint)
        return Coverage(tuple(path for _, path in self.folders()), fingerprint)

    def keep_coverage(self, *, without: Path | None = None) -> None:
        """Adds to `folders.json` what the index covers.

        A damaged database must not shorten the list: only `without` and folders inside others are taken out.
        """
        listed = read_coverage(self.index_dir)
        folders = {*listed.folders, *(path for _, path in self.folders())} - {without}
        outermost = tuple(sorted(folder for folder in folders if not folders & {*folder.parents}))
        write_coverage(self.index_dir, Coverage(outermost, self.fingerprint() or listed.fingerprint))

    def set_synced(self, folders: Iterable[Path], when: datetime) -> None:
        """Records when folders were brought in step, UTC; forgets it of folders that the index no longer covers.

        A first run that was begun is finished then.
        """
        covered = {str(path) for _, path in self.folders()}
        synced = read_synced(self._connection) | dict.fromkeys(map(str, folders), when)
        times = {path: at.astimezone(UTC).isoformat() for path, at in synced.items()}
        self._write_meta("synced", {path: at for path, at in times.items() if path in covered})
        self._write_meta("first_run", None)

    def synced_folders(self) -> set[Path]:
        """The folders that were ever brought in step."""
        with translated_errors(self._database):
            return {Path(path) for path in read_synced(self._connection)}

    def expect_notes(self, notes: int) -> None:
        """Records that the first run over a folder has begun, and how many notes there will be; 0 for not known yet."""
        self._write_meta("first_run", {"notes": notes})

    def known_notes(self, folder_id: int) -> dict[str, KnownNote]:
        """See `read_known_notes`."""
        with translated_errors(self._database):
            return read_known_notes(self._connection, folder_id)

    def wrongly_titled(self) -> list[WronglyTitled]:
        """See `read_wrongly_titled`."""
        with translated_errors(self._database):
            return read_wrongly_titled(self._connection)

    def unreadable_files(self, folder_id: int) -> dict[str, SkippedFile]:
        """See `read_unreadable_files`."""
        with translated_errors(self._database):
            return read_unreadable_files(self._connection, folder_id)

    def known_passages(self, passage_hashes: Iterable[bytes]) -> dict[bytes, tuple[bytes, bytes]]:
        """Finds passages that the index holds already, by hash; their vectors and codes as in `EncodedChunk`."""
        sql = """SELECT vector, codes FROM chunks
                 JOIN embeddings ON embeddings.chunk_id = chunks.id JOIN token_codes ON token_codes.chunk_id = chunks.id
                 WHERE passage_hash = ? LIMIT 1"""
        found = {passage_hash: self._query(sql, [passage_hash]) for passage_hash in set(passage_hashes)}
        return {passage_hash: rows[0] for passage_hash, rows in found.items() if rows}

    def keep_notes(self, notes: Iterable[KeptNote]) -> None:
        """Records that the files of notes have other stamps, and the content they had."""
        self._execute_many(
            "UPDATE notes SET date = coalesce(?, date), size = ?, mtime_ns = ?, ctime_ns = ?, inode = ? WHERE id = ?",
            [(note.date and stored_date(note.date), *note.stamp, note.id) for note in notes],
        )

    def write_notes(self, notes: Iterable[EncodedNote]) -> None:
        """Adds notes, or puts them in the place of others; chunks of the same passage keep their ids."""
        from sqlite_utils import Database

        rows: Rows = defaultdict(list)
        outdated_chunks: list[int] = []
        note_ids = _ids_from(self._query("SELECT coalesce(max(id), 0) FROM notes"))
        # Not those of chunks that are gone: see the schema.
        chunk_ids = _ids_from(self._query("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'"))
        for encoded in notes:
            note_id = next(note_ids) if encoded.replaced is None else encoded.replaced
            known: dict[bytes, list[int]] = {}
            if encoded.replaced is not None:
                self._forget_words(note_id)  # while the old words are still there
                self._delete_from(_PARTS_OF_NOTES, "note_id", [note_id])
                for chunk_id, passage_hash in self._passages_of(note_id):
                    known.setdefault(passage_hash, []).append(chunk_id)
            add_note_rows(rows, note_id, encoded)
            for position, chunk in enumerate(encoded.chunks):
                if same := known.get(chunk.passage_hash):
                    add_chunk_row(rows, same.pop(), note_id, position, chunk)
                else:
                    chunk_id = next(chunk_ids)
                    add_chunk_row(rows, chunk_id, note_id, position, chunk)
                    rows["embeddings"].append({"chunk_id": chunk_id, "vector": chunk.vector})
                    rows["token_codes"].append({"chunk_id": chunk_id, "codes": chunk.codes})
            outdated_chunks += [chunk_id for left in known.values() for chunk_id in left]
        self._remove_chunks(outdated_chunks)
        database = Database(self._connection, recursive_triggers=False, execute_plugins=False)
        with translated_errors(self._database):
            for table in ("notes", "chunks"):
                database.table(table).upsert_all(rows[table], pk="id")
            for table in (*_PARTS_OF_NOTES, "embeddings", "token_codes"):
                database.table(table).insert_all(rows[table])
        for row in rows["notes"]:
            self._learn_words(row["id"])

    def remove_notes(self, note_ids: Sequence[int]) -> None:
        """Removes notes with all that belongs to them."""
        for note_id in note_ids:
            self._forget_words(note_id)
            self._remove_chunks([chunk_id for chunk_id, _ in self._passages_of(note_id)])
        self._delete_from(_PARTS_OF_NOTES, "note_id", note_ids)
        self._delete_from(("notes",), "id", note_ids)

    def forget_skipped(self, folder_id: int, below: str) -> None:
        """Drops what is recorded as skipped below a path, which ends with a separator, of a folder."""
        self._execute(
            "DELETE FROM skipped WHERE folder_id = ? AND substr(path || ?, 1, length(?)) = ?",
            [folder_id, os.sep, below, below],
        )

    def add_skipped(self, folder_id: int, files: Iterable[SkippedFile]) -> None:
        """Records what a folder holds that could not be indexed."""
        self._execute_many(
            "INSERT INTO skipped VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (folder_id, file.skipped.path, file.skipped.reason, file.skipped.by_rule, *file.stamp, file.reader)
                for file in files
            ],
        )

    def counts(self) -> tuple[int, int]:
        """Notes and chunks in the index."""
        row = self._query("SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM embeddings)")[0]
        return row[0], row[1]

    def tidy(self) -> None:
        """Merges the full-text index into one piece: worth it after a large run, for every search that follows."""
        with self.transaction():
            self._execute("INSERT INTO note_words (note_words) VALUES ('optimize')")

    def give_back_space(self) -> None:
        """Makes the database smaller, if much of it is empty; runs outside a transaction."""
        (free,), (pages,) = (self._query(f"PRAGMA {what}")[0] for what in ("freelist_count", "page_count"))
        if free > _FREE_PART * pages:
            with translated_errors(self._database):
                # Not by execute(), which takes one step, and so gives back one page.
                self._connection.executescript("PRAGMA incremental_vacuum")

    def update_vector_file(self, threads: int | None = None) -> None:
        """Writes `vectors.hnsw` if it is missing, unsound or too far behind; runs outside a transaction.

        Args:
            threads: The most cores to take; `None` for all.

        Raises:
            StoreError: It cannot be written; the index is usable without it.
        """
        fingerprint = self.fingerprint()
        path = vector_file(self.index_dir)
        if fingerprint is None or not self.counts()[1]:
            self._drop_vector_file(path)
            return
        record = read_vector_file_record(self._connection)
        dead = self._query("SELECT count(*) FROM dead_vectors")[0][0]
        if record is None or dead > _DEAD_PART * record.count or not is_sound(path, record):
            # Dropped first, so that a crash leaves an index that says the truth: there is no file.
            self._drop_vector_file(path)
            record = build_vector_file(path, *read_vectors(self._connection, 0, fingerprint.dim), threads)
        else:
            ids, vectors = read_vectors(self._connection, record.last_chunk_id, fingerprint.dim)
            if len(ids) > _STALE_PART * record.count:
                record = extend_vector_file(path, record, ids, vectors, threads)
            elif record.stamp == (stamp := Stamp.of(path.stat())):
                return
            else:  # a restored backup, sound by its checksum, which need not be computed again
                record = replace(record, stamp=stamp)
        with self.transaction():
            self._write_meta("vector_file", asdict(record))

    def _drop_vector_file(self, path: Path) -> None:
        if read_vector_file_record(self._connection) is not None:
            with self.transaction():
                self._write_meta("vector_file", None)
                self._execute("DELETE FROM dead_vectors")
        delete_file(path)

    def _remove_chunks(self, chunk_ids: Sequence[int]) -> None:
        self._delete_from(("embeddings", "token_codes"), "chunk_id", chunk_ids)
        self._delete_from(("chunks",), "id", chunk_ids)
        if record := read_vector_file_record(self._connection):
            dead = [[chunk_id] for chunk_id in chunk_ids if chunk_id <= record.last_chunk_id]
            self._execute_many("INSERT INTO dead_vectors VALUES (?)", dead)

    def _passages_of(self, note_id: int) -> list[tuple[int, bytes]]:
        """Ids and passage hashes of a note's chunks."""
        return self._query("SELECT id, passage_hash FROM chunks WHERE note_id = ?", [note_id])

    def _forget_words(self, note_id: int) -> None:
        self._execute("DELETE FROM note_words WHERE rowid = ?", [note_id])

    def _learn_words(self, note_id: int) -> None:
        self._execute(
            "INSERT INTO note_words (rowid, title, text) SELECT id, title, text FROM note_words_source WHERE id = ?",
            [note_id],
        )

    def _write_meta(self, key: str, value: Any) -> None:
        if value is None:
            self._execute("DELETE FROM meta WHERE key = ?", [key])
        else:
            self._execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, json.dumps(value)])

    def _delete_from(self, tables: Iterable[str], column: str, ids: Iterable[int]) -> None:
        for table in tables:
            self._execute_many(f"DELETE FROM {table} WHERE {column} = ?", [[number] for number in ids])

    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with translated_errors(self._database):
            return self._connection.execute(sql, parameters).fetchall()

    def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        with translated_errors(self._database):
            return self._connection.execute(sql, parameters)

    def _execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with translated_errors(self._database):
            self._connection.executemany(sql, rows)


def _ids_from(highest: Sequence[Any]) -> Iterator[int]:
    """Ids that are free: those above the highest one."""
    return itertools.count(highest[0][0] + 1 if highest else 1)
