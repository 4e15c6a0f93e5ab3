"""Replace the content of a file: completely or not at all, and only where it is what was read.

Where the system can have two files change places in one step (Linux, on most file systems), the new file is put in and
the old one comes out under a temporary name. Only once that is known to be what was read, and open for writing nowhere,
it is deleted; else the two change places again. So what another program saves at any moment is never lost. Elsewhere a
save is lost that falls between the last look at the file and its replacement, two system calls later.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import signal
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from notesearch.errors import NoteNotWritable

# Hidden, so that `find_notes` never takes it for a note.
_TEMPORARY_NAME = re.compile(r"\.notesearch-[0-9a-f]{16}")
_RENAME_EXCHANGE = 2
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
_MOST_CHARS_OF_KEPT = 60


def new_temporary_name() -> str:
    """A name that no file has, for the moment in which the new bytes lie beside the old ones."""
    return f".notesearch-{secrets.token_hex(8)}"


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal: what a file holds."""
    return sha256(data).hexdigest()


def replace_file(path: Path, expected: bytes, new: bytes, temporary_name: str = "") -> None:
    """Replace what a file holds; its owner, mode, access list, times and extended attributes stay.

    At every moment, the file is there with all of its old or all of its new bytes. Of a symlink, the target is
    replaced.

    Args:
        path: The file.
        expected: What it holds.
        new: What it is to hold.
        temporary_name: As `new_temporary_name` gives it, for a caller who would clear what a killed run leaves.

    Raises:
        NoteNotWritable: It holds something else by now, or cannot be replaced; the message is a short reason.
    """
    with _refusals():
        target, status = _replaceable(path)
        with _pair(target, temporary_name or new_temporary_name()) as pair:
            pair.make(new, status)
            try:
                pair.check({digest(expected)}, status)
                exchanged = pair.exchange()
                if not exchanged:
                    pair.check({digest(expected)}, status)  # as late as possible
                    pair.rename()
            except BaseException:
                pair.discard({digest(new)})
                raise
            if exchanged:
                _look_at_displaced(pair, expected, new, status)
            with suppress(OSError):  # the file has been replaced; that a file system cannot sync folders is no matter
                os.fsync(pair.folder)


def _look_at_displaced(pair: _Pair, expected: bytes, new: bytes, status: os.stat_result) -> None:
    """Delete the file that came out; one that another program has saved goes back to its place.

    Raises:
        NoteNotWritable: It was one of those.
    """
    if pair.discard({digest(expected)}, status):
        return
    pair.exchange()
    if pair.discard({digest(new)}):
        raise NoteNotWritable("another program is writing it")
    # It was saved once more, on top of ours: that is the newest and belongs there, and the other one is kept.
    pair.exchange()
    raise NoteNotWritable(f"another program is writing it; what it saved before is kept as {pair.keep()}")


def clear_leftover(path: Path, temporary_name: str, ours: Collection[str]) -> str:
    """Clear what a run left beside a file that was killed while it replaced it; nobody may be replacing it now.

    What another program had saved in that moment goes back to its place, or is kept under another name.

    Args:
        path: The file.
        temporary_name: What `replace_file` was given; of any other name, nothing is cleared.
        ours: What it expected and what the file was to hold, each as `digest` gives it.

    Returns:
        The name under which such a save was kept beside the file; mostly empty.
    """
    # Mostly nothing is there; where the folder may not be written, it has to stay.
    with suppress(OSError):
        if _TEMPORARY_NAME.fullmatch(temporary_name):
            with _pair(Path(os.path.realpath(path)), temporary_name) as pair:
                pair.delete_part()
                if not pair.discard(ours) and not _put_back(pair, ours):
                    return pair.keep()
    return ""


def _put_back(pair: _Pair, ours: Collection[str]) -> bool:
    """Put a save of another program in the place of what we wrote; says whether that is what was there."""
    with suppress(NoteNotWritable, OSError):
        pair.check(ours)
        return pair.exchange() and pair.discard(ours)
    return False


def is_left_over(path: Path, temporary_name: str) -> bool:
    """Whether something is beside a file that `clear_leftover` would clear."""
    return os.path.lexists(Path(os.path.realpath(path)).parent / temporary_name)


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
    # A new file would be ours, and its owner might not even be able to read it.
    if os.geteuid() not in (0, status.st_uid):
        raise NoteNotWritable("belongs to another user")
    return target, status


@dataclass(frozen=True, slots=True)
class _Pair:
    """A file and another one beside it, by their names in a folder that is held open: it may be renamed meanwhile.

    Attributes:
        folder: A descriptor of the folder.
        name: Of the file.
        temporary: Name of the other one.
    """

    folder: int
    name: str
    temporary: str

    @property
    def part(self) -> str:
        """Name of the other one until it is whole: nobody else has seen what is there."""
        return f"{self.temporary}.part"

    def make(self, data: bytes, status: os.stat_result) -> None:
        """Make the other file, alike in all but what it holds."""
        descriptor = os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self.folder)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - from a descriptor
                file.write(data)
                file.flush()
                with self._opened(self.name) as source:
                    _make_alike(descriptor, source, status)
                os.fsync(descriptor)
            os.rename(self.part, self.temporary, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        except BaseException:
            self.delete_part()
            raise

    def delete_part(self) -> None:
        with suppress(OSError):  # mostly it is not there
            os.unlink(self.part, dir_fd=self.folder)

    def exchange(self) -> bool:
        """Have the two change places in one step; says whether the system and the file system can do that."""
        import ctypes

        renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if renameat2 is None:
            return False
        temporary, name = os.fsencode(self.temporary), os.fsencode(self.name)
        if renameat2(self.folder, temporary, self.folder, name, _RENAME_EXCHANGE) == 0:
            return True
        number = ctypes.get_errno()
        if number in _NO_EXCHANGE:
            return False
        raise OSError(number, os.strerror(number))

    def rename(self) -> None:
        """Put the other file in the place of the file."""
        os.rename(self.temporary, self.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)

    def keep(self) -> str:
        """Give the other file a name that people see; returns it."""
        kept = f"{self.name[:_MOST_CHARS_OF_KEPT]}.kept-{self.temporary[-8:]}"
        os.rename(self.temporary, kept, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        return kept

    def check(self, ours: Collection[str], status: os.stat_result | None = None) -> None:
        """See whether the file is what it should be; takes what `discard` takes.

        Raises:
            NoteNotWritable: It is not.
            OSError: It cannot be read.
        """
        with self._opened(self.name) as descriptor:
            if not _is_like(descriptor, ours, status):
                raise NoteNotWritable("changed since it was read")

    def discard(self, ours: Collection[str], status: os.stat_result | None = None) -> bool:
        """Delete the other file, but only if no other program has written into it, or is about to.

        Args:
            ours: What it may hold, each as `digest` gives it.
            status: Of the file that it has to be, where that matters.

        Returns:
            Whether it was deleted, or is not there.
        """
        try:
            with self._opened(self.temporary) as descriptor:
                # In this order: what is open for writing nowhere stays as it is, under a name that only we know.
                if _is_open_for_writing(descriptor) or not _is_like(descriptor, ours, status):
                    return False
        except FileNotFoundError:
            return True
        except OSError:
            return False
        with suppress(OSError):  # then it stays for `clear_leftover`
            os.unlink(self.temporary, dir_fd=self.folder)
        return True

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        # Without O_NONBLOCK, opening a fifo that has taken the file's place would wait for ever.
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=self.folder)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


@contextmanager
def _pair(target: Path, temporary_name: str) -> Iterator[_Pair]:
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _Pair(folder, target.name, temporary_name)
    finally:
        os.close(folder)


def _is_like(descriptor: int, ours: Collection[str], status: os.stat_result | None) -> bool:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or (status and _identity(found) != _identity(status)):
        return False
    with open(descriptor, "rb", closefd=False) as file:
        return digest(file.read()) in ours


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """What says that a file is still the one that it was, and that nobody has touched it."""
    return status.st_ino, status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_mtime_ns


def _is_open_for_writing(descriptor: int) -> bool:
    """Whether a process has a file open for writing; no, where the system does not say."""
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # The system gives a read lease only on a file that nobody can write into. Should one be about to open it, the
        # signal by which we learn of that would end the process; this one does not.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False


def _make_alike(descriptor: int, source: int, status: os.stat_result) -> None:
    """Give a new file all that another one has beside its content.

    Raises:
        NoteNotWritable: It cannot have all of it.
    """
    attributes = _attributes(source)
    with suppress(OSError):
        os.fchown(descriptor, status.st_uid, status.st_gid)
    for name in _attributes(descriptor).keys() - attributes.keys():  # an access list, which folders give to new files
        with suppress(OSError):
            os.removexattr(descriptor, name)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
    for name, value in attributes.items():
        with suppress(OSError):
            os.setxattr(descriptor, name, value)
    os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))
    made = os.fstat(descriptor)
    if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
        raise NoteNotWritable("its owner and group cannot be kept")
    if made.st_mode != status.st_mode or _that_matter(_attributes(descriptor)) != _that_matter(attributes):
        raise NoteNotWritable("its permissions and extended attributes cannot all be kept")


def _attributes(descriptor: int) -> dict[str, bytes]:
    """The extended attributes of a file; access lists are among them."""
    if not hasattr(os, "listxattr"):
        return {}
    try:
        return {name: os.getxattr(descriptor, name) for name in os.listxattr(descriptor)}
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise


def _that_matter(attributes: dict[str, bytes]) -> dict[str, bytes]:
    """Without labels, which the system gives to every new file itself."""
    return {name: value for name, value in attributes.items() if not name.startswith("security.")}
