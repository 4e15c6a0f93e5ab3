"""The tables of `notes.db`, and how an older one becomes a newer one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import numpy as np

from notesearch.errors import IndexTooNew
from notesearch.storage.vectors import pack

TOKENIZER = "porter unicode61 remove_diacritics 2"

_FIRST_SCHEMA = f"""
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE folders (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE
);

CREATE TABLE notes (
    id INTEGER PRIMARY KEY,
    folder_id INTEGER NOT NULL REFERENCES folders (id),
    path TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    date TEXT NOT NULL,             -- ISO 8601, local time
    size INTEGER NOT NULL,          -- bytes; with mtime_ns the cheap test for a change
    mtime_ns INTEGER NOT NULL,
    content_hash BLOB NOT NULL,     -- BLAKE2b-128 of the file
    problems TEXT NOT NULL          -- lines
);
CREATE INDEX notes_by_folder ON notes (folder_id);

CREATE TABLE tags (
    note_id INTEGER NOT NULL REFERENCES notes (id),
    position INTEGER NOT NULL,
    tag TEXT NOT NULL,              -- as its owner writes it
    key TEXT NOT NULL,              -- case-folded, for comparison
    PRIMARY KEY (note_id, position)
) WITHOUT ROWID;
CREATE INDEX tags_by_key ON tags (key, note_id);

CREATE TABLE links (
    note_id INTEGER NOT NULL REFERENCES notes (id),
    position INTEGER NOT NULL,
    target TEXT NOT NULL,
    anchor TEXT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (note_id, position)
) WITHOUT ROWID;

-- An id is never used again (AUTOINCREMENT), and a chunk's vector never changes: whatever was derived from an
-- id stays true for as long as the id exists. vectors.hnsw relies on it.
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    note_id INTEGER NOT NULL REFERENCES notes (id),
    position INTEGER NOT NULL,
    start INTEGER NOT NULL,         -- characters of the decoded file
    end INTEGER NOT NULL,
    start_line INTEGER NOT NULL,
    end_line INTEGER NOT NULL,
    heading TEXT NOT NULL,
    text TEXT NOT NULL,
    passage_hash BLOB NOT NULL      -- BLAKE2b-128 of the text given to the encoder
);
CREATE INDEX chunks_by_note ON chunks (note_id, position);
CREATE INDEX chunks_by_passage ON chunks (passage_hash);

-- Apart from the chunks, so that a scan of the vectors reads nothing else.
CREATE TABLE embeddings (
    chunk_id INTEGER PRIMARY KEY REFERENCES chunks (id),
    vector BLOB NOT NULL            -- float16, little-endian, length 1
);

-- Chunks that vectors.hnsw still holds though they are gone.
CREATE TABLE dead_vectors (
    chunk_id INTEGER PRIMARY KEY
);

CREATE TABLE skipped (
    folder_id INTEGER NOT NULL REFERENCES folders (id),
    path TEXT NOT NULL,
    reason TEXT NOT NULL
);

-- Words are looked up by note: BM25 over whole notes ranks better than over chunks.
-- words() is `storage.words.searchable_words`, registered on every connection that writes.
CREATE VIEW note_words_source AS
    SELECT
        id,
        words(title) AS title,
        (SELECT words(coalesce(group_concat(text, char(10)), '')) FROM
            (SELECT text FROM chunks WHERE note_id = notes.id ORDER BY position)) AS text
    FROM notes;
CREATE VIRTUAL TABLE note_words USING fts5 (
    title, text,
    content = 'note_words_source', content_rowid = 'id',
    tokenize = '{TOKENIZER}'
);
"""


def _create_first_schema(connection: sqlite3.Connection) -> None:
    # Statement by statement, since executescript would commit the transaction that we are in.
    statement = ""
    for line in _FIRST_SCHEMA.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


_TOKEN_CODES = """
-- Apart from the chunks for the same reason as the embeddings; a chunk that was indexed before has none yet.
CREATE TABLE token_codes (
    chunk_id INTEGER PRIMARY KEY REFERENCES chunks (id),
    codes BLOB NOT NULL             -- see encoders.token_codes
)
"""


_NEXT_EMBEDDINGS = "SELECT chunk_id, vector FROM embeddings WHERE chunk_id > ? ORDER BY chunk_id LIMIT 1000"


def _add_token_codes_and_pack_vectors(connection: sqlite3.Connection) -> None:
    """Adds the table of token codes; embeddings, float16 until now, are stored as `storage.vectors` does."""
    connection.execute(_TOKEN_CODES)
    last_id = 0
    while rows := connection.execute(_NEXT_EMBEDDINGS, [last_id]).fetchall():
        ids, stored = zip(*rows, strict=True)
        vectors = np.frombuffer(b"".join(stored), dtype="<f2").reshape(len(ids), -1).astype(np.float32)
        packed = zip(pack(vectors), ids, strict=True)
        connection.executemany("UPDATE embeddings SET vector = ? WHERE chunk_id = ?", packed)
        last_id = ids[-1]


_PAGES_AND_READERS = (
    # The version of the reader that a note was read by: where that is another now, the note is read again.
    "ALTER TABLE notes ADD COLUMN reader INTEGER NOT NULL DEFAULT 0",
    # 0 where there are no pages.
    "ALTER TABLE chunks ADD COLUMN page INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE chunks ADD COLUMN end_page INTEGER NOT NULL DEFAULT 0",
    # Of a file that was read in vain, so that it is not read again as it is; -1 for other things.
    "ALTER TABLE skipped ADD COLUMN size INTEGER NOT NULL DEFAULT -1",
    "ALTER TABLE skipped ADD COLUMN mtime_ns INTEGER NOT NULL DEFAULT -1",
    "ALTER TABLE skipped ADD COLUMN reader INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE skipped ADD COLUMN by_rule INTEGER NOT NULL DEFAULT 0",
    # By which links may call a note beside its file's name.
    """CREATE TABLE names (
        note_id INTEGER NOT NULL REFERENCES notes (id),
        name TEXT NOT NULL,
        PRIMARY KEY (note_id, name)
    ) WITHOUT ROWID""",
)


def _add_pages_and_readers(connection: sqlite3.Connection) -> None:
    for statement in _PAGES_AND_READERS:
        connection.execute(statement)


# Step i brings a database from schema i to schema i + 1. Released steps are never edited.
_STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _create_first_schema,
    _add_token_codes_and_pack_vectors,
    _add_pages_and_readers,
)
SCHEMA_VERSION = len(_STEPS)


def schema_version(connection: sqlite3.Connection) -> int:
    """The schema of a database, 0 for an empty one.

    Raises:
        IndexTooNew: It was written by a newer notesearch.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise IndexTooNew(
            f"this index has schema {version}, and this notesearch knows schemas up to {SCHEMA_VERSION}",
            "Update notesearch, or index into another directory with --index-dir.",
        )
    return version


def migrate(connection: sqlite3.Connection) -> None:
    """Brings a database to the current schema, all steps in one transaction; does nothing to a current one."""
    version = schema_version(connection)
    if version == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        for step in _STEPS[schema_version(connection) :]:
            step(connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
