"""An index kept open for many searches: the model, the graph and all embeddings are loaded once.

A command searches once and is gone; a server goes on for days, while others write to the index.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from notesearch.encoders import Encoder
from notesearch.errors import NoteUnreadable, StoreError, UsageError
from notesearch.files import Stamp
from notesearch.library.search import Index, concepts_in, open_encoder_of
from notesearch.settings import Settings
from notesearch.storage import Fingerprint, IndexReader, Reader
from notesearch.storage.database import blame_damage, database_file
from notesearch.storage.warm_reader import GRAPH_FROM, WarmReader


class WarmIndex:
    """The index of some settings, opened when it is first needed, and anew whenever it has changed. For one thread.

    Args:
        settings: Which index.
        graph_from: See `WarmReader`.
    """

    def __init__(self, settings: Settings, *, graph_from: int = GRAPH_FROM) -> None:
        self._settings = settings
        self._graph_from = graph_from
        self._reader: WarmReader | None = None
        self._index: Index | None = None
        self._encoder: tuple[Fingerprint, Encoder] | None = None
        self._concepts_stamp: Stamp | None = None

    @contextmanager
    def reading(self) -> Iterator[tuple[Index, IndexReader]]:
        """Gives the index, and the reader that it is searched through: one state of it, the newest.

        Raises:
            IndexMissing: Nothing has been indexed there, or not yet.
            SettingsError: Something is wrong in the file of concepts.
            StoreError: The index cannot be read.
        """
        try:
            index, reader = self._newest()
            yield index, reader
            reader.rest()
        except (UsageError, NoteUnreadable):  # the index did nothing wrong
            if self._reader:
                self._reader.rest()
            raise
        except BaseException as error:
            self.close()  # whatever was wrong with it or its model, the next search begins anew
            blame_damage(database_file(self._settings.index_dir), error)
            raise

    def close(self) -> None:
        """Closes the index; the model stays loaded."""
        if self._index:
            self._index.close()
        self._index = self._reader = None

    def _newest(self) -> tuple[Index, WarmReader]:
        stamp = _stamp(self._settings.concepts)
        if self._index and self._reader:
            with suppress(StoreError):  # what is wrong, opening it anew will say
                if stamp == self._concepts_stamp and self._reader.is_current():
                    return self._index, self._reader
            self.close()
        concepts = concepts_in(self._settings)
        self._concepts_stamp = stamp
        self._reader = WarmReader(self._settings.index_dir, graph_from=self._graph_from)
        self._index = Index(self._reader, concepts=concepts, encoder_of=self._encoder_of)
        return self._index, self._reader

    def _encoder_of(self, reader: Reader) -> Encoder:
        if self._encoder is None or self._encoder[0] != reader.fingerprint:
            self._encoder = reader.fingerprint, open_encoder_of(reader)
        return self._encoder[1]


def _stamp(path: Path | None) -> Stamp | None:
    with suppress(OSError):
        return Stamp.of(path.stat()) if path else None
    return None
