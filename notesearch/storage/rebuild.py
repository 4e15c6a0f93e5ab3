"""Making an index anew while the old one goes on serving searches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from notesearch.errors import IndexDamaged, IndexTooNew
from notesearch.storage.database import delete_file, open_for_writing
from notesearch.storage.reader import Fingerprint
from notesearch.storage.writer import IndexWriter


def rebuilt_file(index_dir: Path) -> Path:
    """The database that a rebuild fills."""
    return index_dir / "rebuilt.db"


@contextmanager
def rebuilding(index: IndexWriter, fingerprint: Fingerprint) -> Iterator[IndexWriter]:
    """Gives a writer of a new index that covers the same folders; in the end, it takes the place of the old one.

    Until then, searches find what the old one holds. A rebuild that was killed or failed is gone on with by the next.

    Args:
        index: The index, which holds the lock.
        fingerprint: What the new vectors depend on.

    Raises:
        StoreError: The new index cannot be written; the old one is as it was.
    """
    with _Rebuilt(index.index_dir, index.page_bytes(), fingerprint) as rebuilt:
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

    def __init__(self, index_dir: Path, page_bytes: int, fingerprint: Fingerprint) -> None:
        self.index_dir = index_dir
        self._database = rebuilt_file(index_dir)
        self._open(page_bytes)
        if self.fingerprint() not in (None, fingerprint):
            self._connection.close()
            _delete(self._database)
            self._open(page_bytes)
        if self.fingerprint() is None:
            with self.transaction():
                self.set_fingerprint(fingerprint)

    def close(self) -> None:
        """Closes the database."""
        self._close_database()

    def _open(self, page_bytes: int) -> None:
        try:
            self._connection = open_for_writing(self._database, page_bytes)
        except (IndexDamaged, IndexTooNew):
            _delete(self._database)
            self._connection = open_for_writing(self._database, page_bytes)
