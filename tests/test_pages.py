import stat

import pytest

from notesearch.errors import UsageError
from notesearch.pages import check_writable, write_page


def test_a_page_is_for_its_owner_only_and_replaces_the_last_one(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    path.chmod(0o644)
    check_writable(path)
    assert path.read_text() == "old"
    write_page(path, "new \ud800")
    assert path.read_text() == "new ?"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("name", ["missing/report.html", ".", "x" * 300])
@pytest.mark.parametrize("write", [check_writable, lambda path: write_page(path, "text")])
def test_a_file_that_cannot_be_written_is_told_and_nothing_is_left(tmp_path, write, name):
    with pytest.raises(UsageError, match="cannot write") as caught:
        write(tmp_path / name)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []
