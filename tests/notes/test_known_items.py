import time
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.evaluation.known_items import find_known_items, without_items
from notesearch.notes import parse_note

FIVE_WORDS = "one two three four five."


def note(text, path="/v/a.md"):
    return parse_note(Path(path), text, datetime(2025, 1, 1))


def items_of(*notes):
    return [(item.kind, item.query, item.source, item.target) for item in find_known_items(notes)]


def answers(notes):
    return [notes[item.target].text[item.answer_start : item.answer_end] for item in find_known_items(notes)]


def test_a_title_asks_for_its_note():
    notes = [note(f"# Sourdough bread\n\n{FIVE_WORDS}\n\nMore.\n")]
    assert items_of(*notes) == [("title", "Sourdough bread", 0, 0)]
    assert answers(notes) == [f"{FIVE_WORDS}\n\nMore."]


def test_a_heading_asks_for_its_section():
    notes = [note(f"# Bread\n\n## Feeding the starter\n\n{FIVE_WORDS}\n\n### Deeper\n\nNot this.\n")]
    assert items_of(*notes) == [("title", "Bread", 0, 0), ("heading", "Feeding the starter", 0, 0)]
    assert answers(notes)[1] == FIVE_WORDS


def test_a_links_words_ask_for_its_target():
    notes = [
        note(f"# One\n\n{FIVE_WORDS} See [[b|letting go of things]].\n"),
        note(f"# Impermanence\n\n{FIVE_WORDS}\n", "/v/b.md"),
    ]
    link = find_known_items(notes)[-1]
    assert (link.kind, link.query, link.source, link.target) == ("link", "letting go of things", 0, 1)
    assert notes[0].text[link.start : link.end] == "[[b|letting go of things]]"


def test_relative_and_org_links_are_spanned_as_they_are_written():
    notes = [
        note(f"# One\n\n{FIVE_WORDS} `x` [a much longer anchor](b.md 'title') and more.\n"),
        note(f"* Two\n{FIVE_WORDS} [[file:b.md][another long anchor]] end\n", "/v/c.org"),
        note(f"# Impermanence\n\n{FIVE_WORDS}\n", "/v/b.md"),
    ]
    spans = [notes[i.source].text[i.start : i.end] for i in find_known_items(notes) if i.kind == "link"]
    assert spans == ["[a much longer anchor](b.md 'title')", "[[file:b.md][another long anchor]]"]


def test_only_queries_that_say_something_and_ask_for_one_note_count():
    body = f"\n\n{FIVE_WORDS}\n"
    assert items_of(note(f"# 2025-01-04{body}")) == []
    assert items_of(note(f"# The{body}")) == []
    assert items_of(note("# Nothing below\n")) == []
    assert items_of(note("# Hardly anything\n\nfour words are here\n")) == []
    assert items_of(note(f"# Same title{body}"), note(f"# same Title{body}", "/v/b.md")) == []
    # A heading of one telling word is like any other note's; so are links that say what their target is called.
    assert items_of(note(f"# Bread\n\n## The background{body}")) == [("title", "Bread", 0, 0)]
    linking = note(f"# One\n\n{FIVE_WORDS} [[b]] [[b|Two things]] [Two things](b.md)\n")
    target = note(f"# Two things{body}", "/v/b.md")
    assert items_of(linking, target) == [("title", "One", 0, 0), ("title", "Two things", 1, 1)]
    twice = note(f"# One\n\n{FIVE_WORDS} [[b|some other words]] [[b|Some other words]] [[a|my own words]]\n")
    assert [kind for kind, *_ in items_of(twice, target)] == ["title", "title"]


@pytest.mark.parametrize(
    "title",
    [
        *(
            "16 February 2025",
            "21 July 2024 #journal #sleep",
            "2024-05-19 Sunday",
            "Sun, 19 May",
            "On the 3rd of March",
        ),
        *("#journal", "Tuesday"),
    ],
)
def test_a_date_is_no_query(title):
    assert items_of(note(f"---\ntitle: '{title}'\n---\n{FIVE_WORDS}\n\n## {title}\n\n{FIVE_WORDS}\n")) == []


@pytest.mark.parametrize("title", ["Sunday lunch", "C# in March", "B12", "16 ways to sleep #health"])
def test_a_title_that_says_more_than_a_date_is_a_query(title):
    assert items_of(note(f"---\ntitle: '{title}'\n---\n{FIVE_WORDS}\n")) == [("title", title, 0, 0)]


@pytest.mark.parametrize(
    "said",
    [
        "- [Alpha beta gamma](#alpha-beta-gamma)",
        "[[#Alpha beta gamma]]",
        "1. Alpha *beta* gamma ... 3",
        "We come to ALPHA\nbeta gamma below.",
    ],
)
def test_what_a_note_says_once_more_is_no_query(said):
    repeating = note(f"# Own words\n\n{FIVE_WORDS}\n\n{said}\n\n## Alpha beta gamma\n\n{FIVE_WORDS}\n")
    assert items_of(repeating) == [("title", "Own words", 0, 0)]
    titled = note(f"---\ntitle: Alpha beta gamma\n---\n{FIVE_WORDS}\n\n{said}\n")
    assert items_of(titled) == []


@pytest.mark.parametrize("said", ["- [Alpha beta](#alpha-beta)", "[[#Alpha beta]]", "2. Alpha beta", "| Alpha beta |"])
def test_a_short_one_is_none_where_a_line_or_a_link_says_just_that(said):
    assert items_of(note(f"# Bread\n\n{said}\n\n## Alpha beta\n\n{FIVE_WORDS}\n")) == [("title", "Bread", 0, 0)]


def test_prose_may_hold_a_short_one():
    prose = note(f"# Bread\n\nHere alpha beta is meant, our own way.\n\n## 1. Alpha beta\n\n{FIVE_WORDS}\n")
    assert [kind for kind, *_ in items_of(prose)] == ["title", "heading"]


def test_what_another_note_says_does_not_matter():
    notes = [
        note(f"# Bread\n\n## Alpha beta gamma\n\n{FIVE_WORDS}\n"),
        note(f"# Two\n\nAlpha beta gamma, {FIVE_WORDS}\n", "/v/b.md"),
    ]
    assert [query for _, query, *_ in items_of(*notes)] == ["Bread", "Two", "Alpha beta gamma"]


def test_a_long_note_takes_no_longer_than_its_length():
    paragraphs = "word\n\n" * 40_000
    headings = "".join(f"## Heading number{number}\n\n{FIVE_WORDS}\n\n" for number in range(40_000))
    long = note(f"{paragraphs}{headings}[[b|one more link]]\n" + "[[b|one more link]]\n" * 1_000)
    started = time.process_time()
    items = find_known_items([long, note(f"# Two\n\n{FIVE_WORDS * 20_000}\n", "/v/b.md")])
    assert len(items) > 40_000
    without_items(long, items)
    assert time.process_time() - started < 15


def test_without_items_neither_title_nor_query_can_be_read():
    text = f"---\ntitle: Bread\n---\n# Bread, a history\n\nBread\n\n## Feeding the starter\n\n{FIVE_WORDS}\n"
    only = note(text)
    items = find_known_items([only])
    assert [item.query for item in items] == ["Bread", "Feeding the starter"]
    assert without_items(only, []).split("\n\n") == ["", "", "## Feeding the starter", f"{FIVE_WORDS}\n"]
    assert without_items(only, items).split() == FIVE_WORDS.split()


def test_an_empty_note_has_no_items():
    assert items_of(note("")) == []
    assert without_items(note(""), []) == ""


@given(st.text(alphabet="ab# []|()\n`*", max_size=80), st.text(alphabet="ab# []|()\n`*", max_size=80))
def test_whatever_is_taken_out_stood_there(first, second):
    notes = [note(first), note(second, "/v/b.md")]
    items = find_known_items(notes)
    for number, own in enumerate(notes):
        taken = [item for item in items if item.source == number]
        assert all(0 <= item.start <= item.end <= len(own.text) for item in taken)
        left = without_items(own, taken)
        assert len(left) <= len(own.text)
        remaining = iter(own.text)
        assert all(char in remaining for char in left)  # what is left stands in the note in the same order
