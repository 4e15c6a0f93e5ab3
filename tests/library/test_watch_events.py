import subprocess
import sys
import threading
from pathlib import Path

import pytest

from notesearch.library import watch as events
from notesearch.library.watch import EventsLost, file_changes

MOUNTS = r"""
21 1 0:20 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:21 / /home/nora/far\040away rw - nfs4 server:/notes rw
23 22 0:22 / /home/nora/far\040away/near rw - tmpfs tmpfs rw
24 21 0:23 / /mnt/phone rw shared:7 master:2 - fuse.sshfs phone:/ rw
"""


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTS.lstrip())
    monkeypatch.setattr(events, "_MOUNTS", file)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems list their mounts elsewhere")
@pytest.mark.parametrize("folder", ["/home/nora/far away", "/home/nora/far away/notes", "/mnt/phone/notes"])
def test_of_a_network_drive_no_changes_are_told(mounts: None, folder: str) -> None:
    with pytest.raises(EventsLost, match=f"{folder} is on a network drive"):
        next(file_changes([Path("/home/nora"), Path(folder)]))


@pytest.mark.parametrize("folder", ["/", "/home/nora/notes", "/home/nora/far away/near/notes", "/mnt/phones"])
def test_other_drives_are_no_network_drives(mounts: None, folder: str) -> None:
    assert not events._is_on_a_network(Path(folder))


def test_without_a_list_of_mounts_none_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_MOUNTS", tmp_path / "none")
    assert not events._is_on_a_network(tmp_path)


def test_changes_are_told_from_the_first_empty_set_on(tmp_path: Path) -> None:
    changes = file_changes([tmp_path])
    assert next(changes) == frozenset()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.md").write_text("text")
    found: set[str] = set()
    while not found >= {str(tmp_path / "sub")}:
        found |= next(changes)
    (tmp_path / "sub" / "b.md").write_text("text")
    while not found >= {str(tmp_path / "sub" / "b.md")}:
        found |= next(changes)
    (thread,) = (thread for thread in threading.enumerate() if thread.name == events._THREAD)
    changes.close()
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_a_folder_that_is_missing_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(EventsLost, match="cannot watch the folders"):
        next(file_changes([tmp_path / "none"]))


LIMITED = """
import sys
from pathlib import Path
Path("/proc/sys/user/max_inotify_watches").write_text("2")
from notesearch.library.watch import EventsLost, file_changes
try:
    print(next(file_changes([Path(sys.argv[1])])))
except EventsLost as lost:
    print(lost)
"""


def test_where_the_system_allows_no_more_watches(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).mkdir()
    command = ["unshare", "--map-root-user", sys.executable, "-c", LIMITED, str(tmp_path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("this system has no unshare")
    if done.returncode != 0:
        pytest.skip("this system gives no namespace to a user")
    assert "cannot watch the folders: OS file watch limit reached" in done.stdout
    assert "Error {" not in done.stdout


def test_without_folders_it_passes_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(events.time, "sleep", slept.append)
    changes = file_changes([])
    assert [next(changes), next(changes)] == [frozenset()] * 2
    assert slept == [1.0, 1.0]
