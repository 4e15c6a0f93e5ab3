from datetime import timedelta

import pytest

from notesearch.cli.options import parse_duration, parse_size, share_of
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
def test_durations_as_people_write_them(written: str, expected: timedelta) -> None:
    assert parse_duration(written) == expected


@pytest.mark.parametrize("written", ["", "10", "m", "-1h", "1.5h", "1h30m", "soon", "1y", "9999999d"])
def test_an_unreadable_duration_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match="is not a duration"):
        parse_duration(written)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2000000", 2_000_000),
        ("2MB", 2_000_000),
        (" 500 K ", 500_000),
        ("1.5 GiB", 1_610_612_736),
        ("64ki", 65_536),
        ("7 bytes", 7),
    ],
)
def test_sizes_as_people_write_them(written: str, expected: int) -> None:
    assert parse_size(written) == expected


@pytest.mark.parametrize("written", ["", "0", "-1", "MB", "2 apples", "0.1", "9" * 400, "1,5 MB"])
def test_an_unreadable_size_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match="is not a size"):
        parse_size(written)


def test_shares_with_and_without_a_percent_sign() -> None:
    assert [share_of(0.1)(written) for written in ("0.8", ".8", "80%", "80 %", "1", "100%", "0.1")] == [
        *([0.8] * 4),
        *(1, 1, 0.1),
    ]
    for written in ("80", "8%", "0", "101%", "-1", "x", "", "nan"):
        with pytest.raises(UsageError, match=r"is not from 0\.1 to 1"):
            share_of(0.1)(written)
