from datetime import datetime

import pytest

from notesearch.errors import UsageError
from notesearch.library.query_line import QueryLine, parse_query_line
from notesearch.records import HeldWords

NOW = datetime(2024, 3, 31)


def parse(typed: str) -> QueryLine:
    return parse_query_line(typed, now=NOW)


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("bread -cheese", QueryLine("bread", held=(HeldWords("cheese", excluded=True),))),
        ('-"sour dough" bread', QueryLine("bread", held=(HeldWords("sour dough", exact=True, excluded=True),))),
        ("c -c++", QueryLine("c", held=(HeldWords("c++", exact=True, excluded=True),))),
        ("jobs -uk, please", QueryLine("jobs please", held=(HeldWords("uk", excluded=True),))),
        ("bread −cheese", QueryLine("bread −cheese")),
        ('soup tag:"two words" -tag:x', QueryLine("soup", tags=("two words",), not_tags=("x",))),
        ("path:work soup -path:'x", QueryLine("soup", paths=("work",), not_paths=("'x",))),
        ("plan title:big", QueryLine("plan", held=(HeldWords("big", in_title=True),))),
        ("plan since:2025", QueryLine("plan", since=datetime(2025, 1, 1))),
        ('plan since:"last week"', QueryLine("plan", since=datetime(2024, 3, 18))),
        ("plan since:last-week", QueryLine("plan", since=datetime(2024, 3, 18))),
        ("bread -- -cheese tag:x", QueryLine("bread -cheese tag:x")),
        ("tag:recipe -soup", QueryLine("recipe", tags=("recipe",), held=(HeldWords("soup", excluded=True),))),
        ("“big plan” -“no no”", QueryLine('"big plan"', held=(HeldWords("no no", exact=True, excluded=True),))),
    ],
)
def test_exclusions_and_fields(typed: str, line: QueryLine) -> None:
    assert parse(typed) == line


@pytest.mark.parametrize(
    "typed",
    [
        "what does git log -p do",
        "rm -rf",
        "find . -name x -type f",
        "state-of-the-art -5 - item",
        "std::vector https://x.y/z 12:30 note: this foo:bar title: how to",
        '"-foo tag:x" bar',
        "foo -bar- baz",
        "--force",
        'a -"" b',
        "tag:",
        "one\ntwo -three tag:x",
        "word " * 50 + "-x tag:y",
    ],
)
def test_what_is_no_exclusion_and_no_field_is_text(typed: str) -> None:
    assert parse(typed) == QueryLine(typed)


@pytest.mark.parametrize("typed", ["-foo", "-foo -bar", "-tag:x", "since:blah soup", "-since:2024 soup"])
def test_what_looked_like_one_is_text_and_said(typed: str) -> None:
    line = parse(typed)
    assert line.text == typed and len(line.remarks) == 1
    assert line == QueryLine(typed, remarks=line.remarks)


def test_dates_alone_are_no_query() -> None:
    with pytest.raises(UsageError, match="dates alone"):
        parse("since:2025")


def test_filters_of_the_line_and_of_options_all_hold() -> None:
    line = parse("soup tag:b path:y since:2024-02 until:2024-03")
    options = {"tags": ["a"], "path": "x", "since": datetime(2023, 1, 1), "until": datetime(2024, 2, 1), "limit": 3}
    assert line.arguments(options) == {
        "limit": 3,
        "tags": ["a", "b"],
        "not_tags": [],
        "path": ["x", "y"],
        "not_paths": [],
        "since": datetime(2024, 2, 1),
        "until": datetime(2024, 2, 1),
        "held": [],
    }
