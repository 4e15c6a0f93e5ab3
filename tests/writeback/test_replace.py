import errno
import os
import shutil
import stat
import struct
import tempfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from notesearch.errors import NoteNotWritable
from notesearch.notes import NoteFile, find_notes
from notesearch.writeback.replace import _Pair, clear_leftover, new_temporary_name, replace_file


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


# Owners, permissions and attributes


def access_list(*users: int) -> bytes:
    """As the system stores it: some users may read and write, beside the owner."""
    nobody = 0xFFFFFFFF
    rules = [(0x01, 6, nobody), *((0x02, 6, user) for user in users), (0x04, 4, nobody), (0x10, 6, nobody)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *rule) for rule in (*rules, (0x20, 0, nobody)))


def attributes(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


@pytest.fixture
def attributed(note: Path) -> Path:
    """The note, with an access list and an attribute of its owner's."""
    try:
        os.setxattr(note, "system.posix_acl_access", access_list(4321))
        os.setxattr(note, "user.colour", b"red")
    except (OSError, AttributeError):
        pytest.skip("no access lists here")
    return note


as_superuser = pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser may give files away")


def refusal_for(user: int, group: int, path: Path) -> str:
    """What another user is told who replaces a file; empty where it is replaced."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
        try:
            replace_file(path, b"old", b"new")
        except NoteNotWritable as error:
            os.write(writing, error.message.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, encoding="utf-8") as told:
        return told.read()


@pytest.fixture
def shared(note: Path) -> Iterator[Path]:
    """A note of user 1001 and group 2000 in a folder that all may write, whatever pytest's own folder is."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    path = folder / "note.md"
    path.write_bytes(b"old")
    os.chown(path, 1001, 2000)
    path.chmod(0o660)
    yield path
    shutil.rmtree(folder)


@as_superuser
def test_a_file_of_another_user_is_not_given_away(shared: Path) -> None:
    os.setxattr(shared, "system.posix_acl_access", access_list(1002))
    before = shared.stat(), attributes(shared)
    assert refusal_for(1002, 1002, shared) == "belongs to another user"
    assert refusal_for(1002, 2000, shared) == "belongs to another user"
    assert (shared.stat(), attributes(shared)) == before
    assert (shared.read_bytes(), names_in(shared.parent)) == (b"old", ["note.md"])


@as_superuser
def test_a_group_that_its_owner_is_not_in_cannot_be_kept(shared: Path) -> None:
    assert refusal_for(1001, 1001, shared) == "its owner and group cannot be kept"
    assert (shared.stat().st_uid, shared.stat().st_gid, shared.read_bytes()) == (1001, 2000, b"old")
    assert names_in(shared.parent) == ["note.md"]
    assert refusal_for(1001, 2000, shared) == ""
    assert (shared.stat().st_uid, shared.stat().st_gid, shared.read_bytes()) == (1001, 2000, b"new")
    assert stat.S_IMODE(shared.stat().st_mode) == 0o660


@as_superuser
def test_the_superuser_keeps_owner_and_access_list(shared: Path) -> None:
    os.setxattr(shared, "system.posix_acl_access", access_list(1002))
    before = attributes(shared)
    replace_file(shared, b"old", b"new")
    status = shared.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1001, 2000, 0o660)
    assert (attributes(shared), shared.read_bytes()) == (before, b"new")


def test_an_owner_that_cannot_be_kept(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: note.stat().st_uid + 1)
    assert refusal(note) == "belongs to another user"


def test_access_list_and_attributes_stay(attributed: Path) -> None:
    before = attributes(attributed)
    replace_file(attributed, b"old", b"new")
    assert attributes(attributed) == before
    assert before.keys() >= {"user.colour", "system.posix_acl_access"}


def test_a_folder_adds_nobody_who_may_read(note: Path) -> None:
    try:
        os.setxattr(note.parent, "system.posix_acl_default", access_list(4321))
    except (OSError, AttributeError):
        pytest.skip("no access lists here")
    note.chmod(0o640)
    replace_file(note, b"old", b"new")
    assert (attributes(note), stat.S_IMODE(note.stat().st_mode)) == ({}, 0o640)


def test_attributes_that_cannot_be_kept(attributed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*args: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    def unsupported(*args: object) -> list[str]:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", denied)
    assert refusal(attributed) == "its permissions and extended attributes cannot all be kept"
    monkeypatch.setattr(os, "listxattr", unsupported)
    replace_file(attributed, b"old", b"new")
    assert attributed.read_bytes() == b"new"


def test_labels_of_the_system_do_not_matter(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = iter([b"old label", b"new label", b"new label"])
    monkeypatch.setattr(os, "listxattr", lambda file: ["security.selinux"])
    monkeypatch.setattr(os, "getxattr", lambda file, name: next(labels))
    monkeypatch.setattr(os, "setxattr", lambda *args: None)
    replace_file(note, b"old", b"new")
    assert note.read_bytes() == b"new"


# Which file


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


@pytest.fixture
def no_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that cannot have two files change places."""
    monkeypatch.setattr(_Pair, "exchange", lambda pair: False)


@pytest.mark.parametrize("failing", ["fsync", "rename", "fchmod", "utime"])
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


# Other programs


Action = Callable[[], object]


def save_in_place(path: Path, data: bytes) -> Action:
    return lambda: path.write_bytes(data)


def save_by_renaming(path: Path, data: bytes) -> Action:
    def save() -> None:
        path.with_name("~saving").write_bytes(data)
        path.with_name("~saving").replace(path)

    return save


def before_exchanges(monkeypatch: pytest.MonkeyPatch, *actions: Action) -> None:
    """Has other programs do something in the moments before files change places."""
    exchange = _Pair.exchange
    todo = list(actions)

    def disturbed(pair: _Pair) -> bool:
        if todo:
            todo.pop(0)()
        return exchange(pair)

    monkeypatch.setattr(_Pair, "exchange", disturbed)


@pytest.mark.parametrize("save", [save_in_place, save_by_renaming])
def test_a_save_in_the_last_moment_is_not_lost(
    note: Path, save: Callable[[Path, bytes], Action], monkeypatch: pytest.MonkeyPatch
) -> None:
    before_exchanges(monkeypatch, save(note, b"edited"))
    assert refusal(note) == "another program is writing it"
    assert note.read_bytes() == b"edited"


@pytest.mark.parametrize("first", [save_in_place, save_by_renaming])
@pytest.mark.parametrize("second", [save_in_place, save_by_renaming])
def test_of_two_saves_in_the_last_moment_none_is_lost(
    note: Path,
    first: Callable[[Path, bytes], Action],
    second: Callable[[Path, bytes], Action],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before_exchanges(monkeypatch, first(note, b"edited"), second(note, b"edited again"))
    with pytest.raises(NoteNotWritable) as caught:
        replace_file(note, b"old", b"new")
    assert note.read_bytes() == b"edited again"
    (kept,) = set(names_in(note.parent)) - {"note.md"}
    assert kept in caught.value.message and not kept.startswith(".")
    assert (note.parent / kept).read_bytes() == b"edited"


def test_what_is_written_later_by_a_program_that_has_it_open_is_not_lost(note: Path) -> None:
    with note.open("ab") as file:
        assert refusal(note) == "another program is writing it"
        file.write(b" and more")
    assert note.read_bytes() == b"old and more"
    with note.open("rb"):
        replace_file(note, b"old and more", b"new")
    assert note.read_bytes() == b"new"


@pytest.mark.parametrize(
    ("action", "what"),
    [
        (lambda path: path.chmod(0o600), lambda path: stat.S_IMODE(path.stat().st_mode) == 0o600),
        (lambda path: (path.unlink(), path.symlink_to("other.md")), lambda path: path.is_symlink()),
        (lambda path: (path.unlink(), os.mkfifo(path)), lambda path: path.is_fifo()),
        (lambda path: (path.unlink(), path.mkdir()), lambda path: path.is_dir()),
        (lambda path: os.link(path, path.with_name("~link")), lambda path: path.stat().st_nlink == 2),
    ],
)
def test_what_became_another_file_stays_that(
    note: Path, action: Callable[[Path], object], what: Callable[[Path], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    before_exchanges(monkeypatch, lambda: action(note))
    with pytest.raises(NoteNotWritable, match="another program"):
        replace_file(note, b"old", b"new")
    assert what(note) and set(names_in(note.parent)) <= {"note.md", "~link"}


def test_a_note_that_is_deleted_in_the_last_moment_stays_deleted(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before_exchanges(monkeypatch, note.unlink)
    with pytest.raises(NoteNotWritable, match="file disappeared"):
        replace_file(note, b"old", b"new")
    assert names_in(note.parent) == []


def test_a_folder_that_is_renamed_meanwhile(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before_exchanges(monkeypatch, lambda: note.parent.rename(f"{note.parent}-renamed"))
    replace_file(note, b"old", b"new")
    folder = Path(f"{note.parent}-renamed")
    assert (names_in(folder), (folder / "note.md").read_bytes()) == (["note.md"], b"new")


def test_where_files_cannot_change_places(note: Path, no_exchange: None) -> None:
    replace_file(note, b"old", b"new")
    assert (note.read_bytes(), names_in(note.parent)) == (b"new", ["note.md"])
    assert refusal(note) == "changed since it was read"


def test_a_failure_where_files_cannot_change_places(
    note: Path, no_exchange: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(pair: _Pair) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(_Pair, "rename", fail)
    assert refusal(note) == "input/output error"


@pytest.mark.parametrize(
    ("holds", "beside", "then_holds", "kept"),
    [
        (b"old", b"new", b"old", None),  # killed before they changed places
        (b"new", b"old", b"new", None),  # after that
        (b"edited", b"new", b"edited", None),  # after it was put back
        (b"new and edited", b"old", b"new and edited", None),  # edited since
        (b"new", b"edited", b"edited", None),  # before it was put back
        (b"old", b"edited", b"edited", None),  # the same, as it was undone
        (b"edited again", b"edited", b"edited again", b"edited"),  # before it was kept
        (None, b"edited", None, b"edited"),
    ],
)
def test_what_a_killed_run_left_is_cleared_and_no_save_is_lost(
    note: Path, holds: bytes | None, beside: bytes, then_holds: bytes | None, kept: bytes | None
) -> None:
    note.unlink() if holds is None else note.write_bytes(holds)
    name = new_temporary_name()
    note.with_name(name).write_bytes(beside)
    note.with_name(f"{name}.part").write_bytes(b"ne")
    found = clear_leftover(note, name, {sha256(b"old").hexdigest(), sha256(b"new").hexdigest()})
    assert names_in(note.parent) == [
        name for name, data in (("note.md", then_holds), (found, kept)) if data is not None
    ]
    assert bool(found) == (kept is not None)
    assert then_holds is None or note.read_bytes() == then_holds
    assert kept is None or note.with_name(found).read_bytes() == kept


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
