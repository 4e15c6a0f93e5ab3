from datetime import datetime, timedelta, timezone

import pytest

from notesearch.errors import UsageError
from notesearch.library.dates import parse_date

NOW = datetime(2024, 3, 31, 15, 30, 20)
END = (23, 59, 59, 999999)


@pytest.mark.parametrize(
    ("written", "start", "end"),
    [
        ("2023", datetime(2023, 1, 1), datetime(2023, 12, 31, *END)),
        ("2024-02", datetime(2024, 2, 1), datetime(2024, 2, 29, *END)),
        ("2023-2", datetime(2023, 2, 1), datetime(2023, 2, 28, *END)),
        ("2023-12", datetime(2023, 12, 1), datetime(2023, 12, 31, *END)),
        ("2024-05-17", datetime(2024, 5, 17), datetime(2024, 5, 17, *END)),
        ("2024-5-7", datetime(2024, 5, 7), datetime(2024, 5, 7, *END)),
        ("today", datetime(2024, 3, 31), datetime(2024, 3, 31, *END)),
        (" Yesterday ", datetime(2024, 3, 30), datetime(2024, 3, 30, *END)),
        ("2 weeks ago", datetime(2024, 3, 17), datetime(2024, 3, 17, *END)),
        ("2  WEEKS  ago", datetime(2024, 3, 17), datetime(2024, 3, 17, *END)),
        ("2w", datetime(2024, 3, 17), datetime(2024, 3, 17, *END)),
        ("a week ago", datetime(2024, 3, 24), datetime(2024, 3, 24, *END)),
        ("3 days", datetime(2024, 3, 28), datetime(2024, 3, 28, *END)),
        ("1 month ago", datetime(2024, 2, 29), datetime(2024, 2, 29, *END)),
        ("13 months ago", datetime(2023, 2, 28), datetime(2023, 2, 28, *END)),
        ("3 months ago", datetime(2023, 12, 31), datetime(2023, 12, 31, *END)),
        ("one year ago", datetime(2023, 3, 31), datetime(2023, 3, 31, *END)),
        ("10y", datetime(2014, 3, 31), datetime(2014, 3, 31, *END)),
        ("an hour ago", datetime(2024, 3, 31, 14, 30, 20), datetime(2024, 3, 31, 14, 30, 20)),
        ("90 min", datetime(2024, 3, 31, 14, 0, 20), datetime(2024, 3, 31, 14, 0, 20)),
        ("Day before yesterday", datetime(2024, 3, 29), datetime(2024, 3, 29, *END)),
        ("two weeks ago", datetime(2024, 3, 17), datetime(2024, 3, 17, *END)),
        ("last 3 days", datetime(2024, 3, 28), datetime(2024, 3, 31, *END)),
        ("this week", datetime(2024, 3, 25), datetime(2024, 3, 31, *END)),
        ("last week", datetime(2024, 3, 18), datetime(2024, 3, 24, *END)),
        ("last month", datetime(2024, 2, 1), datetime(2024, 2, 29, *END)),
        ("past quarter", datetime(2023, 10, 1), datetime(2023, 12, 31, *END)),
        ("this year", datetime(2024, 1, 1), datetime(2024, 12, 31, *END)),
        ("monday", datetime(2024, 3, 25), datetime(2024, 3, 25, *END)),
        ("sunday", datetime(2024, 3, 31), datetime(2024, 3, 31, *END)),
        ("last Sunday", datetime(2024, 3, 24), datetime(2024, 3, 24, *END)),
        ("march", datetime(2024, 3, 1), datetime(2024, 3, 31, *END)),
        ("last march", datetime(2023, 3, 1), datetime(2023, 3, 31, *END)),
        ("in April", datetime(2023, 4, 1), datetime(2023, 4, 30, *END)),
        ("jan. 2025", datetime(2025, 1, 1), datetime(2025, 1, 31, *END)),
        ("2025 january", datetime(2025, 1, 1), datetime(2025, 1, 31, *END)),
        ("17 May 2023", datetime(2023, 5, 17), datetime(2023, 5, 17, *END)),
        ("May 17th, 2023", datetime(2023, 5, 17), datetime(2023, 5, 17, *END)),
        ("24 dec", datetime(2023, 12, 24), datetime(2023, 12, 24, *END)),
        ("2023/05/17", datetime(2023, 5, 17), datetime(2023, 5, 17, *END)),
        ("17.5.2023", datetime(2023, 5, 17), datetime(2023, 5, 17, *END)),
        ("2023-W20", datetime(2023, 5, 15), datetime(2023, 5, 21, *END)),
        ("q1 2023", datetime(2023, 1, 1), datetime(2023, 3, 31, *END)),
        ("2024-05-17T08:30", datetime(2024, 5, 17, 8, 30), datetime(2024, 5, 17, 8, 30)),
        ("2024-05-17 08:30:15", datetime(2024, 5, 17, 8, 30, 15), datetime(2024, 5, 17, 8, 30, 15)),
    ],
)
def test_dates_as_people_write_them(written, start, end):
    assert parse_date(written, now=NOW, end=False) == start
    assert parse_date(written, now=NOW, end=True) == end


def test_a_moment_with_a_time_zone_becomes_local_time():
    elsewhere = datetime(2024, 5, 17, 8, 30, tzinfo=timezone(timedelta(hours=9)))
    found = parse_date("2024-05-17T08:30+09:00", now=NOW, end=False)
    assert found.tzinfo is None
    assert found.astimezone() == elsewhere


@pytest.mark.parametrize(
    "written",
    [
        "nonsense",
        "",
        "2024-13",
        "2024-02-30",
        "0000",
        "24-05-17",
        "next week",
        "-2 weeks ago",
        "weeks ago",
        "3/5/2024",
        "2024 q5",
        "32 may 2024",
        "1.5 weeks ago",
        "9999999999 days ago",
        "99999 years ago",
        f"{'9' * 5000} weeks ago",
        "0001-01-01T00:00+14:00",
        "9999-12-31T23:59-12:00",
    ],
)
def test_an_unreadable_date_is_refused(written):
    with pytest.raises(UsageError, match="is not a date") as caught:
        parse_date(written, now=NOW, end=False)
    assert "2 weeks ago" in caught.value.hint


@pytest.mark.parametrize("written", ["9999-12", "9999-12-31", "9999"])
def test_the_last_month_that_there_is_has_an_end(written):
    assert parse_date(written, now=NOW, end=True) == datetime(9999, 12, 31, *END)
