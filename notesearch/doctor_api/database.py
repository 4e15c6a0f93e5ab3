"""`notes.db` and what is derived from it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from notesearch.doctor_api.checks import REPAIR, Check, one_line
from notesearch.encoders.token_codes import code_bits
from notesearch.errors import IndexBusy, IndexDamaged, IndexMissing, StoreError
from notesearch.notes.chunks import PASSAGES_VERSION
from notesearch.storage import Fingerprint
from notesearch.storage.check import DatabaseCheck, Expected, has_tables, words_are_sound
from notesearch.storage.database import database_file
from notesearch.storage.written import hash_of
from notesearch.words import passage_text


@dataclass(slots=True)
class DatabaseState:
    """What is the matter with a database.

    Attributes:
        damage: Why it cannot be mended where it is; empty where it can.
        orphans: Rows that refer to nothing, by table.
        flawed_notes: Ids of notes that are not as they were written, and why.
        words: Whether the full-text index is sound; `None` where that could not be found out.
        words_unknown: Why not.
        vector_file: What is wrong with the vector file.
        without_codes: Chunks without token codes.
        fingerprint: What its vectors depend on.
    """

    damage: str = ""
    orphans: dict[str, int] = field(default_factory=dict)
    flawed_notes: dict[int, str] = field(default_factory=dict)
    words: bool | None = None
    words_unknown: str = ""
    vector_file: str = ""
    without_codes: int = 0
    fingerprint: Fingerprint | None = None


def look_at_database(index_dir: Path) -> DatabaseState:
    """Looks through all of a database.

    Raises:
        IndexMissing: There is none.
    """
    state = DatabaseState()
    try:
        with closing(DatabaseCheck(index_dir)) as check:
            _look_through(check, state)
    except IndexDamaged as error:
        state.damage = error.message
    except IndexMissing:
        if not has_tables(index_dir):
            raise
        state.damage = "it has lost its version"
    except StoreError as error:
        if not _makes_no_sense(error):
            raise
        state.damage = error.message
    if not state.damage:
        _look_at_words(index_dir, state)
    return state


def _makes_no_sense(error: StoreError) -> bool:
    """Whether SQLite blames the question: ours are in order, so what it knows of the file is not."""
    return getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def _look_through(check: DatabaseCheck, state: DatabaseState) -> None:
    if broken := check.broken_pages():
        state.damage = f"{one_line(broken[0])}{f' (and {len(broken) - 1} more)' if len(broken) > 1 else ''}"
        return
    if altered := check.altered_tables():
        state.damage = f"{altered[0]} is described in another way than it should be"
        return
    if wrong := check.wrong_values():
        state.damage = f"a value in the table {wrong[0]} is not of its kind"
        return
    state.fingerprint = fingerprint = check.fingerprint()
    if fingerprint is None:
        state.damage = "it does not say which model it was made with"
        return
    state.orphans = check.orphans()
    state.flawed_notes = check.flawed_notes(_expected(fingerprint))
    state.vector_file = check.vector_file_flaw(fingerprint.dim)
    state.without_codes = check.chunks_without_codes()


def _look_at_words(index_dir: Path, state: DatabaseState) -> None:
    try:
        state.words = words_are_sound(index_dir)
    except IndexBusy:
        state.words_unknown = "not checked while another process is writing"
    except StoreError as error:
        if os.access(index_dir, os.W_OK) and os.access(database_file(index_dir), os.W_OK):
            state.damage = error.message  # it is SQLite that cannot write, by what it reads there
        state.words_unknown = "not checked: the index may not be written"


def _expected(fingerprint: Fingerprint) -> Expected:
    bits = None if fingerprint.token_model else code_bits(fingerprint.dim)
    return Expected(
        dim=fingerprint.dim,
        code_bytes=-(-bits // 8) if bits else None,
        passage_hash=_passage_hash if fingerprint.passages == PASSAGES_VERSION else None,
    )


def _passage_hash(title: str, heading: str, text: str) -> bytes:
    return hash_of(passage_text(title, heading, text).encode())


def checks_of(state: DatabaseState) -> Iterator[Check]:
    """Says what is the matter with a database."""
    if state.damage:
        yield Check("database", "wrong", f"notes.db is damaged: {state.damage}", REPAIR)
        return
    yield Check("database", "ok", "notes.db is sound")
    if state.orphans:
        what = ", ".join(f"{count:,} in {table}" for table, count in state.orphans.items())
        yield Check("rows", "wrong", f"rows that belong to nothing: {what}", REPAIR)
    elif state.flawed_notes:
        count, why = len(state.flawed_notes), next(iter(state.flawed_notes.values()))
        yield Check("rows", "wrong", f"not as written: {count:,} note{'' if count == 1 else 's'} ({why})", REPAIR)
    elif state.without_codes:
        what = f"{state.without_codes:,} chunks are without token codes"
        yield Check("rows", "warning", what, "Add them: notesearch index")
    else:
        yield Check("rows", "ok", "notes, chunks, vectors and codes fit together")
    if state.words is None:
        yield Check("words", "warning", state.words_unknown)
    elif state.words:
        yield Check("words", "ok", "the full-text index fits the notes")
    else:
        yield Check("words", "wrong", "the full-text index does not fit the notes", REPAIR)
    if state.vector_file:
        yield Check("vector file", "wrong", f"vectors.hnsw: {state.vector_file}; searches do without", REPAIR)
    else:
        yield Check("vector file", "ok", "as written, or not needed")
