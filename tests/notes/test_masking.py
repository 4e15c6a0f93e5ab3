from datetime import datetime
from pathlib import Path

import pytest

from notesearch.notes import parse_note, without_tags


@pytest.mark.parametrize("name", ["a.md", "a.org", "a.rst", "a.txt"])
def test_hashtags_are_blanked(name: str) -> None:
    assert without_tags("#work at (#deep/work)\nuntil #späť.", name) == "      at (          )\nuntil      ."


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No tags",
        "# Heading\n## Another",
        "`#code` and ``a ` #code``",
        "```sh\n#include\n```",
        "issue #12, colour #c0ffee, a#b",
        "https://example.org/#part [x](a.md#part) [[note#part]]",
        "* An org heading :work:\n#+filetags: :work:",
    ],
)
def test_what_is_no_tag_in_markdown_stays(text: str) -> None:
    assert without_tags(text, "a.md") == text


def test_offsets_stay_in_markdown() -> None:
    text = "`#code` #tag `x`\r\n\r\n#tag2 rest"
    assert without_tags(text, "a.md") == "`#code`      `x`\r\n\r\n      rest"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("* Heading :work:\nText", "* Heading\nText"),
        ("intro\n*** TODO Heading \t :a:b_c:@d: \nText", "intro\n*** TODO Heading\nText"),
        ("* One :a:\n* Two\t:b:\n* Three", "* One\n* Two\n* Three"),
        ("#+filetags: :a:b:\nText", "\nText"),
        ("  #+FileTags: a\n#+title: T", "\n#+title: T"),
        ("* Heading: with :colons: within", "* Heading: with :colons: within"),
        ("- item :a:\n *bold* :b:", "- item :a:\n *bold* :b:"),
        ("* Heading :a-b:", "* Heading :a-b:"),
        ("* Time 10:30", "* Time 10:30"),
    ],
)
def test_tags_of_org_headings_and_files_are_taken_out(text: str, left: str) -> None:
    assert without_tags(text, "a.org") == left


def tags_left(name: str, text: str) -> set[str]:
    """Tags that a note in which each tag occurs as a tag alone still holds."""
    note = parse_note(Path(name), text, datetime(2024, 1, 1))
    assert note.tags
    masked = without_tags(text, name)
    return {tag for tag in note.tags if tag in masked}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "Text #deep work# and #[[far away]], #b2b\n\n- tags:: [[b c]], home"),
        ("a.md", "Text #work, `code` and #home\n\n> #quoted\n- #item"),
        ("a.org", "#+filetags: :work:home:\n* H :deep:\nText #inline"),
        ("a.md", "It costs 5` or\n\n#work\n\nsome 6` more"),
        ("a.org", "* H :work:\r\nText\r\n"),
        ("a.org", "Text\n* :work:\n"),
    ],
)
def test_none_of_the_tags_that_a_note_has_is_left(name: str, text: str) -> None:
    assert tags_left(name, text) == set()
