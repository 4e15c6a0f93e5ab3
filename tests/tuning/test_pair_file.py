import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.errors import UsageError
from notesearch.tuning.pair_file import read_pair_file


def write(tmp_path, *lines):
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_reads_pairs_with_and_without_a_wrong_answer(tmp_path):
    pairs = read_pair_file(
        write(
            tmp_path,
            '{"query": " a ", "positive": "b", "other": 1}',
            "",
            '{"query":"c","positive":"d","negative":"e"}',
            '{"query":"f","positive":"g","negative":null}',
        )
    )
    assert [(pair.source, pair.query, pair.passage, pair.negative) for pair in pairs] == [
        ("file", "a", "b", ""),
        ("file", "c", "d", "e"),
        ("file", "f", "g", ""),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "null",
        "1",
        '{"query": "a"}',
        '{"query": "a", "positive": " "}',
        '{"query": 1, "positive": "b"}',
        "[" * 100_000,
    ],
)
def test_a_line_that_is_no_pair_is_refused(tmp_path, line):
    with pytest.raises(UsageError, match=r"line 2|is no query with"):
        read_pair_file(write(tmp_path, '{"query": "a", "positive": "b"}', line))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        read_pair_file(tmp_path / "missing")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot read"):
        read_pair_file(tmp_path / "binary")


@given(st.text(), st.text())
def test_any_texts_are_read_as_they_are_written(tmp_path_factory, query, positive):
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    file.write_text(json.dumps({"query": query, "positive": positive}), encoding="utf-8")
    try:
        (pair,) = read_pair_file(file)
    except UsageError:
        assert not query.strip() or not positive.strip()
    else:
        assert (pair.query, pair.passage) == (query.strip(), positive.strip())
