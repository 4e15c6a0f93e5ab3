"""An index that another version of notesearch made: made anew by `index`, and what was encoded is taken over."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from notesearch.encoders import PreparedModel
from notesearch.errors import IndexMismatch, OtherIndexVersion
from notesearch.records import IndexReport
from notesearch.storage import IndexReader
from notesearch.storage.schema import SCHEMA_VERSION

from .vault import Vault, changes, contents, run_index

Index = Callable[..., IndexReport]


def make_old(index_dir: Path, *statements: str, version: int = SCHEMA_VERSION - 1) -> None:
    """Turns an index into one of another version."""
    with closing(sqlite3.connect(index_dir / "notes.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")


@pytest.fixture
def before(vault: Vault, index: Index, index_dir: Path, fake_encoder: Any) -> dict[str, Any]:
    """What the index of a few notes in two folders holds."""
    vault.write("work/plan.md", "# Plan\n\nGreen tea and black tea. #urgent")
    vault.write("work/long.md", "# Long\n\n" + "\n\n".join(f"## {part}\n\n" + f"{part}word " * 12 for part in "abc"))
    vault.write("home/list.md", "# List\n\nMilk, see [[Plan]]")
    index(vault.root / "work", vault.root / "home")
    fake_encoder.encoded.clear()
    return contents(index_dir)


CHANGES = [
    (),
    ("ALTER TABLE notes DROP COLUMN reader", "ALTER TABLE chunks DROP COLUMN page", "DROP TABLE names"),
    ("ALTER TABLE notes ADD COLUMN later TEXT", "ALTER TABLE tags RENAME TO labels", "CREATE TABLE more (x)"),
]


@pytest.mark.parametrize("version", [1, SCHEMA_VERSION + 1])
@pytest.mark.parametrize("statements", CHANGES, ids=["only the version", "older tables", "newer tables"])
def test_it_is_made_anew_and_nothing_is_encoded_twice(
    before: Any, index: Index, index_dir: Path, fake_encoder: Any, statements: tuple[str, ...], version: int
) -> None:
    make_old(index_dir, *statements, version=version)
    with pytest.raises(OtherIndexVersion):
        IndexReader(index_dir)
    report = index()
    assert (report.added, report.encoded, fake_encoder.encoded) == (3, 0, [])
    assert contents(index_dir) == before
    assert changes(index()) == {"unchanged": 3}
    assert not list(index_dir.glob("rebuilt*"))


def test_only_what_has_changed_is_encoded(
    before: Any, vault: Vault, index: Index, index_dir: Path, fake_encoder: Any
) -> None:
    make_old(index_dir)
    vault.write("home/new.md", "# New\n\nOolong")
    vault.delete("work/plan.md")
    assert index(vault.root / "home").notes == 3, "also of the folder that was not named"
    assert ["Oolong" in passage for passage in fake_encoder.encoded] == [True]


def test_without_the_tables_that_are_taken_over_everything_is_encoded_again(
    before: Any, index: Index, index_dir: Path
) -> None:
    make_old(index_dir, "ALTER TABLE token_codes RENAME TO codes")
    report = index()
    assert report.encoded == report.chunks > 0
    assert contents(index_dir) == before


def test_a_rebuild_encodes_everything_again(before: Any, index: Index, index_dir: Path) -> None:
    make_old(index_dir)
    report = index(rebuild=True)
    assert report.encoded == report.chunks > 0
    assert contents(index_dir) == before


def test_another_model_is_refused_until_it_is_asked_for(
    before: Any, index_dir: Path, other_model: PreparedModel, fake_encoder: Any
) -> None:
    make_old(index_dir)
    with pytest.raises(IndexMismatch, match="fake-model"):
        run_index(index_dir, other_model)
    assert fake_encoder.encoded == []
    assert run_index(index_dir, other_model, rebuild=True).encoded > 0


def test_a_run_that_is_cut_short_leaves_the_old_index_and_the_next_one_completes_it(
    before: Any, vault: Vault, index: Index, index_dir: Path, fake_encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notesearch.indexing.batches.BATCH_CHUNKS", 1)
    make_old(index_dir)
    vault.write("work/zebra.md", "# Zebra\n\nstripes")
    fake_encoder.passages_left = 0
    with pytest.raises(KeyboardInterrupt):
        index()
    with pytest.raises(OtherIndexVersion):
        IndexReader(index_dir)
    fake_encoder.passages_left = None
    report = index()
    assert (report.notes, report.encoded) == (4, 1)
    assert report.unchanged > 0, "it was in what the first run had written"
