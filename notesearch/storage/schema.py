"""The tables of `notes.db`, created and versioned through sqlite-utils.

There is one schema. A change to it raises `SCHEMA_VERSION`, and `index` makes a database of another version anew (see
`storage.rebuild`). So that nothing is encoded twice then, each version keeps what is read of another one:
`folders.path`, the `fingerprint` in `meta`, `chunks.passage_hash`, and the tables `embeddings` and `token_codes`. If
the bytes in these two come to mean something else, `notes.chunks.PASSAGES_VERSION` must be raised as well.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from notesearch.storage.full_text import TOKENIZER

if TYPE_CHECKING:
    from sqlite_utils import Database

SCHEMA_VERSION = 6
# A database with tables, but none of these, belongs to another program.
OWN_TABLES = {"embeddings", "token_codes", "note_words"}

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE folders (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE)",
    """CREATE TABLE notes (
    id INTEGER PRIMARY KEY,
    folder_id INTEGER NOT NULL REFERENCES folders (id),
    path TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    title_source TEXT NOT NULL,     -- with the two that follow: see records.Note and notes.titles
    heading_key TEXT NOT NULL,      -- of the heading that names the note or would, for comparison
    other_names TEXT NOT NULL,      -- words of its file name and of that heading, without those of the title
    date TEXT NOT NULL,             -- ISO 8601, local time
    size INTEGER NOT NULL,          -- with the three that follow: see files.Stamp
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    content_hash BLOB NOT NULL,     -- BLAKE2b-128 of the file
    problems TEXT NOT NULL,         -- lines
    reader INTEGER NOT NULL         -- version of the code that read the file; a newer one reads it again
)""",
    "CREATE INDEX notes_by_folder ON notes (folder_id)",
    "CREATE INDEX notes_by_heading ON notes (folder_id, heading_key, title_source) WHERE heading_key != ''",
    """CREATE TABLE tags (
    note_id INTEGER NOT NULL REFERENCES notes (id),
    position INTEGER NOT NULL,
    tag TEXT NOT NULL,              -- as its owner writes it
    key TEXT NOT NULL,              -- case-folded, for comparison
    of_part INTEGER NOT NULL,       -- 1 where it is not the whole note's, but a part's (a heading in Org)
    PRIMARY KEY (note_id, position)
) WITHOUT ROWID""",
    "CREATE INDEX tags_by_key ON tags (key, note_id)",
    """CREATE TABLE links (
    note_id INTEGER NOT NULL REFERENCES notes (id),
    position INTEGER NOT NULL,
    target TEXT NOT NULL,
    anchor TEXT NOT NULL,
    kind TEXT NOT NULL,
    line INTEGER NOT NULL,          -- 0 in metadata
    PRIMARY KEY (note_id, position)
) WITHOUT ROWID""",
    # Names by which links may call a note, beside the name of its file.
    """CREATE TABLE names (
    note_id INTEGER NOT NULL REFERENCES notes (id),
    name TEXT NOT NULL,
    PRIMARY KEY (note_id, name)
) WITHOUT ROWID""",
    """CREATE TABLE properties (
    note_id INTEGER NOT NULL REFERENCES notes (id),
    position INTEGER NOT NULL,
    name TEXT NOT NULL,             -- as its owner writes it
    key TEXT NOT NULL,              -- for comparison, like value_key
    value TEXT NOT NULL,
    value_key TEXT NOT NULL,
    number REAL,                    -- the value, where it is one
    moment TEXT,                    -- the value, where it is a date: ISO 8601, local time
    words TEXT NOT NULL,            -- the column of note_words that holds its words, if any does
    PRIMARY KEY (note_id, position)
) WITHOUT ROWID""",
    "CREATE INDEX properties_by_key ON properties (key, value_key)",
    # An id is never used again (AUTOINCREMENT), and a chunk's vector never changes: what was derived from an id stays
    # true for as long as the id exists. vectors.hnsw relies on it.
    """CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    note_id INTEGER NOT NULL REFERENCES notes (id),
    position INTEGER NOT NULL,
    start INTEGER NOT NULL,         -- characters of the decoded file
    end INTEGER NOT NULL,
    start_line INTEGER NOT NULL,
    end_line INTEGER NOT NULL,
    heading TEXT NOT NULL,
    text TEXT NOT NULL,
    page INTEGER NOT NULL,          -- 0 where there are no pages
    end_page INTEGER NOT NULL,
    passage_hash BLOB NOT NULL      -- BLAKE2b-128 of the text given to the encoder
)""",
    "CREATE INDEX chunks_by_note ON chunks (note_id, position)",
    "CREATE INDEX chunks_by_passage ON chunks (passage_hash)",
    # Apart from the chunks, so that a scan of the vectors reads nothing else.
    """CREATE TABLE embeddings (
    chunk_id INTEGER PRIMARY KEY REFERENCES chunks (id),
    vector BLOB NOT NULL            -- see storage.vectors
)""",
    """CREATE TABLE token_codes (
    chunk_id INTEGER PRIMARY KEY REFERENCES chunks (id),
    codes BLOB NOT NULL             -- see encoders.token_codes
)""",
    # Chunks that are gone, but that vectors.hnsw still holds.
    "CREATE TABLE dead_vectors (chunk_id INTEGER PRIMARY KEY)",
    """CREATE TABLE skipped (
    folder_id INTEGER NOT NULL REFERENCES folders (id),
    path TEXT NOT NULL,
    reason TEXT NOT NULL,
    by_rule INTEGER NOT NULL,       -- whether it was left out on purpose
    size INTEGER NOT NULL,          -- of a file that is not tried again as it is; -1 for everything else
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    reader INTEGER NOT NULL
)""",
    # Words are looked up by note: BM25 over whole notes ranks better than over chunks. The text is stored once, in
    # the chunks and properties. words() is `storage.full_text.searchable_words`, registered on every connection that
    # writes.
    """CREATE VIEW note_words_source AS
    SELECT
        id,
        words(title || char(10) || other_names || char(10) || coalesce((SELECT group_concat(value, char(10)) FROM
            (SELECT value FROM properties WHERE note_id = notes.id AND words = 'title' ORDER BY position)
        ), '')) AS title,
        words(coalesce((SELECT group_concat(text, char(10)) FROM
            (SELECT text FROM chunks WHERE note_id = notes.id ORDER BY position)
        ), '') || char(10) || coalesce((SELECT group_concat(value, char(10)) FROM
            (SELECT value FROM properties WHERE note_id = notes.id AND words = 'text' ORDER BY position)
        ), '')) AS text
    FROM notes""",
    f"""CREATE VIRTUAL TABLE note_words USING fts5 (
    title, text, content = 'note_words_source', content_rowid = 'id', tokenize = '{TOKENIZER}'
)""",
)

# For the owner of the notes, who may look into the index with sqlite-utils or Datasette (docs/own-queries.md).
_VIEWS = {
    "my_notes": """SELECT notes.path, title, date, size, folders.path AS folder,
        (SELECT group_concat(tag, ', ') FROM (SELECT tag FROM tags WHERE note_id = notes.id ORDER BY position)) AS tags
        FROM notes JOIN folders ON folders.id = folder_id""",
    "my_tags": "SELECT path, title, tag FROM tags JOIN notes ON notes.id = note_id",
    "my_properties": "SELECT path, title, name, value, number, moment FROM properties JOIN notes ON notes.id = note_id",
    "my_links": "SELECT path, title, target, anchor, kind, line FROM links JOIN notes ON notes.id = note_id",
    "my_passages": """SELECT path, title, heading, start_line, end_line, text
        FROM chunks JOIN notes ON notes.id = note_id""",
}


def create_schema(connection: sqlite3.Connection) -> None:
    """Creates everything in an empty database, in one transaction."""
    from sqlite_utils import Database, Migrations

    migrations = Migrations("notesearch")

    @migrations(name=f"schema {SCHEMA_VERSION}")
    def create_all(database: Database) -> None:
        for statement in _TABLES:
            database.execute(statement)
        for name, select in _VIEWS.items():
            database.create_view(name, select)
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    connection.execute("BEGIN IMMEDIATE")
    with connection:
        migrations.apply(Database(connection, execute_plugins=False))


def schema_version(connection: sqlite3.Connection) -> int:
    """The version of a database's schema, 0 for an empty one; read without sqlite-utils, which takes long to import."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def table_names(connection: sqlite3.Connection) -> set[str]:
    """Names of all tables of a database."""
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
