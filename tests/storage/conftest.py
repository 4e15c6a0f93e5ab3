import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from notesearch.storage.writer import IndexWriter

from .building import FINGERPRINT


@pytest.fixture
def index_dir(tmp_path: Path) -> Path:
    """Where an index can be made."""
    return tmp_path / "index"


@pytest.fixture
def writer(index_dir: Path) -> Iterator[IndexWriter]:
    """An empty index, opened for writing."""
    with IndexWriter(index_dir) as opened:
        with opened.transaction():
            opened.set_fingerprint(FINGERPRINT)
        yield opened


@pytest.fixture
def public_dir() -> Iterator[Path]:
    """A directory that another user can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory
