from datetime import datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from notesearch.notes import find_known_items, parse_note, without_items

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
