import io
import json
import re
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notesearch.cli.terminal import columns_of, fitted, harmless, json_text, paint, uses_colour, warn, width, write


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
        ("\ud800 alone", "\ufffd alone"),
        ("pass\u2060word\ufeff \u206f\ufff9\U000e0041", "pass\ufffdword\ufffd \ufffd\ufffd\ufffd"),
        ("می‌خواهم 👩‍🚀 ខ្មែរ\u200bអក្សរ e\u0301", "می‌خواهم 👩‍🚀 ខ្មែរ\u200bអក្សរ e\u0301"),
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
    assert paint("word", "strong") == "\x1b[1;33mword\x1b[0m"
    assert paint("", "strong") == ""


def test_the_width_is_that_of_the_window(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert width() == 40


HOSTILE = "\x1b[8mhidden\x1b[0m \x9b31m \u202egnp.exe \x07\x08\r \ud800 \U000e0041 [red]"
any_text = st.text(st.one_of(st.sampled_from("\x1b\x9b\u202e\ud800\U000e0041\t\n[m"), st.characters(codec="utf-8")))


def test_a_pipe_gets_exactly_what_is_written(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    write([HOSTILE, "\n"])
    assert sys.stdout.getvalue() == f"{HOSTILE}\n"


@example([HOSTILE])
@given(st.lists(any_text))
def test_a_terminal_gets_lines_columns_and_our_own_colours_and_nothing_else_that_it_would_obey(pieces):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", Terminal())
        write([*pieces, paint("match", "strong"), "\n"])
        shown = sys.stdout.getvalue()
    assert shown.endswith("\x1b[1;33mmatch\x1b[0m\n")
    bare = re.sub("\x1b\\[(?:0|1|2|1;33|33|2;33|36|32)m|[\t\n]", "", shown)
    assert all(unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in bare)
    assert bare == harmless(bare)


@example({HOSTILE: [HOSTILE, 1.5, None]})
@given(st.recursive(any_text, lambda inner: st.lists(inner) | st.dictionaries(any_text, inner)))
def test_json_is_exact_and_does_nothing_to_a_terminal(value):
    for indent in (None, 2):
        text = json_text(value, indent=indent)
        assert json.loads(text) == value
        assert harmless(text.replace("\n", "")) == text.replace("\n", "")


@given(any_text | st.text("豆a\u0301"), st.integers(1, 30))
def test_a_text_is_fitted_into_exactly_so_many_columns(text, width):
    shown = fitted(text, width)
    assert columns_of(shown) == width
    if columns_of(harmless(text)) <= width:
        assert shown.rstrip(" ") == harmless(text).rstrip(" ")


def test_a_long_text_is_fitted_in_linear_time():
    assert fitted("é" * 1_000_000, 5) == "éééé…"
