"""Replace the content of a file: completely or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from notesearch.errors import NoteNotWritable
from notesearch.files import sync

# Hidden, so that `find_notes` never takes it for a note.
_TEMPORARY_NAME = re.compile(r"\.notesearch-[0-9a-f]{16}")


def new_temporary_name() -> str:
    """A name that no file has, for the moment in which the new bytes lie beside the old ones."""
    return f".notesearch-{secrets.token_hex(8)}"


def replace_file(path: Path, expected: bytes, new: bytes, temporary_name: str = "") -> None:
    """Replace what a file holds; its mode, owner, times and extended attributes stay.

    At every moment, the file is there with all of its old or all of its new bytes. Of a symlink, the target is
    replaced.

    Args:
        path: The file.
        expected: What it holds.
        new: What it is to hold.
        temporary_name: As `new_temporary_name` gives it, for a caller who would remove what a killed run leaves.

    Raises:
        NoteNotWritable: It holds something else by now, or cannot be replaced; the message is a short reason.
    """
    with _refusals():
        target, status = _replaceable(path)
        _replace(target, status, expected, new, temporary_name or new_temporary_name())
        with suppress(OSError):  # the file has been replaced; that a file system cannot sync folders does not undo it
            sync(target.parent)


def remove_leftover(path: Path, temporary_name: str) -> None:
    """Remove what a run left beside a file that was killed while it replaced it; nobody may be replacing it now.

    Args:
        path: The file.
        temporary_name: What `replace_file` was given; of any other name, nothing is removed.
    """
    if _TEMPORARY_NAME.fullmatch(temporary_name):
        with suppress(OSError):  # mostly it is not there; where its folder may not be written, it has to stay
            (Path(os.path.realpath(path)).parent / temporary_name).unlink()


def check_replaceable(path: Path) -> None:
    """Find out whether `replace_file` would replace a file, short of trying.

    Raises:
        NoteNotWritable: It would not; the message is a short reason.
    """
    with _refusals():
        _replaceable(path)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NoteNotWritable("file disappeared") from error
    except OSError as error:
        raise NoteNotWritable((error.strerror or "cannot be written").lower()) from error


def _replaceable(path: Path) -> tuple[Path, os.stat_result]:
    """The file that a path leads to."""
    target = Path(os.path.realpath(path, strict=True))
    status = target.stat()
    # The superuser may write everything: the bits say what the owner wants.
    if not stat.S_ISREG(status.st_mode):
        raise NoteNotWritable("special file")
    if status.st_nlink > 1:
        raise NoteNotWritable("file with hard links")
    if not status.st_mode & stat.S_IWUSR or not os.access(target, os.W_OK):
        raise NoteNotWritable("read-only file")
    if not target.parent.stat().st_mode & stat.S_IWUSR or not os.access(target.parent, os.W_OK | os.X_OK):
        raise NoteNotWritable("read-only folder")
    return target, status


def _replace(target: Path, status: os.stat_result, expected: bytes, new: bytes, temporary_name: str) -> None:
    temporary = target.with_name(temporary_name)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - from a descriptor
            file.write(new)
            file.flush()
            _make_alike(descriptor, target, status)
            os.fsync(descriptor)
        # As late as possible: no system call replaces a file only if nobody has changed it.
        if target.read_bytes() != expected:
            raise NoteNotWritable("changed since it was read")
        temporary.replace(target)
    finally:
        with suppress(OSError):  # after a success it is gone
            temporary.unlink()


def _make_alike(descriptor: int, target: Path, status: os.stat_result) -> None:
    _take_owner(descriptor, status)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
    _copy_attributes(target, descriptor)
    os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))


def _take_owner(descriptor: int, status: os.stat_result) -> None:
    # Only the superuser may change the owner, but everybody may set a group that they are in.
    for user in (status.st_uid, -1):
        with suppress(PermissionError):
            return os.fchown(descriptor, user, status.st_gid)


def _copy_attributes(source: Path, descriptor: int) -> None:
    for name in _attribute_names(source):
        try:
            os.setxattr(descriptor, name, os.getxattr(source, name))
        except OSError:
            if not name.startswith("security."):  # with these, the system labels every new file itself
                raise


def _attribute_names(source: Path) -> list[str]:
    if not hasattr(os, "listxattr"):
        return []
    try:
        return os.listxattr(source)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return []
        raise
