"""Making an index anew while the old one goes on serving searches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from notesearch.errors import IndexDamaged, StoreError
from notesearch.storage.database import delete_file, open_for_writing
from notesearch.storage.reader import Fingerprint
from notesearch.storage.writer import IndexWriter


def rebuilt_file(index_dir: Path) -> Path:
    """The database that a rebuild fills."""
    return index_dir / "rebuilt.db"


@contextmanager
def rebuilding(index: IndexWriter, fingerprint: Fingerprint, *, reuse: bool = False) -> Iterator[IndexWriter]:
    """Gives a writer of a new index that covers the same folders; in the end, it takes the place of the old one.

    Until then, searches find what the old one holds. The next rebuild continues one that was killed or failed.

    Args:
        index: The index, which holds the lock; another version of notesearch may have made it.
        fingerprint: What the new vectors depend on.
        reuse: Whether to take over vectors and token codes of the old index rather than encode everything again: only
            where they depend on the same.

    Raises:
        StoreError: The new index cannot be written; the old one is as it was.
    """
    with _Rebuilt(index, fingerprint, reuse=reuse) as rebuilt:
        _cover_the_same(rebuilt, index)
        yield rebuilt
        index.take_over(rebuilt)
    forget_rebuilt(index)


def forget_rebuilt(index: IndexWriter) -> None:
    """Deletes what a rebuild left that was killed."""
    _delete(rebuilt_file(index.index_dir))


def _delete(path: Path) -> None:
    # The database first: SQLite throws away what is left of one that is gone, but would read one that lacks the rest.
    for suffix in ("", "-journal", "-wal", "-shm"):
        delete_file(path.with_name(path.name + suffix))


def _cover_the_same(rebuilt: IndexWriter, index: IndexWriter) -> None:
    wanted = index.coverage().folders
    with rebuilt.transaction():
        for folder_id, folder in rebuilt.folders():
            if folder not in wanted:
                rebuilt.remove_folder(folder_id)
        rebuilt.cover(wanted)


class _Rebuilt(IndexWriter):
    """The writer of the new index; the old one's holds the lock."""

    def __init__(self, old: IndexWriter, fingerprint: Fingerprint, *, reuse: bool) -> None:
        self.index_dir = old.index_dir
        self._old = old if reuse else None
        self._database = rebuilt_file(old.index_dir)
        self._open(old.page_bytes())
        if self.is_outdated() or self.fingerprint() not in (None, fingerprint):
            self._connection.close()
            _delete(self._database)
            self._open(old.page_bytes())
        if self.fingerprint() is None:
            with self.transaction():
                self.set_fingerprint(fingerprint)

    def close(self) -> None:
        """Closes the database."""
        self._close_database()

    def known_passages(self, passage_hashes: Iterable[bytes]) -> dict[bytes, tuple[bytes, bytes]]:
        """See `IndexWriter`; those of the old index are known too, where they are taken over."""
        wanted = set(passage_hashes)
        known = super().known_passages(wanted)
        if self._old:
            with suppress(StoreError):  # then they are encoded again
                known |= self._old.known_passages(wanted - known.keys())
        return known

    def _open(self, page_bytes: int) -> None:
        try:
            self._connection = open_for_writing(self._database, page_bytes)
        except IndexDamaged:
            _delete(self._database)
            self._connection = open_for_writing(self._database, page_bytes)
