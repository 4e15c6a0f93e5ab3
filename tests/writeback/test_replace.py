import errno
import os
import stat
from pathlib import Path

import pytest

from notesearch.errors import NoteNotWritable
from notesearch.notes import NoteFile, find_notes
from notesearch.writeback.replace import replace_file


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.md"
    path.write_bytes(b"old")
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refusal(path: Path, expected: bytes = b"old") -> str:
    """The reason; nothing may be left behind."""
    names = names_in(path.parent)
    with pytest.raises(NoteNotWritable) as caught:
        replace_file(path, expected, b"new")
    assert names_in(path.parent) == names
    return caught.value.message


def test_new_bytes_take_the_place_of_the_old(note: Path) -> None:
    replace_file(note, b"old", b"new and longer")
    assert note.read_bytes() == b"new and longer"
    assert names_in(note.parent) == ["note.md"]


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o664, 0o755])
def test_mode_and_times_stay(note: Path, mode: int) -> None:
    note.chmod(mode)
    os.utime(note, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))
    before = note.stat()
    replace_file(note, b"old", b"new")
    after = note.stat()
    assert stat.S_IMODE(after.st_mode) == mode
    assert (after.st_atime_ns, after.st_mtime_ns) == (before.st_atime_ns, before.st_mtime_ns)
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser may give files away")
def test_the_owner_stays(note: Path) -> None:
    os.chown(note, 12345, 54321)
    replace_file(note, b"old", b"new")
    assert (note.stat().st_uid, note.stat().st_gid) == (12345, 54321)


def test_an_owner_that_cannot_stay_does_not_matter(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*args: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", denied)
    replace_file(note, b"old", b"new")
    assert note.read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes here")
def test_extended_attributes_stay(note: Path) -> None:
    try:
        os.setxattr(note, "user.colour", b"red")
    except OSError:
        pytest.skip("no extended attributes on this file system")
    replace_file(note, b"old", b"new")
    assert os.getxattr(note, "user.colour") == b"red"


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes here")
def test_attributes_that_cannot_be_copied(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*args: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    def unsupported(*args: object) -> list[str]:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", denied)
    monkeypatch.setattr(os, "getxattr", lambda *args: b"value")
    monkeypatch.setattr(os, "listxattr", lambda path: ["user.colour"])
    assert refusal(note) == "operation not permitted"
    monkeypatch.setattr(os, "listxattr", lambda path: ["security.selinux"])
    replace_file(note, b"old", b"new")
    monkeypatch.setattr(os, "listxattr", unsupported)
    replace_file(note, b"new", b"newer")
    assert note.read_bytes() == b"newer"


def test_a_symlink_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    target = tmp_path / "deep" / "target.md"
    target.write_bytes(b"old")
    (tmp_path / "between.md").symlink_to("deep/target.md")
    link = tmp_path / "link.md"
    link.symlink_to("between.md")
    replace_file(link, b"old", b"new")
    assert link.readlink() == Path("between.md")
    assert not target.is_symlink() and target.read_bytes() == b"new"
    assert names_in(tmp_path) == ["between.md", "deep", "link.md"]


def test_files_that_are_left_alone(note: Path, tmp_path: Path) -> None:
    assert refusal(note, expected=b"older") == "changed since it was read"
    assert refusal(tmp_path / "gone.md") == "file disappeared"
    (tmp_path / "broken.md").symlink_to("gone.md")
    assert refusal(tmp_path / "broken.md") == "file disappeared"
    (tmp_path / "loop.md").symlink_to("loop.md")
    assert refusal(tmp_path / "loop.md") == "too many levels of symbolic links"
    os.mkfifo(tmp_path / "pipe.md")
    assert refusal(tmp_path / "pipe.md") == "special file"
    (tmp_path / "folder.md").mkdir()
    assert refusal(tmp_path / "folder.md") == "special file"
    os.link(note, tmp_path / "other.md")
    assert refusal(note) == "file with hard links"
    assert note.read_bytes() == b"old"


def test_read_only(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note.chmod(0o444)
    assert refusal(note) == "read-only file"
    note.chmod(0o644)
    note.parent.chmod(0o555)
    assert refusal(note) == "read-only folder"
    note.parent.chmod(0o755)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != note)
    assert refusal(note) == "read-only file"
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) == note)
    assert refusal(note) == "read-only folder"
    assert note.read_bytes() == b"old"


@pytest.mark.parametrize("failing", ["fsync", "replace", "fchmod", "utime"])
def test_a_failure_leaves_the_old_bytes_and_nothing_else(
    note: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    assert refusal(note) == "no space left on device"
    assert note.read_bytes() == b"old"


def test_an_interruption_leaves_nothing_behind(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        replace_file(note, b"old", b"new")
    assert names_in(note.parent) == ["note.md"]
    assert note.read_bytes() == b"old"


def test_a_change_while_the_new_bytes_are_written_is_not_lost(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def sync_and_edit(descriptor: int) -> None:
        sync(descriptor)
        note.write_bytes(b"edited meanwhile")

    monkeypatch.setattr(os, "fsync", sync_and_edit)
    assert refusal(note) == "changed since it was read"
    assert note.read_bytes() == b"edited meanwhile"


def test_what_is_there_for_a_moment_is_no_note(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Path]] = []
    names: list[int] = []
    sync = os.fsync

    def look(descriptor: int) -> None:
        sync(descriptor)
        names.append(len(names_in(note.parent)))
        seen.append([file.path for file in find_notes(note.parent, max_bytes=100) if isinstance(file, NoteFile)])

    monkeypatch.setattr(os, "fsync", look)
    replace_file(note, b"old", b"new")
    assert names == [2, 1]  # the file, then its folder
    assert seen == [[note], [note]]


def test_a_folder_that_cannot_be_synced_does_not_matter(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def files_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    replace_file(note, b"old", b"new")
    assert note.read_bytes() == b"new"
