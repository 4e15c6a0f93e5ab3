from datetime import datetime
from pathlib import Path

import pytest

from notesearch.notes import parse_note
from notesearch.notes.tags import effect_of_tag


def tags_of(front_matter: str, name: str = "a.md") -> tuple[str, ...]:
    note = parse_note(Path("/notes") / name, f"---\n{front_matter}\n---\nText", datetime(2024, 1, 2))
    assert note.problems == ()
    return note.tags


@pytest.mark.parametrize(
    ("written", "tags"),
    [
        ('topics: "[[Machine Learning]]"', ("Machine Learning",)),
        ("topics: '[[Machine Learning]], [[Cooking, at home]]'", ("Machine Learning", "Cooking, at home")),
        ('topics: "[[Machine Learning]] [[Deep Learning]]"', ("Machine Learning", "Deep Learning")),
        ('topics: "[[One]][[Two]]"', ("One", "Two")),
        ("topics: [[Machine Learning]]", ("Machine Learning",)),
        ("topics: [[Page|Alias]]", ("Page",)),
        ("topics: [[folder/Page#Heading]]", ("Page",)),
        ("topics: [[a], [b]]", ("a", "b")),
        ("topics:\n- [[Machine Learning]]\n- '[[b]]'\n- c d", ("Machine Learning", "b", "c d")),
        ('topics: ["[[a b]]", "[[c|d]]", e]', ("a b", "c", "e")),
        ('topics:\n- "[[a]], [[b]]"', ("a", "b")),
        ('topics: "[[Page|Alias]]"', ("Page",)),
        ('topics: "[[folder/Page#Heading|Alias]]"', ("Page",)),
        ('topics: "[[Page.md]]"', ("Page",)),
        ('topics: "[[#Heading]]"', ("Heading",)),
        ('topics: "![[Page]]"', ("Page",)),
        ('topics: "see [[Page]], other"', ("see Page", "other")),
        ('topics: "[Machine Learning](ml.md)"', ("Machine Learning",)),
        ('topics: "[Machine Learning](https://example.org/a_(b) \\"title\\"), b"', ("Machine Learning", "b")),
        ('topics: ["[Machine Learning](ml.md)"]', ("Machine Learning",)),
        ('topics: "#a #b"', ("a", "b")),
        ('topics: "#a, #b c"', ("a", "b c")),
        ("topics: '\"machine learning\" ai'", ("machine learning", "ai")),
        ("topics: \"'machine, learning', ai\"", ("machine, learning", "ai")),
        ("topics: don't isn't", ("don't", "isn't")),
        ("topics: [it's, \"'a'\"]", ("it's", "'a'")),
        ('topics: "[a] [b"', ("[a]", "[b")),
        ('topics: "[[]] [[a"', ("[[]]", "[[a")),
        ("topics: a, b c", ("a", "b c")),
        ("topics: a b", ("a", "b")),
    ],
)
def test_values_as_they_are_meant(written: str, tags: tuple[str, ...]) -> None:
    assert tags_of(written) == tags
    assert tags_of(written.replace("topics", "tags")) == tags


def test_links_as_values_in_toml() -> None:
    note = parse_note(Path("/a.md"), '+++\ntags = ["[[A b|c]]", "d"]\n+++\n', datetime(2024, 1, 2))
    assert note.tags == ("A b", "d")


@pytest.mark.parametrize(
    "front_matter",
    [
        '+++\n[taxonomies]\ntags = ["a", "b c"]\ncategories = ["d"]\n+++\n',
        '+++\ntags = ["a", "b c"]\ncategories = ["d"]\n+++\n',
        "---\ntaxonomies:\n  tags: [a, b c]\n  categories: [d]\n---\n",
        "---\ntags: [a, b c]\ncategory: d\n---\n",
    ],
)
def test_taxonomies(front_matter: str) -> None:
    assert parse_note(Path("/a.md"), front_matter, datetime(2024, 1, 2)).tags == ("a", "b c", "d")


def test_properties_of_blocks() -> None:
    text = "# H\n\n- one\n  tags:: a, [[b c]], #d\n- tags:: e f\n\n`tags:: no`\n\ntags::\nhashtags:: no"
    assert set(parse_note(Path("/a.md"), text, datetime(2024, 1, 2)).tags) == {"a", "b c", "d", "e f"}


@pytest.mark.parametrize(
    "tag",
    "crypt ATTACH ARCHIVE noexport export ignore TOC TOC_2_gh B_frame BMCOL drill leech fc suspended FLAGGED".split(),
)
def test_control_tags_of_org(tag: str) -> None:
    assert effect_of_tag(tag, "Org")
    words_of_everyday_language = {"export", "ignore", "drill", "leech", "fc", "suspended"}
    assert bool(effect_of_tag(tag, "Markdown")) is (tag not in words_of_everyday_language)


@pytest.mark.parametrize("tag", ["archive", "Export", "toc", "attachment", "encryption", "cards", "review", "template"])
def test_tags_that_people_use(tag: str) -> None:
    assert not effect_of_tag(tag, "Org") and not effect_of_tag(tag, "Markdown")


@pytest.mark.parametrize("tag", ["card", "flashcards", "flashcards/anatomy"])
def test_control_tags_of_markdown(tag: str) -> None:
    assert effect_of_tag(tag, "Markdown")
