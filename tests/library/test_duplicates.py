from pathlib import Path

import pytest

from notesearch.errors import IndexMissing, UsageError
from notesearch.library.index import sync_index
from notesearch.library.similar import find_duplicates
from notesearch.settings import Settings

SHARED = " ".join(f"word{number}" for number in range(40))


@pytest.fixture
def index_dir(tmp_path: Path, fake_encoder) -> Path:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.md").write_text(SHARED)
    (notes / "b.md").write_text(f"{SHARED} and some {' '.join(f'other{number}' for number in range(40))}")
    sync_index(Settings(tmp_path / "index"), [notes])
    return tmp_path / "index"


def test_notes_and_passages(index_dir):
    for passages in (False, True):
        (group,) = find_duplicates(passages=passages, index_dir=index_dir).groups
        assert {Path(place.path).name for place in (group, *group.copies)} == {"a.md", "b.md"}
        assert group.words == (40 if passages else 82)


@pytest.mark.parametrize("threshold", [0.0, 1.01, float("nan")])
def test_a_threshold_that_makes_no_sense(index_dir, threshold):
    with pytest.raises(UsageError):
        find_duplicates(threshold=threshold, index_dir=index_dir)


def test_no_index(tmp_path):
    with pytest.raises(IndexMissing):
        find_duplicates(index_dir=tmp_path)
