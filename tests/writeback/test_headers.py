"""Tags written into metadata in other forms than YAML and TOML, and undone."""

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from note_headers import READ

from notesearch.errors import NoteNotWritable
from notesearch.notes import parse_note, unique_tags
from notesearch.records import Note
from notesearch.writeback.plan import plan_tag_edit


def tagged(name: str, text: str, *tags: str) -> str:
    data = text.encode()
    edit = plan_tag_edit(Path(name), data, tags)
    assert edit is not None
    new = edit.applied_to(data)
    assert edit.undone_in(new) == data
    return new.decode()


def refusal(name: str, text: str, *tags: str) -> str:
    with pytest.raises(NoteNotWritable) as caught:
        plan_tag_edit(Path(name), text.encode(), tags)
    return caught.value.message


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("a.md", "Title: T|Tags: a, b|Slug: s||Text", "Title: T|Tags: a, b, x y, z|Slug: s||Text"),
        ("a.md", "title: T|tags: a,b||Text", "title: T|tags: a,b,x y,z||Text"),
        ("a.md", "Title: T|Tags: a; b||Text", "Title: T|Tags: a; b; x y; z||Text"),
        ("a.md", "Title: T|Tags: a b  ||Text", "Title: T|Tags: a b, x y, z  ||Text"),
        ("a.md", "Title: T|Tags:||Text", "Title: T|Tags: x y, z||Text"),
        ("a.md", "Title: T|Tags: ||Text", "Title: T|Tags: x y, z||Text"),
        ("a.md", "Title: T|Category: c||Text", "Title: T|Category: c|Tags: x y, z||Text"),
        ("a.txt", "Title:    T|Author:   A||Text", "Title:    T|Author:   A|Tags:     x y, z||Text"),
        ("a.md", "title: T|Text", "title: T|tags: x y, z|Text"),
        ("a.md", "Title: T|Author: A|    and B|Text", "Title: T|Author: A|    and B|Tags: x y, z|Text"),
        ("a.md", "<!--|.. title: T|.. tags: a|-->|Text", "<!--|.. title: T|.. tags: a, x y, z|-->|Text"),
        ("a.md", "<!--|.. title: T|-->|Text", "<!--|.. title: T|.. tags: x y, z|-->|Text"),
        (
            "a.rst",
            ".. title: T|.. tags:|.. date: 2020-01-02||Text",
            ".. title: T|.. tags: x y, z|.. date: 2020-01-02||Text",
        ),
        ("a.md", "tags:: a, [[b c]]||- x", "tags:: a, [[b c]], x y, z||- x"),
        ("a.md", "tags:: [[a]] [[b c]]||- x", "tags:: [[a]] [[b c]], x y, z||- x"),
        ("a.md", "|tags:: a||- x", "|tags:: a, x y, z||- x"),
        ("a.md", "- tags:: a|- x", "- tags:: a, x y, z|- x"),
        ("a.md", "- title:: T|- x", "- title:: T|  tags:: x y, z|- x"),
        ("a.md", "title:: T||- x", "title:: T|tags:: x y, z||- x"),
        ("a.rst", "T|==||:date: 2020-01-02|:tags: a||Text", "T|==||:date: 2020-01-02|:tags: a, x y, z||Text"),
        (
            "a.rst",
            "T|==||:Date:   2020-01-02|:Author: A||Text",
            "T|==||:Date:   2020-01-02|:Author: A|:Tags:   x y, z||Text",
        ),
        ("a.rst", ":orphan:||T|==||Text", ":orphan:|:tags: x y, z||T|==||Text"),
        ("a.rst", "T|==|:author: A|   B||Text", "T|==|:author: A|   B|:tags: x y, z||Text"),
    ],
)
def test_the_line_of_tags(name: str, before: str, after: str, newline: str) -> None:
    assert tagged(name, before.replace("|", newline), "x y", "z") == after.replace("|", newline)


def test_a_header_without_a_line_end() -> None:
    assert tagged("a.md", "Title: T", "new") == "Title: T\nTags: new"


def test_hashtags() -> None:
    assert tagged("a.md", "Tags: #a #b\n\n# H", "c") == "Tags: #a #b #c\n\n# H"
    assert refusal("a.md", "Tags: #a #b\n\n# H", "x y") == "the tags would not be read as they are meant"


WRITTEN = ("a header of", "properties of Notion", "a Nikola header", "page properties", "docinfo")
EVERY_FORM = sorted({(suffix, text, form) for suffix, text, form, *_ in READ})


@pytest.mark.parametrize(("suffix", "text", "form"), EVERY_FORM)
def test_no_form_gets_a_block_above_it(suffix: str, text: str, form: str) -> None:
    try:
        new = tagged(f"a.{suffix}", text, "new")
    except NoteNotWritable as error:
        assert form not in WRITTEN or "stand on several lines" in error.message
        assert form in WRITTEN or error.message.startswith(f"has {form}")
    else:
        assert form in WRITTEN
        assert new.splitlines()[0].startswith(text.splitlines()[0])


@pytest.mark.parametrize(
    ("name", "text", "tag", "reason"),
    [
        ("a.md", "% T\n\nText", "a", "has a pandoc title block, into which tags are not written"),
        ("a.md", "Title: T\n\nText", "a, b", "a header of `key: value` lines cannot hold the tag 'a, b'"),
        (
            "a.md",
            "Title: T\nTags: a\n    b\n\nText",
            "c",
            "a header of `key: value` lines: its tags stand on several lines",
        ),
        (
            "a.md",
            "Title: T\nTags: a\nTags: b\n\nText",
            "c",
            "a header of `key: value` lines: its tags stand on several lines",
        ),
        (
            "a.md",
            "Title: T\nTags:\n- a\n\nText",
            "c",
            "a header of `key: value` lines: its tags stand on several lines",
        ),
        (
            *("a.rst", ".. title: T\n\nText", "Draft"),
            "the tag 'Draft' is not written: in a Nikola header it changes what becomes of the note",
        ),
        *(
            ("a.rst", ":date: 2020-01-02\n\nText", tag, f"docinfo cannot hold the tag {tag!r}")
            for tag in ("*a*", "a_", "|a|", "`a`", "a. b", "- a")
        ),
        ("a.rst", "Title\n=====\n", "a", "reStructuredText has no front matter"),
    ],
)
def test_what_is_refused(name: str, text: str, tag: str, reason: str) -> None:
    assert refusal(name, text, tag) == reason


def test_topics_that_are_pages_are_not_extended() -> None:
    for topics in ('topics: "[[A b]]"', "topics: [[A b]]", "topics:\n- '[[A b]]'"):
        before = f"---\n{topics}\n---\nText"
        note = parse_note(Path("/a.md"), tagged("/a.md", before, "new"), datetime(2024, 1, 2))
        assert note.tags == ("new", "A b") and topics in note.text
    assert tagged("a.md", "---\ntags: '[[A b]]'\n---\n", "new") == "---\ntags: ['[[A b]]', 'new']\n---\n"
    assert tagged("a.md", "---\ntags: '[[A, b]], c'\n---\n", "new") == "---\ntags: '[[A, b]], c, new'\n---\n"


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=8)
TAGS = (
    st.sampled_from(["new", "x y", "c++", "a:b", "it's", '"q"', "[[l]]", "#h", "a_", "-x", "é", "<!--", "::", "a;b"])
    | WORDS
)
HEADERS = {
    "a.md": "Title: T\nDate: 2020-03-04\nTags: {}\nSlug: s\n\nText #tag\n\n# H\n",
    "b.md": "<!--\n.. title: T\n.. tags: {}\n.. x: y\n-->\n\nText #tag\n",
    "c.md": "title:: T\ntags:: {}\nx:: y\n\n- Text #tag\n",
    "d.rst": "T\n==\n\n:date: 2020-03-04\n:tags: {}\n:x: y\n\nText #tag\n",
    "e.md": "Title: T\nx: {}\n\nText",
    "f.rst": ".. title: T\n.. x: {}\n\nText",
}


@given(
    st.sampled_from(sorted(HEADERS)),
    WORDS,
    st.lists(TAGS, min_size=1, max_size=3),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_any_note_is_refused_or_has_the_tags(name: str, old: str, tags: list[str], newline: str) -> None:
    text = HEADERS[name].replace("{}", old).replace("\n", newline)
    data = text.encode("utf-8", "replace")
    try:
        edit = plan_tag_edit(Path(name), data, tags)
    except NoteNotWritable:
        return
    before = note_of(name, data)
    if edit is None:
        assert set(map(str.casefold, unique_tags(tags))) <= set(map(str.casefold, before.tags))
        return
    new = edit.applied_to(data)
    assert edit.undone_in(new) == data
    after = note_of(name, new)
    assert [tag for tag in after.tags if tag in before.tags] == list(before.tags)
    assert {tag.casefold() for tag in after.tags} == {tag.casefold() for tag in unique_tags([*before.tags, *tags])}
    assert (after.title, after.date, after.links) == (before.title, before.date, before.links)
    assert new.endswith(data[data.index(b"Text") :])


@given(
    st.sampled_from(["a.md", "b.md", "c.md", "d.rst"]),
    st.lists(st.sampled_from(["new", "x y", "c++", "node.js"]), min_size=1),
)
def test_usual_notes_are_never_refused(name: str, tags: list[str]) -> None:
    for old in ("", "a", "a, b c"):
        data = HEADERS[name].replace("{}", old).encode()
        edit = plan_tag_edit(Path(name), data, tags)
        assert edit and set(tags) <= set(note_of(name, edit.applied_to(data)).tags)


def note_of(name: str, data: bytes) -> Note:
    return parse_note(Path(name), data.decode(), datetime(2024, 1, 2))
