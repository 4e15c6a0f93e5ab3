"""One writer at a time."""

from pathlib import Path

import pytest

from notesearch.errors import IndexBusy, StoreError
from notesearch.storage.database import acquire_lock


def test_a_second_one_is_turned_away_and_told_what_to_do(tmp_path: Path) -> None:
    lock = acquire_lock(tmp_path)
    with pytest.raises(IndexBusy, match="another process") as caught:
        acquire_lock(tmp_path)
    assert "--wait" in caught.value.hint
    assert caught.value.exit_code == 4
    lock.release()
    acquire_lock(tmp_path).release()


def test_one_that_waits_gets_it_when_the_first_lets_go(tmp_path: Path) -> None:
    first = acquire_lock(tmp_path)
    told: list[str] = []

    def waiting() -> None:
        told.append("waiting")
        first.release()

    acquire_lock(tmp_path, 60, waiting).release()
    assert told == ["waiting"]


def test_one_that_waits_in_vain_is_turned_away(tmp_path: Path) -> None:
    first = acquire_lock(tmp_path)
    told: list[str] = []
    with pytest.raises(IndexBusy):
        acquire_lock(tmp_path, 0.01, lambda: told.append("waiting"))
    first.release()
    assert told == ["waiting"]


def test_nobody_is_told_of_waiting_where_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    told: list[str] = []
    acquire_lock(tmp_path, 60, lambda: told.append("waiting")).release()
    assert told == []


def test_the_lock_is_private(tmp_path: Path) -> None:
    acquire_lock(tmp_path).release()
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] in ([], [0o600])


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"):
        acquire_lock(tmp_path / "file")
