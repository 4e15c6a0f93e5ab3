"""Private folders, and what killed processes leave in them."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from notesearch import files
from notesearch.cli.process import keep_private
from notesearch.files import (
    append_jsonl,
    former_folder,
    make_private_folder,
    put_folder,
    read_own_jsonl,
    replacing,
    seal,
    working_folder,
    write_whole,
)

# Works in a folder, says so, and waits to be killed.
WORK_AND_WAIT = """
import sys
from pathlib import Path
from notesearch.files import working_folder
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


def test_a_file_is_replaced_whole_and_private(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "list.json"
    path.write_text("old")
    path.chmod(0o644)
    (tmp_path / "list.json.new").write_text("left by a killed process, and longer than what comes")
    write_whole(path, "new \ud800")
    assert (path.read_text(), mode(path)) == ("new ?", 0o600)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_replacement_that_breaks_off_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "vectors"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def make_folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "file").write_text(text)
    return path


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for text in ("first", "second"):
        put_folder(make_folder(tmp_path / "made", text), target)
        assert (target / "file").read_text() == text
        assert (mode(target), mode(target / "file")) == (0o700, 0o600)
        assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_cannot_be_put_there_leaves_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = make_folder(tmp_path / "model", "first")
    made = make_folder(tmp_path / "made", "second")
    rename = Path.rename

    def fail_for_made(path: Path, to: Path) -> Path:
        if path == made:
            assert former_folder(target).exists(), "where a killed process would leave it"
            raise OSError("disk full")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", fail_for_made)
    with pytest.raises(OSError, match="disk full"):
        put_folder(made, target)
    assert (target / "file").read_text() == "first"


def test_lines_that_were_appended_come_back_and_a_cut_one_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log.jsonl"
    assert read_own_jsonl(path) == []
    append_jsonl(path, [{"a": 1}, {"a": "\u2028\ud800"}])
    with path.open("a") as file:
        file.write('{"half": ')  # by a process that was killed
    append_jsonl(path, [{"a": 3}])
    assert read_own_jsonl(path) == [(1, {"a": 1}), (2, {"a": "\u2028\ud800"}), (3, {}), (4, {"a": 3})]
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    path.write_text('[1]\n7\nnull\n{"a": 5}')
    assert [record for _, record in read_own_jsonl(path)] == [{}, {}, {}, {"a": 5}]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "config.toml"
    make(path)
    with pytest.raises(OSError, match=r"not a regular file|a folder"):
        files.read_text(path)


def test_a_file_that_no_person_wrote_by_hand_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(10_000_001))
    with pytest.raises(OSError, match="larger than 10,000,000 bytes"):
        files.read_text(tmp_path / "a")
