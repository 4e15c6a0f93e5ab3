import io

import pytest

from notesearch.cli.terminal import harmless, paint, uses_colour, warn, width


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain — ünï 麻婆 🙂", "plain — ünï 麻婆 🙂"),
        ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
        ("a\r\nb\tc\x07\x7f", "a\ufffd\ufffdb\ufffdc\ufffd\ufffd"),
        ("\x9b31m", "\ufffd31m"),
        ("txt.\u202egnp", "txt.\ufffdgnp"),
        ("\u2066\u2069\u200e\u200f\u061c", "\ufffd" * 5),
        ("one\u2028two\u2029three\x85four", "one\ufffdtwo\ufffdthree\ufffdfour"),
        ("\ud800 alone", "? alone"),
    ],
)
def test_what_a_terminal_would_obey_is_replaced(text, shown):
    assert harmless(text) == shown


def test_a_warning_goes_to_stderr_and_is_harmless(capsys):
    warn("skipped \x1b]0;title\x07")
    assert capsys.readouterr() == ("", "skipped \ufffd]0;title\ufffd\n")


def test_colours_are_for_terminals_that_want_them(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert uses_colour(Terminal())
    assert not uses_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not uses_colour(Terminal())
    monkeypatch.setenv("NO_COLOR", "")
    assert uses_colour(Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert not uses_colour(Terminal())


def test_paint_wraps_a_text_in_a_style_and_ends_it():
    assert paint("word", "strong", colour=True) == "\x1b[1;33mword\x1b[0m"
    assert paint("word", "strong", colour=False) == "word"
    assert paint("", "strong", colour=True) == ""


def test_the_width_is_that_of_the_window(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert width() == 40
