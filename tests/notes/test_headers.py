"""Metadata in other forms than front matter in YAML and TOML, through parse_note."""

import time
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from note_headers import NO_DATE, READ, ZIM

from notesearch.notes import parse_note, without_tags
from notesearch.notes.headers import read_metadata
from notesearch.records import Note


def parse(name: str, text: str) -> Note:
    return parse_note(Path("/notes") / name, text, NO_DATE)


def shown(note: Note) -> str:
    return "|".join(note.text[block.start : block.end] for block in note.blocks)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("suffix", "text", "form", "tags", "title", "date"), READ)
def test_tags_title_and_date(
    suffix: str, text: str, form: str, tags: str, title: str, date: datetime | None, newline: str
) -> None:
    if "toml" in text and newline == "\r":  # is no line end there
        return
    note = parse(f"name.{suffix}", text.replace("\n", newline))
    found = read_metadata(note.text, {"md": "Markdown", "rst": "reStructuredText", "org": "Org"}.get(suffix, "text"))
    assert found.form is not None and found.form.name.startswith(form)
    assert ("|".join(note.tags), note.title, note.problems) == (tags, title, ())
    assert date is None or note.date == date
    assert "Text" not in text or "Text" in shown(note)


@pytest.mark.parametrize(
    "text",
    [
        "Note: remember this\n\nText",
        "TODO: buy milk\nDear Bob: hello\n",
        "https://example.org\nText",
        "Title: Foo\n===\nText",
        "std::vector is a list\n",
        "a ::b\n",
        "{{< figure >}}\n{not: json}",
        "{not json}",
        "{}",
        "%% an Obsidian comment %%\nText",
        "<!-- TODO: x -->\nText",
        "<!-- markdownlint-disable -->\nText",
        "# Heading\n\nTitle: later\nTags: a, b\n",
        "ex: apples and pears\n",
        ";;; a line of Lisp\nText",
        "--- json\nText",
        ".. note:: Text\n",
        "Text -*- not -*\n",
        "[[wiki]] {{template}}",
    ],
)
def test_ordinary_notes_have_no_header(text: str) -> None:
    for kind in ("Markdown", "text", "Org"):
        assert read_metadata(text, kind).form is None
    note = parse("name.md", text)
    assert "".join(shown(note).split()).replace("|", "") == "".join(text.split())


@pytest.mark.parametrize(
    "text", [text for suffix, text, form, *_ in READ if "front matter" not in form and text[:4] != "Cont"]
)
def test_lines_that_may_be_prose_stay_text(text: str) -> None:
    assert "".join(shown(parse("name.txt", text)).split()).replace("|", "") == "".join(text.split()).replace("|", "")


def test_what_is_front_matter_beyond_doubt_is_no_text() -> None:
    assert shown(parse("a.md", '{"title": "T", "x": "words"}\n\nText')) == "Text"
    assert shown(parse("a.txt", ZIM + "Text")) == "Text"
    assert shown(parse("a.md", '{"x": "words"}\n\nText')) == '{"x": "words"}|Text'  # perhaps an example
    assert shown(parse("a.md", '{"title": "T"}')) == '{"title": "T"}'  # or the note would be nowhere


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "Title: T\nTags: secret\n\nText"),
        ("a.md", "<!--\n.. title: T\n.. tags: secret\n-->\nText"),
        ("a.md", "tags:: secret, [[b]]\n\n- x"),
        ("a.rst", "T\n==\n\n:tags: secret\n\nText"),
        ("a.md", '{"tags": ["secret"]}'),
        ("a.md", "[[!tag secret]] {{tag>secret}}"),
        ("a.md", "<!-- tags: secret -->\nText"),
    ],
)
def test_a_classifier_does_not_see_the_tags(name: str, text: str) -> None:
    assert "secret" in parse(name, text).tags
    assert "secret" not in without_tags(text, name)


def test_a_date_that_may_mean_something_else_is_no_problem() -> None:
    note = parse("a.md", "Date: next Tuesday\nAttendees: Ada, Bob\n\nText")
    assert (note.date, note.problems) == (NO_DATE, ())


PIECES = st.sampled_from(
    'Title: a|tags: b|tags:: c|.. tags: d|:tags: e|<!--|-->|% f|---|;;;|"g": 1|{|}||    h|= i|:a: b|[[!tag x]]|---json'
    "|type_: 1|===|#+title: x|Content-Type: text/x-zim-wiki".split("|")
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=8), st.sampled_from(["\n", "\r\n", "\r"]))
def test_never_raises(lines: list[str], newline: str) -> None:
    text = newline.join(lines)
    for kind in ("Markdown", "text", "Org", "reStructuredText"):
        found = read_metadata(text, kind)
        assert 0 <= found.span[0] <= found.span[1] <= len(text)
        assert found.body_start in (0, found.end) and found.end <= len(text)
    parse("a.md", text)


HOSTILE = (
    'a: b\n|title: b\n|.. tags: a\n|:a: b\n\n|:a:\n \n|tags:: a\n|% a\n  b\n|[[!tag a|{"a":|;;;\n|<!-- title: a|    \n'
    '|{{tag>|title: [|-*-| vim:|= a\n|;|"|---json\n|tags: [[a|#+a: b\n|a b\n'
).split("|")


@pytest.mark.parametrize("line", HOSTILE)
def test_hostile_notes_take_linear_time(line: str) -> None:
    started = time.process_time()
    for kind in ("Markdown", "text", "reStructuredText", "Org"):
        for beginning in ("", "title: a\n", "tags: ", "<!--\n", ";;;\n", "T\n==\n\n:a: b\n"):
            read_metadata(beginning + line * 10_000, kind)
    assert time.process_time() - started < 10
