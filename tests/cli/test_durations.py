from datetime import timedelta

import pytest

from notesearch.cli.options import parse_duration
from notesearch.errors import UsageError


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0", timedelta()),
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        (" 24 H ", timedelta(days=1)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
    ],
)
def test_spans(written: str, expected: timedelta) -> None:
    assert parse_duration(written) == expected


@pytest.mark.parametrize("written", ["", "10", "m", "-1h", "1.5h", "1h30m", "soon", "1y", "9999999d"])
def test_what_is_none(written: str) -> None:
    with pytest.raises(UsageError, match="no span of time"):
        parse_duration(written)
