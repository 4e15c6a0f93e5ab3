"""Private folders, and what killed processes leave in them."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from notesearch.cli.process import keep_private
from notesearch.private import make_private_folder, seal, working_folder

# Works in a folder, says so, and waits to be killed.
WORK_AND_WAIT = """
import sys
from pathlib import Path
from notesearch.private import working_folder
with working_folder(Path(sys.argv[1]), ".making-") as folder:
    (folder / "half").write_text("half")
    print("working", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=[0, 0o022, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_that_are_missing_are_made_private_and_others_stay_as_they_are(tmp_path: Path, umask: int) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    make_private_folder(shared / "one" / "two")
    make_private_folder(shared / "one" / "two")
    assert [mode(shared / name) for name in ("", "one", "one/two")] == [0o755, 0o700, 0o700]


def test_whatever_the_umask_was_everything_is_private_from_then_on(tmp_path: Path, umask: int) -> None:
    keep_private()
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert (mode(tmp_path / "folder"), mode(tmp_path / "file")) == (0o700, 0o600)


def test_what_is_sealed_is_private(tmp_path: Path, umask: int) -> None:
    for path in (tmp_path / "tree", tmp_path / "tree" / "below"):
        path.mkdir()
        path.chmod(0o755)
        (path / "file").write_text("x")
    seal(tmp_path / "tree")
    assert {mode(path) for path in (tmp_path / "tree").rglob("file")} == {0o600}
    assert {mode(path) for path in (tmp_path / "tree", tmp_path / "tree" / "below")} == {0o700}


def test_a_working_folder_is_private_and_gone_at_the_end(tmp_path: Path, umask: int) -> None:
    with working_folder(tmp_path / "cache", ".making-") as folder:
        assert folder.is_dir() and list(folder.iterdir()) == []
        assert {mode(path) for path in (folder, tmp_path / "cache")} == {0o700}
        assert folder.name.startswith(".making-")
        (folder / "half").write_text("half")
    assert list((tmp_path / "cache").iterdir()) == []
    with pytest.raises(KeyboardInterrupt), working_folder(tmp_path / "cache", ".making-"):
        raise KeyboardInterrupt
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_a_killed_process_has_left_is_cleared_and_what_a_live_one_uses_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORK_AND_WAIT, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"working\n"
        (theirs,) = tmp_path.iterdir()
        (tmp_path / ".other-left").mkdir()
        with working_folder(tmp_path, ".making-") as ours:
            assert {path.name for path in tmp_path.iterdir()} == {theirs.name, ours.name, ".other-left"}
        assert (theirs / "half").read_text() == "half"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert theirs.is_dir()
    with working_folder(tmp_path, ".making-"):
        assert not theirs.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".other-left"]


def test_what_another_release_has_left_is_cleared_too(tmp_path: Path) -> None:
    (tmp_path / ".making-1" / "model").mkdir(parents=True)
    (tmp_path / ".making-1" / "model" / "half").write_text("half")
    (tmp_path / ".making-file").touch()
    with working_folder(tmp_path, ".making-"):
        assert not (tmp_path / ".making-1").exists()
    assert (tmp_path / ".making-file").exists()
