"""What an Org note says of itself, through parse_note."""

import time
from datetime import datetime
from pathlib import Path

import pytest

from notesearch.errors import NoteNotWritable
from notesearch.notes import LinkResolver, chunk_note, parse_note, unique_tags
from notesearch.records import Chunking, Link, Note
from notesearch.writeback.plan import plan_tag_edit

ROAM = """\
:PROPERTIES:
:ID:       11-22
:ROAM_ALIASES: "brain plasticity" rewiring
:CREATED:  [2024-02-03 Sat 10:00]
:END:
#+title: Neuroplasticity
#+filetags: :brain: science
#+FILETAGS: idea
#+startup: overview

The brain rewires.
* DONE Read the paper :reading:
CLOSED: [2024-02-05 Mon 12:00] SCHEDULED: <2024-02-04 Sun>
:PROPERTIES:
:ID: 33-44
:Effort: 1:00
:END:
:LOGBOOK:
CLOCK: [2024-02-03 Sat 10:00]--[2024-02-03 Sat 11:00] =>  1:00
- State "DONE"       from "TODO"       [2024-02-05 Mon 12:00]
- Note taken on [2024-02-03 Sat 11:05] \\\\
  remember the axons
:END:
#+caption: A drawing of it
#+begin_quote
Cells that fire together
#+end_quote
:MINE:
kept in a drawer
:END:
#+begin_src org
:PROPERTIES:
:ID: in-code
:END:
#+filetags: :code:
#+end_src
See [[id:33-44][the paper]], [[id:11-22]].
"""


def parse(text: str) -> Note:
    return parse_note(Path("/notes/a.org"), text, datetime(2020, 1, 1))


def seen(note: Note) -> str:
    """What is embedded and found of a note, white space collapsed."""
    starts = [place for place, char in enumerate(note.text) if place == 0 or char == "\n"]
    chunks = chunk_note(note, lambda text: [place for place in starts if place < len(text)], Chunking(10_000))
    for chunk in chunks:
        assert len(chunk.text) == chunk.end - chunk.start
        assert chunk.text.count("\n") == note.text.count("\n", chunk.start, chunk.end)
    return " ".join(" ".join(chunk.text for chunk in chunks).split())


def test_a_note_of_org_roam() -> None:
    note = parse(ROAM)
    assert (note.title, note.tags) == ("Neuroplasticity", ("brain", "science", "idea", "reading"))
    assert (note.file_tags, note.part_tags) == (("brain", "science", "idea"), ("reading",))
    assert (note.date, note.problems) == (datetime(2024, 2, 3, 10), ())
    assert note.ids == ("11-22", "33-44")
    assert note.links == (Link("33-44", "the paper", "id"), Link("11-22", "", "id"))
    assert seen(note) == (
        ':ROAM_ALIASES: "brain plasticity" rewiring #+title: Neuroplasticity The brain rewires. '
        "* DONE Read the paper :reading: remember the axons #+caption: A drawing of it Cells that fire together "
        "kept in a drawer #+begin_src org :PROPERTIES: :ID: in-code :END: #+filetags: :code: #+end_src "
        "See [[id:33-44][the paper]], [[id:11-22]]."
    )


@pytest.mark.parametrize(
    "text",
    [
        ":PROPERTIES:\n:ID: a\n* Heading\n:END:\n",  # a heading ends it, so it is none
        ":PROPERTIES:\n:ID: a\n",
        ":END:\ntext\n",
        "text\nSCHEDULED: <2024-02-04 Sun>\n",  # below no heading
        "* Heading\nSCHEDULED: soon\n",
    ],
)
def test_what_only_looks_like_it_is_text(text: str) -> None:
    note = parse(text)
    assert (note.ids, note.hidden) == ((), ())
    assert seen(note) == " ".join(text.split())


def test_a_drawer_ends_where_another_begins() -> None:
    note = parse(":A:\n:B:\nwords\n:END:\ntext")
    assert seen(note) == ":A: words text"


# What Emacs says of each (org-element and org-file-tags of Org 9.5).


@pytest.mark.parametrize(
    ("heading", "title", "tags"),
    [
        ("* H :a-b:", "H :a-b:", ()),
        ("* H\t:tab:tag:", "H", ("tab", "tag")),
        ("* H :a@b:c_1:#d:50%:", "H", ("a@b", "c_1", "#d", "50%")),
        ("* ünï :ünï:", "ünï", ("ünï",)),
        ("* :only:", "", ("only",)),
        ("* a:b: c:d:", "a:b: c:d:", ()),
        ("* A ::x::y:", "A", ("x", "y")),
        ("* OPEN [#A] Task [1/3] :x:", "Task", ("x",)),
        ("* TODO no state here", "TODO no state here", ()),
        ("* OPENING night", "OPENING night", ()),
        ("* SHUT COMMENT Both", "Both", ()),
        ("* COMMENT Hidden :y:", "Hidden", ("y",)),
        ("* COMMENTS are words", "COMMENTS are words", ()),
        ("* Half [50%] of it [/]", "Half of it", ()),
        ("* A list [1]", "A list [1]", ()),
    ],
)
def test_headings(heading: str, title: str, tags: tuple[str, ...]) -> None:
    note = parse(f"{heading}\n\n#+TODO: OPEN(o@/!) WAIT | SHUT(s)\n#+begin_src org\n#+TODO: OPENING\n#+end_src\n")
    assert [block.title for block in note.blocks if block.kind == "heading"] == [title]
    assert note.part_tags == unique_tags(tags)


@pytest.mark.parametrize("keyword", ["#+TODO:", "#+seq_todo:", "#+TYP_TODO:"])
def test_states_of_a_file(keyword: str) -> None:
    note = parse(f"{keyword} ONE | TWO\n{keyword} THREE\n* ONE a\n* TWO b\n* THREE c\n* DONE d\n")
    assert [block.title for block in note.blocks if block.kind == "heading"] == ["a", "b", "c", "DONE d"]


def test_a_tab_behind_the_stars_makes_no_heading() -> None:
    assert [block.kind for block in parse("*\tno heading :a:\n").blocks] == ["paragraph"]


def test_tags_of_the_file_are_divided_by_colons_and_blanks() -> None:
    assert parse("#+FILETAGS: :a-b:c\td e:\n").file_tags == ("a-b", "c", "d", "e")


@pytest.mark.parametrize(
    ("above", "is_one"),
    [
        ("", True),
        ("# a comment\n", True),
        ("\n", False),
        ("#+title: T\n", False),
        ("text\n", False),
        ("* H\n", True),
        ("* H\nSCHEDULED: <2021-03-04 Thu>\n", True),
        ("* H\n\n", False),
        ("* H\n# a comment\n", False),
        ("* H\ntext\n", False),
        (":PROPERTIES:\n:A: b\n:END:\n", False),
    ],
)
def test_where_a_drawer_of_properties_counts(above: str, is_one: bool) -> None:
    note = parse(f"{above}:PROPERTIES:\n:ID: a\n:A+: b\n:END:\ntext")
    assert note.ids == (("a",) if is_one else ())
    assert (":ID: a" in seen(note)) is not is_one


@pytest.mark.parametrize("line", ["words", "", "- :a: b", "a :b: c"])
def test_a_drawer_with_anything_else_in_it_holds_no_properties(line: str) -> None:
    note = parse(f"* H\n:PROPERTIES:\n:ID: a\n{line}\n:END:\ntext")
    assert note.ids == ()
    assert line in seen(note)


def test_a_note_that_says_nothing_else_is_found_by_what_it_says_of_itself() -> None:
    note = parse("#+author: Ada\n#+startup: overview\n")
    assert seen(note) == "#+author: Ada #+startup: overview"


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("#+date: <2024-03-04 Mon>", datetime(2024, 3, 4)),
        (":PROPERTIES:\n:CREATED: [2023-01-02 Mon]\n:END:\n#+date: 2024-03-04", datetime(2024, 3, 4)),
        ("* H\n:PROPERTIES:\n:CREATED: [2023-01-02 Mon]\n:END:", datetime(2020, 1, 1)),  # the heading's alone
    ],
)
def test_the_date(written: str, date: datetime) -> None:
    assert parse(written).date == date


def test_links_by_id_lead_to_the_note_that_has_it() -> None:
    resolver = LinkResolver(["/n/a.org"], ids={"33-44": "/n/a.org"})
    assert resolver.resolve("/n/b.org", "33-44", "id") == "/n/a.org"
    assert resolver.resolve("/n/b.org", "a", "id") is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            ":PROPERTIES:\n:ID: a\n:END:\n#+title: T\n\nText",
            ":PROPERTIES:\n:ID: a\n:END:\n#+title: T\n#+filetags: :new:\n\nText",
        ),
        (":PROPERTIES:\n:ID: a\n:END:\nText", ":PROPERTIES:\n:ID: a\n:END:\n#+filetags: :new:\nText"),
        ("#+filetags: :a:\n#+filetags: :b:\nText", "#+filetags: :a:new:\n#+filetags: :b:\nText"),
        ("#+filetags: a b\nText", "#+filetags: a b new\nText"),
        (
            "* H\n#+begin_src org\n#+filetags: :a:\n#+end_src\n#+filetags: :b:\n",
            "* H\n#+begin_src org\n#+filetags: :a:\n#+end_src\n#+filetags: :b:new:\n",
        ),
    ],
)
def test_tags_are_written_where_org_roam_writes_them(before: str, after: str) -> None:
    edit = plan_tag_edit(Path("a.org"), before.encode(), ["new"])
    assert edit and edit.applied_to(before.encode()).decode() == after
    assert "new" in parse(after).tags


def test_a_tag_of_a_heading_may_become_one_of_the_file() -> None:
    before = b"#+title: T\n* H :reading:crypt:\nText #inline"
    edit = plan_tag_edit(Path("a.org"), before, ["reading", "inline"])
    assert edit and edit.applied_to(before) == before.replace(b"* H", b"#+filetags: :reading:inline:\n* H")
    note = parse(edit.applied_to(before).decode())
    assert (note.file_tags, note.part_tags) == (("reading", "inline"), ("crypt",))


@pytest.mark.parametrize("tag", ["crypt", "ATTACH", "noexport", "ARCHIVE", "export", "TOC_2", "drill"])
def test_control_tags_are_not_written(tag: str) -> None:
    with pytest.raises(NoteNotWritable, match=f"^the tag '{tag}' is not written: "):
        plan_tag_edit(Path("a.org"), b"Text", ["good", tag])


@pytest.mark.parametrize(
    "line", [":A:\n", ":PROPERTIES:\n", ":END:\n", "#+a: b\n", "* H\nCLOSED: [x] \n", ":A:\n:END:\n"]
)
def test_hostile_notes_take_linear_time(line: str) -> None:
    started = time.process_time()
    parse(line * 100_000)
    parse("* H\n" + "CLOSED: [a] " * 100_000 + "x")
    assert time.process_time() - started < 10
