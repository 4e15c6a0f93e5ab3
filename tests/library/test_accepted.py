import stat

import pytest

from notesearch.errors import StoreError
from notesearch.library.tune import Accepted, accepted_file, add_accepted, read_accepted

FIRST = Accepted("nothing lasts", "/v/impermanence.md", 12)
SECOND = Accepted("Übung \u2028 \ud800", "/v/b.md")


def test_what_was_accepted_is_remembered_once(tmp_path):
    index_dir = tmp_path / "not" / "there"
    assert read_accepted(index_dir) == ([], [])
    add_accepted(index_dir, [FIRST])
    add_accepted(index_dir, [SECOND, FIRST])
    assert read_accepted(index_dir) == ([FIRST, SECOND], [])
    assert stat.S_IMODE(accepted_file(index_dir).stat().st_mode) == 0o600
    assert stat.S_IMODE(index_dir.stat().st_mode) == 0o700


def test_a_line_cut_off_by_a_crash_is_named_and_spoils_no_other(tmp_path):
    add_accepted(tmp_path, [FIRST])
    with accepted_file(tmp_path).open("a") as file:
        file.write('{"query": "half')
    add_accepted(tmp_path, [SECOND])
    found, skipped = read_accepted(tmp_path)
    assert found == [FIRST, SECOND]
    assert [entry.path for entry in skipped] == [f"{accepted_file(tmp_path)}, line 2"]


@pytest.mark.parametrize("line", ["[]", "1", '{"query": "a"}', '{"query": "a", "path": 1, "line": 2}', "[" * 100_000])
def test_lines_that_somebody_else_wrote_are_named(tmp_path, line):
    accepted_file(tmp_path).write_text(line + "\n")
    found, skipped = read_accepted(tmp_path)
    assert (found, len(skipped)) == ([], 1)


def test_where_nothing_can_be_written_that_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        add_accepted(tmp_path / "file" / "index", [FIRST])
    accepted_file(tmp_path).mkdir()
    with pytest.raises(StoreError, match="cannot read"):
        read_accepted(tmp_path)
