"""The structure of each format, through parse_note."""

import time
from datetime import datetime
from pathlib import Path

import pytest

from notesearch.notes import parse_note
from notesearch.records import Link, Note


def parse(text: str, suffix: str = ".md") -> Note:
    return parse_note(Path(f"/notes/name{suffix}"), text, datetime(2024, 1, 2))


def shape(note: Note) -> list[tuple[str, str]]:
    """Kind (with the level of a heading) and characters of each block."""
    return [(block.kind[0] + str(block.level or ""), note.text[block.start : block.end]) for block in note.blocks]


def headings(note: Note) -> list[tuple[int, str]]:
    return [(block.level, block.title) for block in note.blocks if block.kind == "heading"]


def test_markdown_blocks() -> None:
    note = parse(
        "# T *x*\n\npara\nmore\n\n\n- a\n\n- b\n\n```\n# no\n\n```\nSet\next\n---\n\n"
        "| a |\n|---|\n| b |\n\n> q\n> # r\n"
    )
    assert shape(note) == [
        ("h1", "# T *x*"),
        ("p", "para\nmore"),
        ("p", "- a\n\n- b"),
        ("c", "```\n# no\n\n```"),
        ("h2", "Set\next\n---"),
        ("p", "| a |\n|---|\n| b |"),
        ("p", "> q\n> # r"),
    ]
    assert headings(note) == [(1, "T x"), (2, "Set ext")]


def test_code_in_a_list_is_a_block_of_its_own() -> None:
    note = parse("1. one\n\n   ```sh\n   ls #no\n   ```\n\n   after\n2. two\n\ntext\n")
    assert shape(note) == [
        ("p", "1. one"),
        ("c", "   ```sh\n   ls #no\n   ```"),
        ("p", "   after\n2. two"),
        ("p", "text"),
    ]
    assert note.tags == ()


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_endings_keep_their_offsets(newline: str) -> None:
    note = parse(newline.join(["---", "a: b", "---", "", "# One", "text\u2028same", "", "```", "code", "```", ""]))
    assert shape(note) == [
        ("h1", "# One"),
        ("p", "text\u2028same"),
        ("c", newline.join(["```", "code", "```"])),
    ]


def test_nothing_is_lost() -> None:
    text = "[ref]: u\n\n<!-- comment -->\n\n***\n{{< short >}}\n<div>\nhtml\n\n\0nul\n\n    indented\n\n~~~\nunclosed\n"
    note = parse(text)
    kept = "".join(block for _, block in shape(note))
    assert [line for line in text.splitlines() if line.strip() and line not in kept] == []
    assert shape(note)[-2:] == [("c", "    indented"), ("c", "~~~\nunclosed")]


def test_script_style_and_pre_are_code() -> None:
    note = parse("<style>\n#no { }\n</style>\n\n<pre>\n#no\n</pre>\n\n<div>#yes</div>\n")
    assert [kind for kind, _ in shape(note)] == ["c", "c", "p"]


def test_deep_nesting_is_kept() -> None:
    text = "".join(" " * (2 * depth) + f"- item{depth}\n" for depth in range(60)) + "\nafter\n"
    note = parse(text)
    kept = "".join(block for _, block in shape(note))
    assert all(f"item{depth}" in kept for depth in range(60)) and "after" in kept
    assert parse("> " * 5000 + "deep").blocks


def test_a_huge_note_is_scanned_by_lines() -> None:
    filler = "word " * 50_000
    note = parse(f"# One #\n\n{filler}\n\n```py\n# no\n````x\n```\n## Two\n#no heading\n~~~~\n~~~\n")
    assert headings(note) == [(1, "One"), (2, "Two")]
    assert [text for kind, text in shape(note) if kind == "c"] == ["```py\n# no\n````x\n```", "~~~~\n~~~"]


@pytest.mark.parametrize(
    "table",
    ["a\n|b|c|\n|-|-|\n|d|e|\n", "> |b|c|\n> |-|-|\n> |d|e|\n", f"|{'b|' * 300}\n|{'-|' * 300}\n|{'c|' * 300}\n"],
)
def test_a_table_that_is_written_out_is_parsed(table: str) -> None:
    assert headings(parse(f"{table}\nSet\next\n===\n")) == [(1, "Set ext")]


def test_a_table_that_would_have_to_be_filled_up_is_scanned_by_lines() -> None:
    # Six million cells, for twenty thousand characters.
    text = f"|{'b|' * 1000}\n|{'-|' * 1000}\n" + "a\n" * 6000
    assert headings(parse(f"# One\n\n{text}\nno\n==\n\n# Two\n")) == [(1, "One"), (1, "Two")]


def test_a_note_of_very_many_lines_is_scanned_by_lines() -> None:
    assert headings(parse("# One\n\n" + "> a\n" * 25_000 + "\nno\n==\n\n## Two\n")) == [(1, "One"), (2, "Two")]


@pytest.mark.parametrize("suffix", [".md", ".org", ".rst", ".txt"])
@pytest.mark.parametrize(
    "text",
    [
        "# heading\n" * 100_000,
        "#" * 10**7,
        "word " * 10**6,
        "\n" * 300_000,
        "> a\n" * 50_000,
        "* a :b:\n" * 30_000,
        "a::\n" * 30_000,
        "a\n=\n" * 30_000,
        "* a" + " " * 10**6 + "b",
        "```\n" * 10**5,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_hostile_notes_take_linear_time(text: str, suffix: str) -> None:
    started = time.process_time()
    parse(text, suffix)
    assert time.process_time() - started < 10


def test_plain_text_has_paragraphs_only() -> None:
    note = parse("# not a heading\n\npara one\nmore #tag\n \t\npara two [[Link]]", ".txt")
    assert shape(note) == [("p", "# not a heading"), ("p", "para one\nmore #tag"), ("p", "para two [[Link]]")]
    assert (note.title, note.title_source, note.tags) == ("name", "file_name", ("tag",))
    assert note.links == (Link("Link", "Link", "wiki"),)


def test_org() -> None:
    note = parse(
        "#+Title: My *title*\n#+filetags: :one:two:\n#+TAGS: unused\n#+date: <2024-03-04 Mon>\n\n"
        "* TODO [#A] First  :work:a@b:\nSee [[file:x/other.org::*Part][that]], [[Name]], [[id:1]], [[http://a.b]]\n"
        "#three\n"
        "** Sub\n#+BEGIN_SRC sh\n,* no :no:\n#+end_src\n *** not a heading\n#+begin_example\nunclosed\n* Last\n",
        ".org",
    )
    assert headings(note) == [(1, "My *title*"), (1, "First"), (2, "Sub"), (1, "Last")]
    assert (note.title, note.title_source) == ("My *title*", "front_matter")
    assert note.tags == ("one", "two", "work", "a@b", "three")
    assert note.links == (Link("x/other.org", "that", "relative"), Link("Name", "Name", "wiki"), Link("1", "", "id"))
    assert note.date == datetime(2024, 3, 4)
    assert ("c", "#+BEGIN_SRC sh\n,* no :no:\n#+end_src") in shape(note)


def test_rst() -> None:
    note = parse(
        "=====\nTitle\n=====\n\nSection\n-------\n\nExample::\n\n    code #no\n\n    more\n\nText #tag ``#no``\n\n"
        ".. code-block:: sh\n\n   ls\n\nSub\n~~~\n\nAgain\n-------\n\n----\n\nText.\n",
        ".rst",
    )
    assert headings(note) == [(1, "Title"), (2, "Section"), (3, "Sub"), (2, "Again")]
    assert [text for kind, text in shape(note) if kind == "c"] == [
        "    code #no\n\n    more",
        ".. code-block:: sh\n\n   ls",
    ]
    assert (note.title, note.tags) == ("Title", ("tag",))
