"""Properties of notes in all their forms, through parse_note."""

from datetime import datetime
from pathlib import Path

import pytest

from notesearch.notes import parse_note
from notesearch.records import Property


def properties_of(name: str, text: str) -> tuple[Property, ...]:
    return parse_note(Path("/notes") / name, text, datetime(2020, 1, 1)).properties


def pairs(name: str, text: str) -> list[tuple[str, str]]:
    return [(each.name, each.value) for each in properties_of(name, text)]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.md", "---\nauthor: Ada Lovelace\n---\nText", "author=Ada Lovelace"),
        ("a.md", "---\nauthors: [A, B]\nempty:\nno: ~\n---\nText", "authors=A authors=B"),
        ("a.md", "---\na: {b: [1, {c: two}]}\n---\nText", "a.b=1 a.b.c=two"),
        ("a.md", "---\naliases: one, two\nseries: one, two\n---\nText", "aliases=one aliases=two series=one, two"),
        ("a.md", '---\nup: "[[A]], [[b/C|x]]"\nlink: [[D]]\n---\nText', "up=[[A]] up=[[b/C|x]] link=D"),
        (
            "a.md",
            "+++\ndraft = true\nday = 2024-01-02\n[extra]\nk = ['x']\n+++\nText",
            "draft=true day=2024-01-02 extra.k=x",
        ),
        ("a.md", '{"title": "T", "author": {"name": "Ada"}}\n\nText', "title=T author.name=Ada"),
        ("a.md", "Title: T\nAuthors: A B; C D\nISBN: 9-1\n\nText", "title=T authors=A B authors=C D isbn=9-1"),
        ("a.md", "alias:: A, [[B]]\ntype:: book\n\n- x\n  source:: web", "alias=A alias=[[B]] type=book source=web"),
        ("a.md", "- [ ] buy [due:: 2024-05-01] (prio:: high)\n- **Mood**:: good", "due=2024-05-01 prio=high Mood=good"),
        ("a.md", "Mood:: `not code` really\n`[code:: x]`", "mood=`not code` really"),
        ("a.md", "```\na:: b\n[c:: d]\n```\n\n    e:: f\n\n`g:: h`", ""),
        ("a.md", "std::vector, a (std::map), [a:: b](http://x), [a::]", ""),
        ("a.md", "[up:: [[A]] (x)] and [a [b:: c] d:: e]", "up=[[A]] (x) b=c"),
        ("a.txt", "genre:: \"a b\", 'c'\nyear:: 1843", "genre=\"a b\", 'c' year=1843"),
        (
            "a.org",
            ":PROPERTIES:\n:Source: web\n:END:\n#+author: Ada\n#+startup: x\n* H\n:PROPERTIES:\n:Cost: 5\n:END:\n",
            "Source=web author=Ada Cost=5",
        ),
        ("a.org", ':PROPERTIES:\n:ROAM_ALIASES: "a b" c\n:END:\nfoo:: bar', "ROAM_ALIASES=a b ROAM_ALIASES=c"),
        ("a.rst", "T\n==\n\n:author: Ada\n:status: draft\n\nText\n\n.. note:: that\n", "author=Ada status=draft"),
    ],
)
def test_a_value_each_in_order(name: str, text: str, expected: str) -> None:
    assert " ".join(f"{key}={value}" for key, value in pairs(name, text)) == expected


def test_a_value_is_text_and_may_be_a_number_or_a_date() -> None:
    text = (
        "---\nn: -1.5\nhuge: 1e999\nversion: 1.2.3\nday: 2024-02-03\nzoned: 2024-02-03T10:00Z\norg: <2024-02-03 Sat>\n"
    )
    text += "sentence: 2024-02-03 we met\nlink: '[[b/Other Page#x|y]]'\nCased:  Ada  LOVELACE\n---\nText"
    found = {each.name: each for each in properties_of("a.md", text)}
    day = datetime(2024, 2, 3)
    assert {name: each.number for name, each in found.items() if each.number is not None} == {"n": -1.5}
    assert {name for name, each in found.items() if each.moment} == {"day", "zoned", "org"}
    assert (found["day"].moment, found["org"].moment) == (day, day)
    assert (found["link"].compared, found["Cased"].compared) == ("b/other page", "ada lovelace")


def test_which_values_are_words_of_the_note() -> None:
    text = (
        "---\ntitle: T\ntags: [a]\nid: 7\ncreated: 2024-01-02\ndraft: yes\naliases: [x]\nisbn: 978\nby: Ada\n---\nText"
    )
    assert {each.name: each.words for each in properties_of("a.md", text) if each.words} == {
        "aliases": "title",
        "isbn": "text",
        "by": "text",
    }
    # What is text of the note anyway is no word twice.
    for shown in ("by:: Ada\n\nText", "Title: T\nBy: Ada\n\nText", "---\nby: Ada\n---\n"):
        assert [each.words for each in properties_of("a.md", shown) if each.value == "Ada"] == [""]


def test_more_and_longer_properties_than_are_of_use_are_cut() -> None:
    many = "".join(f"k{number}: v\n" for number in range(3000))
    assert len(properties_of("a.md", f"---\n{many}---\nText")) == 1000
    (long,) = properties_of("a.md", f"---\nk: {'x' * 20_000}\n---\nText")
    assert len(long.value) == 10_000
    nested = "[a:: b" * 50_000 + "]" * 50_000
    assert pairs("a.md", nested) == [("a", "b")]
