"""Files and folders that are for their owner only, that appear whole or not at all, and files of JSON lines."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

from notesearch.errors import UsageError

# A file may be written again within one tick of its file system's clock, of 2 s on FAT, and have the times it had.
_TICK_NS = 2_000_000_000
_LARGEST_INTEGER = 2**63 - 1  # of SQLite


class Stamp(NamedTuple):
    """Tells whether a file is as it was, without reading it: by what git compares too.

    Where two stamps are equal, the content is. Where they are not, only reading the file tells: a `chmod` changes the
    one and not the other, and some file systems number their files anew with every mount.

    Attributes:
        size: Bytes.
        mtime_ns: Time of the last change of the content, nanoseconds since the epoch; programs may set it at will.
        ctime_ns: Time of the last change of anything about the file; only the system sets it.
        inode: The file's number in its file system; negative where the file may change and keep its times.
    """

    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """The stamp of a file, within what SQLite can store."""
        numbers = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino & _LARGEST_INTEGER)
        return cls(*(max(-_LARGEST_INTEGER, min(number, _LARGEST_INTEGER)) for number in numbers))

    def settled(self, read_ns: int) -> Self:
        """The stamp to keep of a file that is read: one that no stamp is equal to where the file has just changed.

        Args:
            read_ns: When the reading began.
        """
        return self if read_ns - max(self.mtime_ns, self.ctime_ns) > _TICK_NS else self._replace(inode=-1)


def make_private_folder(folder: Path) -> None:
    """Makes a folder for its owner only, whatever the umask, and likewise the folders above it that are missing.

    Raises:
        OSError: It cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)


@contextmanager
def working_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Gives an empty private folder to work in, and deletes it at the end.

    What processes that were killed have left behind is deleted first: each holds a lock on its folder, which the
    system drops with the process.

    Args:
        parent: Where it is to be; made if it is missing.
        prefix: What the names of all such folders begin with.

    Raises:
        OSError: It cannot be made.
    """
    import tempfile  # 2 ms, which a search need not wait for

    make_private_folder(parent)
    # While the parent is locked, no other process is about to lock a folder: one without a lock has no owner.
    with _locked(parent, wait=True):
        for left in parent.glob(f"{prefix}*"):
            # What is locked, or cannot be deleted, is left for another time: it does no harm.
            with suppress(OSError), _locked(left, wait=False):
                shutil.rmtree(left)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        folder.chmod(0o700)
        lock = _lock(folder, wait=False)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[None]:
    lock = _lock(folder, wait=wait)
    try:
        yield
    finally:
        os.close(lock)


def _lock(folder: Path, *, wait: bool) -> int:
    """Locks a folder until the descriptor is closed; raises BlockingIOError where another process has it locked."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_locked(path: Path) -> bool:
    """Says whether another process holds a lock on a file or a folder; needs no right to write.

    Raises:
        OSError: It may not be read.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def private_opener(name: str, flags: int) -> int:
    """For `open`: a file that is made is for its owner only."""
    return os.open(name, flags, 0o600)


def sync(path: Path) -> None:
    """Sees a file, or the names in a folder, on the disk: it outlives a power cut.

    Raises:
        OSError: It cannot be done.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path, temporary: Path | None = None) -> Iterator[Path]:
    """Gives a temporary name; what is written there takes the place of a file, private, and whole or not at all.

    Args:
        path: The file.
        temporary: The name, in the same folder; by default that of the file with `.new` added. What a killed process
            has left there is overwritten by the next one.

    Raises:
        OSError: It cannot be written; the file is as it was.
    """
    temporary = temporary or path.with_name(f"{path.name}.new")
    try:
        yield temporary
        temporary.chmod(0o600)
        sync(temporary)
        temporary.replace(path)
    finally:
        with suppress(OSError):  # it is gone where all went well
            temporary.unlink()
    with suppress(OSError):  # the file is there; that a file system cannot sync folders does not undo it
        sync(path.parent)


def write_whole(path: Path, text: str, temporary: Path | None = None) -> None:
    """Writes a text in UTF-8; see `replacing`."""
    with (
        replacing(path, temporary) as new,
        open(new, "w", encoding="utf-8", errors="replace", opener=private_opener) as file,
    ):
        file.write(text)


def seal(folder: Path) -> None:
    """Makes all that is in a folder private, and sees it on the disk: what is there after a crash is whole.

    Raises:
        OSError: It cannot be done.
    """
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        sync(path)


def put_folder(made: Path, target: Path) -> None:
    """Seals a folder and puts it in the place of another one, if there is one.

    A process that is killed in between leaves the other one as `former_folder`.

    Raises:
        OSError: It cannot be done; the other one is where it was.
    """
    seal(made)
    former = former_folder(target)
    if target.exists():
        shutil.rmtree(former, ignore_errors=True)  # left by a process that was killed
        target.rename(former)
    try:
        made.rename(target)
    except BaseException:
        with suppress(FileNotFoundError):
            former.rename(target)
        raise
    shutil.rmtree(former, ignore_errors=True)


def former_folder(target: Path) -> Path:
    """Where a folder is while another one is put in its place."""
    return target.with_name(f".former-{target.name}")


# Larger than any file that a person writes by hand.
_MOST_TEXT_BYTES = 10_000_000
# Where a shell hands over what another program writes.
_HANDED_OVER = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")


def open_regular(path: Path) -> BinaryIO:
    """Opens a file to be read. What is no file (a pipe, a device) might never end, and is refused.

    Raises:
        OSError: It cannot be opened, or is no file.
    """
    handed_over = str(path).startswith(_HANDED_OVER)
    # Without O_NONBLOCK, opening a pipe would wait for whoever writes to it.
    descriptor = os.open(path, os.O_RDONLY if handed_over else os.O_RDONLY | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode) or not (stat.S_ISREG(mode) or handed_over):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "a folder" if stat.S_ISDIR(mode) else "not a regular file", str(path))
    return open(descriptor, "rb")  # noqa: PTH123 - from a descriptor


def read_text(path: Path) -> str:
    """Reads a text in UTF-8 that a person has written by hand; see `open_regular`.

    Raises:
        OSError: It cannot be read, is no file, or is too large.
        UnicodeDecodeError: It is not UTF-8.
    """
    with open_regular(path) as file:
        data = file.read(_MOST_TEXT_BYTES + 1)
    if len(data) > _MOST_TEXT_BYTES:
        raise OSError(errno.EFBIG, f"larger than {_MOST_TEXT_BYTES:,} bytes", str(path))
    return data.decode("utf-8-sig")  # some editors begin a file with a byte order mark


def hash_of(data: bytes) -> bytes:
    """BLAKE2b-128: tells the contents of files, or passages, apart."""
    return hashlib.blake2b(data, digest_size=16).digest()


def read_lines(path: Path, hint: str, data: bytes | None = None) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not blank, with their numbers; or those of data that did not come from one.

    Raises:
        UsageError: The file cannot be read, or is not in UTF-8; with this hint.
    """
    # Not splitlines(): a text may hold U+2028, which ends no line of JSON.
    try:
        with TextIOWrapper(open_regular(path) if data is None else BytesIO(data), encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: it is not UTF-8", hint) from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}", hint) from error


def read_jsonl(path: Path, keys: tuple[str, ...], hint: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON lines, with the numbers of their lines.

    Raises:
        UsageError: The file cannot be read, or a line is not an object with these keys; with this hint.
    """
    for number, line in read_lines(path, hint):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}, line {number} is not JSON: {error}", hint) from error
        if not isinstance(record, dict) or any(key not in record for key in keys):
            raise UsageError(f"{path}, line {number} lacks {' or '.join(keys)}", hint)
        yield number, record


def read_own_jsonl(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The lines of a file that `append_jsonl` writes; empty where there is none.

    Returns:
        Numbers of lines, and the objects on them; an empty one where a line is no object: half of one, of a process
        that was killed.

    Raises:
        OSError: It cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return []
    return [(number, _object_on(line)) for number, line in enumerate(lines, start=1) if line]


def _object_on(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def append_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Adds lines to a private file, which is made if it is missing, as are the folders above it.

    Raises:
        OSError: It cannot be written.
    """
    data = "".join(json.dumps(record) + "\n" for record in records).encode()
    make_private_folder(path.parent)
    with open(path, "ab+", opener=private_opener) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        is_cut_off = size > 0 and file.read() != b"\n"  # by a process that was killed
        file.write(b"\n" * is_cut_off + data)
