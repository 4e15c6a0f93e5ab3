"""The date of a note, through parse_note."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.notes import parse_note

MODIFIED = datetime(2024, 1, 2, 3, 4, 5)


def date_of(text: str, path: str = "/notes/a.md") -> tuple[datetime, tuple[str, ...]]:
    note = parse_note(Path(path), text, MODIFIED)
    return note.date, note.problems


def in_yaml(written: str, key: str = "created") -> tuple[datetime, tuple[str, ...]]:
    return date_of(f"---\n{key}: {written}\n---\nText")


def local(*parts: int) -> datetime:
    """A moment of UTC, in local time."""
    return datetime(*parts, tzinfo=UTC).astimezone().replace(tzinfo=None)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("1610122011", local(2021, 1, 8, 16, 6, 51)),
        ("1610122011530", local(2021, 1, 8, 16, 6, 51, 530_000)),
        ("1610122011530000", local(2021, 1, 8, 16, 6, 51, 530_000)),
        ("1610122011530000000", local(2021, 1, 8, 16, 6, 51, 530_000)),
        ("'1610122011530'", local(2021, 1, 8, 16, 6, 51, 530_000)),
        ("1610122011.53", local(2021, 1, 8, 16, 6, 51, 530_000)),
        ("946684800", local(2000, 1, 1)),
        ("946684800000", local(2000, 1, 1)),
        ("20210108", datetime(2021, 1, 8)),
        ("202101081530", datetime(2021, 1, 8, 15, 30)),
        ("20210108153000", datetime(2021, 1, 8, 15, 30)),
        ("20210108153000250", local(2021, 1, 8, 15, 30, 0, 250_000)),  # TiddlyWiki
        ("20210304T101112", datetime(2021, 3, 4, 10, 11, 12)),
        ("20210304T101112Z", local(2021, 3, 4, 10, 11, 12)),
        ("2021-03-04T10:11:12.345678901Z", local(2021, 3, 4, 10, 11, 12, 345_678)),
        ("2021-03-04 10:11:12Z", local(2021, 3, 4, 10, 11, 12)),
        ("2021-03-04T10:11:12+01:00", local(2021, 3, 4, 9, 11, 12)),
        ("2021-03-04 10:11 PM", datetime(2021, 3, 4, 22, 11)),
        ("2021-03-04 12:05 am", datetime(2021, 3, 4, 0, 5)),
        ("'[2021-03-04 Thu 10:11]'", datetime(2021, 3, 4, 10, 11)),
        ("<2021-03-04 Thu 10:00-11:00 +1w>", datetime(2021, 3, 4, 10)),
        ("2021.03.04", datetime(2021, 3, 4)),
        ("2021_03_04", datetime(2021, 3, 4)),
        ("2021-W09", datetime(2021, 3, 1)),
        ("2021-W09-4", datetime(2021, 3, 4)),
        ("2021-03", datetime(2021, 3, 1)),
        ("March 4, 2021 10:11 AM", datetime(2021, 3, 4, 10, 11)),
        ("Mar 4th, 2021", datetime(2021, 3, 4)),
        ("4 March 2021", datetime(2021, 3, 4)),
        ("4-Mar-2021", datetime(2021, 3, 4)),
        ("Thursday, March 4, 2021 at 10:11:12 PM", datetime(2021, 3, 4, 22, 11, 12)),
        ("Thu, 4 Mar 2021 10:11:12 +0100", local(2021, 3, 4, 9, 11, 12)),
        ("Thu Mar  4 10:11:12 2021", datetime(2021, 3, 4, 10, 11, 12)),
        ("Thu Mar 04 2021 10:11:12 GMT+0100 (Central European Standard Time)", local(2021, 3, 4, 9, 11, 12)),
        ("'[[2021-03-04]]'", datetime(2021, 3, 4)),
        ("[[2021-03-04]]", datetime(2021, 3, 4)),
        ("'[[journal/2021-03-04|Thursday]]'", datetime(2021, 3, 4)),
        ("'[[Mar 4th, 2021]]'", datetime(2021, 3, 4)),
    ],
)
def test_dates_as_programs_write_them(written: str, date: datetime) -> None:
    assert in_yaml(written) == (date, ())


@pytest.mark.parametrize(
    "written",
    "2021|202103|0|12345678|20211345|16101220|1610122011x|99999999999|-1610122011|2021.3.4.5|2021-13-01|2021-02-30"
    "|2021-W54|20210304T251112|2021-03-04T25:00|2021-03-04 13:00 PM|Smarch 4, 2021|March 2021|March 41, 2021"
    "|see March 4, 2021".split("|"),
)
def test_what_is_no_date_is_one_problem(written: str) -> None:
    date, problems = in_yaml(written)
    assert date == MODIFIED
    assert problems == (f"created: {written!r} is not a date",)


@given(st.integers(0, 10**20))
def test_no_number_becomes_a_year_that_nobody_means(number: int) -> None:
    date, problems = in_yaml(str(number))
    assert date == MODIFIED if problems else 1900 <= date.year <= 2286


def test_numbers_with_their_types() -> None:
    expected = (local(2021, 1, 8, 16, 6, 51, 530_000), ())
    assert date_of("+++\ncreated = 1610122011530\n+++\n") == expected
    assert date_of('{"title": "T", "created": 1610122011530}\n\nText') == expected
    assert date_of("created-at:: 1610122011530\n\n- Text") == expected


@pytest.mark.parametrize(
    "key",
    "date|created|created_at|createdAt|created-at|Created_Time|creation-date|date-created|dateCreated|pubDate|published"
    "|publishDate|Date created|Created time|Creation Date".split("|"),
)
def test_keys(key: str) -> None:
    assert in_yaml("2021-03-04", key) == (datetime(2021, 3, 4), ())


@pytest.mark.parametrize(
    "line", ["year: 2021", "updated: 2021-03-04", "published: true", "created:", "due: 2021-03-04"]
)
def test_keys_that_say_nothing_of_it(line: str) -> None:
    assert date_of(f"---\n{line}\n---\nText") == (MODIFIED, ())


def test_which_key_counts() -> None:
    assert date_of("---\npublished: 2023-01-01\ncreated: 2022-01-01\ndate: 2021-01-01\n---\n")[0] == datetime(
        2021, 1, 1
    )
    date, problems = date_of("---\ndate: soon\ncreated_at: later\npublished: 2023-01-01\n---\n")
    assert (date, problems) == (datetime(2023, 1, 1), ("date: 'soon' is not a date",))


def test_joplin_knows_when_its_owner_says_that_a_note_was_made() -> None:
    trailer = f"id: {'a' * 32}\ncreated_time: 2021-03-04T10:11:12.000Z\n{{}}type_: 1"
    assert date_of("T\n\nText\n\n" + trailer.format(""))[0] == local(2021, 3, 4, 10, 11, 12)
    said = "user_created_time: 2020-02-03T10:11:12.000Z\n"
    assert date_of("T\n\nText\n\n" + trailer.format(said))[0] == local(2020, 2, 3, 10, 11, 12)


@pytest.mark.parametrize("key", ["CREATED", "DATE_CREATED", "created-at"])
def test_properties_of_an_org_file(key: str) -> None:
    text = f":PROPERTIES:\n:{key}: [2021-03-04 Thu 10:11]\n:END:\nText"
    assert date_of(text, "/notes/a.org") == (datetime(2021, 3, 4, 10, 11), ())


@pytest.mark.parametrize(
    ("path", "date"),
    [
        ("2021-03-04.md", datetime(2021, 3, 4)),
        ("2021_03_04.md", datetime(2021, 3, 4)),
        ("2021.03.04.md", datetime(2021, 3, 4)),
        ("20210304.md", datetime(2021, 3, 4)),
        ("20210304 dentist.md", datetime(2021, 3, 4)),
        ("2021-03-04-dentist.md", datetime(2021, 3, 4)),
        ("202103041011 zettel.md", datetime(2021, 3, 4, 10, 11)),
        ("20210304101112-slug.org", datetime(2021, 3, 4, 10, 11, 12)),
        ("20210304T101112--title__tag.org", datetime(2021, 3, 4, 10, 11, 12)),
        ("20210304T101112==1a2--title__tag.org", datetime(2021, 3, 4, 10, 11, 12)),
        ("2021-03-04T10.11.12.md", datetime(2021, 3, 4, 10, 11, 12)),
        ("daily.journal.2021.03.04.md", datetime(2021, 3, 4)),
        ("daily.journal.2021.03.04.dentist.md", datetime(2021, 3, 4)),
        ("scratch.2021.03.04.101112.md", datetime(2021, 3, 4, 10, 11, 12)),
        ("journal_2021_03_04.org", datetime(2021, 3, 4)),
        ("daily-2021-03-04.md", datetime(2021, 3, 4)),
        ("2021-W09.md", datetime(2021, 3, 1)),
        ("2021-w09 review.md", datetime(2021, 3, 1)),
        ("2021-03.md", datetime(2021, 3, 1)),
        ("March 4th, 2021.md", datetime(2021, 3, 4)),
        ("2021/03/04.md", datetime(2021, 3, 4)),
        ("Journal/2021/03/04.txt", datetime(2021, 3, 4)),
    ],
)
def test_names(path: str, date: datetime) -> None:
    assert date_of("Text", f"/notes/{path}") == (date, ())


@pytest.mark.parametrize(
    "path",
    "2021-13-04.md 2021_02_30.md 20211304.md 20210304251112-slug.org 20210304T251112--t.org 2021-03-04T25.11.12.md"
    " scratch.2021.03.04.251112.md 2021.3.4.5.md 2021.03.04.5.md 20210304.5.md 1.2021.03.04.md v2021.03.04.md"
    " 1610122011530.md 2021030410.md 120210304.md 2021.md 2021-W54.md 2021-13.md 2020-21.md 2021/13/04.md 2021/3/4.md"
    " May.md 04.md march.md".split(),
)
def test_names_that_are_no_dates(path: str) -> None:
    assert date_of("Text", f"/notes/{path}") == (MODIFIED, ())


@given(st.text("0123456789-_.TW:/ Mar,", max_size=24))
def test_any_text_is_a_date_or_none(text: str) -> None:
    date_of(f"---\ndate: '{text}'\n---\n", f"/notes/{text}.md")
