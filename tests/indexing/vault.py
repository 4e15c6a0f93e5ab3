"""A folder of notes that tests change, and what an index of it holds."""

import os
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from notesearch.encoders import PreparedModel
from notesearch.indexing import Synchronizer
from notesearch.records import Chunking, IndexReport
from notesearch.storage import IndexReader
from notesearch.storage.writer import IndexWriter

CHUNKING = Chunking(budget_tokens=12)


class Vault:
    """A folder whose files have times of their own: each change is later than the one before."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self._now_s = 1_700_000_000

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.touch(name)
        return path

    def touch(self, name: str) -> None:
        self._now_s += 100
        os.utime(self.root / name, (self._now_s, self._now_s))

    def rename(self, old: str, new: str) -> None:
        target = self.root / new
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.root / old).rename(target)

    def delete(self, name: str) -> None:
        (self.root / name).unlink()


def run_index(
    index_dir: Path,
    model: PreparedModel,
    *folders: Path,
    check: bool = False,
    rebuild: bool = False,
    chunking: Chunking = CHUNKING,
    max_bytes: int = 100_000,
) -> IndexReport:
    """One run of `index`."""
    with IndexWriter(index_dir) as writer:
        synchronizer = Synchronizer(writer, model, chunking=chunking, max_bytes=max_bytes, check=check)
        return synchronizer.run(folders, rebuild=rebuild)


def changes(report: IndexReport) -> dict[str, int]:
    """What a run did, without what it did not do."""
    names = ("added", "updated", "removed", "renamed", "unchanged", "encoded")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def contents(index_dir: Path) -> dict[str, Any]:
    """All that an index holds, without the ids, which depend on its history."""
    with closing(sqlite3.connect(index_dir / "notes.db")) as connection:

        def rows(sql: str) -> list[Any]:
            return connection.execute(sql).fetchall()

        connection.execute("CREATE VIRTUAL TABLE temp.terms USING fts5vocab (main, note_words, instance)")
        kept = {
            "folders": rows("SELECT path FROM folders ORDER BY path"),
            "fingerprint": rows("SELECT value FROM meta WHERE key = 'fingerprint'"),
            "notes": rows(
                """SELECT notes.path, folders.path, title, date, size, mtime_ns, content_hash, problems, title_source,
                   heading_key
                   FROM notes JOIN folders ON folders.id = folder_id ORDER BY notes.path"""
            ),
            "tags": rows(
                "SELECT path, position, tag, key FROM tags JOIN notes ON notes.id = note_id ORDER BY path, position"
            ),
            "links": rows(
                """SELECT path, position, target, anchor, kind FROM links JOIN notes ON notes.id = note_id
                   ORDER BY path, position"""
            ),
            "chunks": rows(
                """SELECT path, position, start, end, start_line, end_line, heading, text, passage_hash, vector
                   FROM chunks JOIN notes ON notes.id = note_id LEFT JOIN embeddings ON chunk_id = chunks.id
                   ORDER BY path, position"""
            ),
            "skipped": rows("SELECT path, reason FROM skipped ORDER BY path"),
            "words": rows(
                "SELECT path, col, offset, term FROM temp.terms JOIN notes ON notes.id = doc ORDER BY path, col, offset"
            ),
        }
        counted = [rows(f"SELECT count(*) FROM {table}")[0] for table in ("chunks", "embeddings")]
        assert counted == [(len(kept["chunks"]),)] * 2, "a chunk or vector belongs to nothing"
        assert rows("SELECT count(*) FROM temp.terms") == [(len(kept["words"]),)], "words belong to no note"
        paths = dict(rows("SELECT chunks.id, path FROM chunks JOIN notes ON notes.id = note_id"))
    with closing(IndexReader(index_dir)) as reader:
        dead = set(reader.dead_chunks().tolist())
        # What a search scans; a chunk that came twice would be counted twice.
        kept["vectors"] = Counter(
            (paths[int(i)], vector.tobytes())
            for ids, vectors in reader.vectors()
            for i, vector in zip(ids, vectors, strict=True)
            if int(i) not in dead
        )
    return kept


def paths_of(index_dir: Path) -> list[str]:
    """Paths of the notes in an index."""
    return [row[0] for row in contents(index_dir)["notes"]]
