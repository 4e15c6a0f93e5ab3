import io
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pytest

from notesearch.cli.tag import TagFormat, ask_about, write_suggestions
from notesearch.cli.terminal import columns_of
from notesearch.records import Because, SimilarNote, Suggestions, TagScore

HOSTILE = "[red]\x1b[31m\x07\u202ex[/red]\ttab\nline\ud800"


def note(*tags: TagScore, path: str = "/n/soup.md", title: str = "Soup", words: Sequence[str] = ()) -> Suggestions:
    """Suggestions with a similar note for each tag that is suggested."""
    similar = (SimilarNote("/n/stew.md", title, 0.81239),)
    because = tuple(Because(tag.tag, similar, tuple(words)) for tag in tags if tag.suggested)
    return Suggestions(path, title, tags, because)


@pytest.fixture
def shown(capsys, monkeypatch):
    """Prints suggestions, and returns what was printed."""

    def call(*entries: Suggestions, kind: TagFormat = "human", new_only: bool = False, columns: int = 80) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        sys.stdout.reconfigure(errors="backslashreplace")  # as main() does
        write_suggestions(entries, kind, new_only=new_only)
        return capsys.readouterr().out

    return call


SOUP = note(
    TagScore("cooking", 0.912345, True, True),
    TagScore("winter", 0.5, True),
    TagScore("work", 0.01, False),
    words=("soup", "salt"),
)


def test_the_path_stands_beside_a_title_that_others_have(shown) -> None:
    because = Because("x", (SimilarNote("/n/a.md", "Usage", 0.65, True), SimilarNote("/n/b.md", "Salt", 0.5)), ())
    out = shown(Suggestions("/n/soup.md", "Soup", (TagScore("x", 0.9, True),), (because,)))
    assert "like: Usage [/n/a.md] (0.65); Salt (0.50)" in out


def test_jsonl_tells_everything(shown) -> None:
    (line,) = shown(SOUP, kind="jsonl").splitlines()
    similar = [{"path": "/n/stew.md", "title": "Soup", "similarity": 0.8124, "shares_title": False}]
    assert json.loads(line) == {
        "path": "/n/soup.md",
        "title": "Soup",
        "tags": [
            {"tag": "cooking", "score": 0.9123, "suggested": True, "present": True},
            {"tag": "winter", "score": 0.5, "suggested": True, "present": False},
            {"tag": "work", "score": 0.01, "suggested": False, "present": False},
        ],
        "because": [
            {"tag": "cooking", "notes": similar, "words": ["soup", "salt"]},
            {"tag": "winter", "notes": similar, "words": ["soup", "salt"]},
        ],
    }


def test_tsv_has_a_line_for_each_suggestion(shown) -> None:
    assert shown(SOUP, SOUP, kind="tsv") == 2 * "/n/soup.md\tcooking\t0.9123\n/n/soup.md\twinter\t0.5000\n"


def test_people_see_what_is_suggested_and_why(shown) -> None:
    because = "        words: soup, salt\n        like: Soup (0.81)\n"
    assert shown(SOUP) == f"/n/soup.md\n  0.91  cooking (has it)\n{because}  0.50  winter\n{because}\n"


def test_a_suggestion_without_reasons(shown) -> None:
    entry = Suggestions("/a.md", "A", (TagScore("x", 0.5, True),), (Because("x", (), ()),))
    assert shown(entry) == "/a.md\n  0.50  x\n\n"


@pytest.mark.parametrize("kind", get_args(TagFormat))
def test_only_what_is_new(shown, kind) -> None:
    text = shown(SOUP, kind=kind, new_only=True)
    assert "winter" in text and "cooking" not in text


HOSTILE_NOTE = note(TagScore(HOSTILE, 0.9, True), path=f"/n/{HOSTILE}.md", title=HOSTILE, words=(HOSTILE,))


def test_people_see_nothing_that_a_terminal_would_obey(shown) -> None:
    text = shown(HOSTILE_NOTE, columns=200)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800]", text)
    assert text.count("[red]\ufffd[31m") == 4, "path, tag, word and title, markup as it is"


def test_jsonl_is_exact(shown) -> None:
    (line,) = shown(HOSTILE_NOTE, kind="jsonl").splitlines()
    entry = json.loads(line)
    assert (entry["path"], entry["title"], entry["tags"][0]["tag"]) == (f"/n/{HOSTILE}.md", HOSTILE, HOSTILE)
    assert entry["because"][0]["notes"][0]["title"] == HOSTILE
    assert not re.search("[\x00-\x1f]", line)


def test_a_line_of_tsv_stays_one_line_of_three_columns(shown) -> None:
    text = shown(HOSTILE_NOTE, kind="tsv")
    assert text.count("\n") == 1 and text.count("\t") == 2


LONG = ("料理と汁物" * 12, "long words " * 12, "Donaudampfschifffahrt" * 6, "🍲" * 50)


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("text", LONG)
def test_tags_and_reasons_fit_into_the_terminal(shown, text, columns) -> None:
    tags = (TagScore("x", 0.5, True), TagScore(text.strip(), 0.5, True), TagScore(text, 0.5, True, True))
    first, *lines = shown(note(*tags, title=text, words=(text, "salt")), columns=columns).splitlines()
    assert first == "/n/soup.md", "a path is in one line however long it is, so that it can be copied"
    assert max(map(columns_of, lines)) <= columns
    for part in ("".join(text.split()), "salt"):
        assert part in "".join("".join(lines).split()), "nothing is left out"


# Asking note by note


def entry(name: str, *tags: str) -> Suggestions:
    found = tuple(TagScore(tag, 0.5, True) for tag in tags)
    return Suggestions(f"/n/{name}", name, (*found, TagScore("own", 0.9, True, True), TagScore("no", 0.1, False)), ())


ENTRIES = [entry("a", "x", "Y"), entry("b", "z")]


@pytest.fixture
def answers(monkeypatch):
    """Asks about notes while somebody types."""

    def ask(typed: str, entries=ENTRIES):
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        return ask_about(entries)

    return ask


@pytest.mark.parametrize(
    ("typed", "accepted", "rejected"),
    [
        ("a\nr\n", {"/n/a": ("x", "Y")}, {"/n/b": ("z",)}),
        ("ACCEPT\n  r \n", {"/n/a": ("x", "Y")}, {"/n/b": ("z",)}),
        ("s\na\n", {"/n/b": ("z",)}, {}),
        ("q\na\n", {}, {}),
        ("?\n\nyes\na\ns\n", {"/n/a": ("x", "Y")}, {}),
        ("e\n y , new,new, #tag\ns\n", {"/n/a": ("y", "new", "tag")}, {"/n/a": ("x",)}),
        ("e\n\na\n", {"/n/b": ("z",)}, {}),
        ("e\n # , none,\na\n", {"/n/b": ("z",)}, {}),
        ("Edit\nX\nSkip\n", {"/n/a": ("X",)}, {"/n/a": ("Y",)}),
        ("", {}, {}),
        ("a\ne\n", {"/n/a": ("x", "Y")}, {}),
        ("a\nr", {"/n/a": ("x", "Y")}, {"/n/b": ("z",)}),
    ],
)
def test_answers(answers, capsys, typed, accepted, rejected) -> None:
    assert answers(typed) == (accepted, rejected)
    out, err = capsys.readouterr()
    assert out == "" and "[a]ccept" in err


@pytest.mark.parametrize("typed", ["#x, # y", "x, #, y"])
def test_typed_tags_are_cleaned(answers, typed) -> None:
    assert answers(f"e\n{typed}\nq\n") == ({"/n/a": ("x", "y")}, {})


def test_ctrl_c_keeps_what_was_decided(monkeypatch) -> None:
    class Typist(io.StringIO):
        def readline(self, size: int = -1, /) -> str:
            line = super().readline(size)
            if not line:
                raise KeyboardInterrupt
            return line

    monkeypatch.setattr(sys, "stdin", Typist("a\n"))
    assert ask_about(ENTRIES) == ({"/n/a": ("x", "Y")}, {})


def test_stdin_may_be_closed(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert ask_about(ENTRIES) == ({}, {})


QUESTION = "[a]ccept, [r]eject, [e]dit, [s]kip, [q]uit? "


def test_each_note_is_named_with_its_new_tags_only(answers, capsys) -> None:
    answers("s\ns\n")
    first, second = ("1/2  /n/a\n  0.50  x\n  0.50  Y\n", "2/2  /n/b\n  0.50  z\n")
    assert capsys.readouterr().err == f"\n{first}{QUESTION}\n{second}{QUESTION}"


def test_why_a_tag_is_suggested_is_shown(answers, capsys) -> None:
    because = Because("x", (SimilarNote("/n/c", "Like this", 0.75),), ("soup", "salt"))
    answers("s\n", [replace(ENTRIES[0], because=(because,))])
    assert capsys.readouterr().err.splitlines()[2:] == [
        "  0.50  x",
        "        words: soup, salt",
        "        like: Like this (0.75)",
        "  0.50  Y",
        QUESTION,
    ]


def test_questions_are_harmless(answers, capsys) -> None:
    answers("s\n", [entry("[red]\x1b[31m", "\x1b]0;title\x07")])
    err = capsys.readouterr().err
    assert "\x1b" not in err and "\x07" not in err
    assert "[red]\ufffd[31m" in err
