import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from notesearch import open_index
from notesearch.library import watch as watching
from notesearch.library.watch import EventsLost

PATIENCE_S = 60


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], Iterator[frozenset[str]]]]:
    """What happens, in the place of what the system tells; when it is over, Ctrl-C is pressed."""
    script: list[Callable[[], Iterator[frozenset[str]]]] = []

    def file_changes(folders):
        yield from script.pop(0)() if script else ()
        raise KeyboardInterrupt

    monkeypatch.setattr(watching, "file_changes", file_changes)
    return script


def found(query: str) -> list[str]:
    with open_index() as index:
        return [Path(hit.path).name for hit in index.search(query, mode="lexical")]


def test_it_begins_as_index_does_and_takes_in_what_changes(fake_encoder, run, write_notes, changes) -> None:
    folder = write_notes({"a.md": "apples", "b.md": "pears"})

    def happen():
        yield frozenset()
        assert found("apples") == ["a.md"]
        (folder / "a.md").write_text("quinces instead of them")
        yield frozenset([str(folder / "a.md")])
        assert (found("apples"), found("quinces")) == ([], ["a.md"])
        (folder / "b.md").rename(folder / "c.md")
        yield frozenset([str(folder / "b.md"), str(folder / "c.md")])
        assert found("pears") == ["c.md"]
        # As many editors save: another file, moved over the old one.
        (folder / "c.md.tmp").write_text("medlars, much longer")
        (folder / "c.md.tmp").replace(folder / "c.md")
        yield frozenset([str(folder / "c.md.tmp"), str(folder / "c.md")])
        assert found("medlars") == ["c.md"]
        (folder / "c.md").unlink()
        yield frozenset([str(folder / "c.md")])
        assert found("medlars") == []

    changes.append(happen)
    outcome = run("watch", folder)
    assert (outcome.code, outcome.out) == (130, "")
    said = [line[9:].split(";")[0] for line in outcome.err.splitlines()]
    assert said == [f"watching {folder}", "2 added", "1 updated", "1 moved", "1 updated", "1 removed"]


def test_without_a_folder_those_of_the_index_are_watched(run, indexed, changes) -> None:
    outcome = run("watch")
    assert outcome.code == 130
    assert outcome.err.splitlines()[0].endswith(f"watching {indexed}")


def test_one_within_another_is_watched_with_it(run, indexed, changes) -> None:
    assert run("watch", indexed / "cooking", indexed, indexed).err.splitlines()[0].endswith(f"watching {indexed}")


def test_quiet_says_only_what_is_wrong(run, indexed, changes) -> None:
    (indexed / "link.md").symlink_to("/etc/hosts")  # left out on purpose
    (indexed / "binary.md").write_bytes(b"\0\1\2" * 100)

    def happen():
        yield frozenset()
        (indexed / "new.md").write_text("text")
        yield frozenset([str(indexed / "new.md")])

    changes.append(happen)
    outcome = run("watch", "--quiet")
    assert outcome.err.splitlines() == [f"skipped  {indexed / 'binary.md'}: binary file"], "and it is said once"


def test_lost_events_are_told_of(run, indexed, changes) -> None:
    def lost():
        raise EventsLost("no watches left")
        yield

    changes.append(lost)
    assert "no watches left: all files are looked at every 30 seconds instead" in run("watch").err


@pytest.mark.parametrize(
    ("named", "message"), [("missing", "no such folder"), ("cap.md", "not a folder")], ids=["missing", "file"]
)
def test_what_index_refuses_within_an_indexed_folder(run, indexed, changes, named, message) -> None:
    outcome = run("watch", indexed / named)
    assert outcome.code == 2
    assert f"{message}: {indexed / named}" in outcome.err


@pytest.mark.parametrize("arguments", [["missing"], []])
def test_without_anything_to_watch_it_says_so(fake_encoder, run, tmp_path, changes, arguments) -> None:
    outcome = run("watch", *(tmp_path / name for name in arguments))
    assert outcome.code == 2
    assert ("no such folder" if arguments else "no folder to watch") in outcome.err


def test_a_folder_of_the_index_that_is_gone_is_waited_for(run, indexed, changes) -> None:
    indexed.rename(indexed.with_name("away"))
    outcome = run("watch", indexed)
    assert outcome.code == 130
    assert f"{indexed} is gone or empty; its notes are kept in the index" in outcome.err
    assert found("lentils") == ["dal.md"]


def test_without_watchfiles_it_says_what_to_install(run, indexed, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    outcome = run("watch")
    assert outcome.code == 2
    assert "pip install 'notesearch[watch]'" in outcome.err


@pytest.mark.parametrize(("signalled", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_end_to_end(sample, tmp_path, signalled, code) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "first.md").write_text("# Kites\n\nKites fly.")
    index_dir = tmp_path / "index"
    command = [sys.executable, "-m", "notesearch", "watch", str(folder), "--index-dir", str(index_dir)]
    process = subprocess.Popen(
        command,
        env=sample.environment,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background, these tests perhaps, is told to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stderr is not None
        until_said(process, "1 added")
        # What happens from now on may come before the system is asked, and is found all the same.
        (folder / "second.md").write_text("# Zeppelins\n\nZeppelins fly too.")
        until_said(process, "1 added")
        hits = sample.run("search", "zeppelins", "--files", "--index-dir", str(index_dir))
        assert hits.stdout.splitlines()[0] == str(folder / "second.md")
        process.send_signal(signalled)
        assert process.wait(PATIENCE_S) == code
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def until_said(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    last = time.monotonic() + PATIENCE_S
    for line in process.stderr:
        if words in line:
            return
        assert time.monotonic() < last, line
    raise AssertionError("it has ended")


def test_an_index_of_an_older_release_is_brought_up_to_date_first(run, indexed, changes, tmp_path) -> None:
    (database,) = tmp_path.rglob("notes.db")
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, columns in {"notes": ["reader"], "chunks": ["page", "end_page"]}.items():
            for column in columns:
                connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        for column in ("size", "mtime_ns", "ctime_ns", "inode", "reader", "by_rule"):
            connection.execute(f"ALTER TABLE skipped DROP COLUMN {column}")
        connection.execute("DROP TABLE names")
        connection.execute("PRAGMA user_version = 2")
    assert run("search", "salt").code == 2
    assert run("watch").code == 130
    assert run("search", "salt").code in (0, 1)
