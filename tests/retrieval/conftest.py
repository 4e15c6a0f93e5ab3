import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from notesearch.library.index import sync_index
from notesearch.retrieval import Searcher
from notesearch.settings import Settings
from notesearch.storage import IndexReader

# A busy machine is no defect.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

MakeReader = Callable[[Mapping[str, str]], IndexReader]
MakeSearcher = Callable[[Mapping[str, str]], Searcher]


@pytest.fixture
def make_reader(tmp_path: Path, fake_encoder) -> Iterator[MakeReader]:
    """Indexes notes, given as names and texts, with the fake encoder; each call adds to or changes what is there."""
    folder = tmp_path / "notes"
    with ExitStack() as stack:

        def make(notes: Mapping[str, str]) -> IndexReader:
            for name, text in notes.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text, encoding="utf-8")
                # A file that was only just written is read again, lest it be written once more within a tick.
                a_minute_ago = time.time() - 60
                os.utime(folder / name, (a_minute_ago, a_minute_ago))
            sync_index(Settings(tmp_path / "index"), [folder])
            return stack.enter_context(closing(IndexReader(tmp_path / "index")))

        yield make


@pytest.fixture
def make_searcher(make_reader: MakeReader, fake_encoder) -> MakeSearcher:
    """As `make_reader`, with a searcher on top."""
    return lambda notes: Searcher(make_reader(notes), lambda: fake_encoder)
