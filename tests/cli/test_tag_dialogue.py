import io
import sys
from dataclasses import replace

import pytest

from notesearch.cli.tag import ask_about
from notesearch.records import Because, SimilarNote, Suggestions, TagScore


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
        ("r\nq\n", {}, {"/n/a": ("x", "Y")}),
        ("?\n\nyes\na\ns\n", {"/n/a": ("x", "Y")}, {}),
        ("e\n y , new,new, #tag\ns\n", {"/n/a": ("y", "new", "tag")}, {"/n/a": ("x",)}),
        ("e\nx, y\ns\n", {"/n/a": ("x", "y")}, {}),
        ("e\n\na\n", {"/n/b": ("z",)}, {}),
        ("e\n # , none,\na\n", {"/n/b": ("z",)}, {}),
        ("Quit\na\n", {}, {}),
        ("Edit\nX\nSkip\n", {"/n/a": ("X",)}, {"/n/a": ("Y",)}),
        ("ac\nalways\neq\nA\nR\n", {"/n/a": ("x", "Y")}, {"/n/b": ("z",)}),
        ("", {}, {}),
        ("a\n", {"/n/a": ("x", "Y")}, {}),
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


def test_what_is_no_answer_is_asked_again(answers, capsys) -> None:
    answers("yes\n\na\nq\n")
    assert capsys.readouterr().err.count(QUESTION) == 4


def test_questions_are_harmless(answers, capsys) -> None:
    answers("s\n", [entry("[red]\x1b[31m", "\x1b]0;title\x07")])
    err = capsys.readouterr().err
    assert "\x1b" not in err and "\x07" not in err
    assert "[red]\ufffd[31m" in err
