"""What an Org note says of itself, through parse_note."""

import time
from datetime import datetime
from pathlib import Path

import pytest

from notesearch.errors import NoteNotWritable
from notesearch.notes import LinkResolver, chunk_note, parse_note
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
    note = parse(":A:\n:PROPERTIES:\n:ID: a\n:END:\ntext")
    assert (note.ids, seen(note)) == (("a",), ":A: text")


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
    resolver = LinkResolver([Path("/n/a.org")], {"33-44": Path("/n/a.org")})
    assert resolver.resolve(Path("/n/b.org"), "33-44", "id") == Path("/n/a.org")
    assert resolver.resolve(Path("/n/b.org"), "a", "id") is None


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
