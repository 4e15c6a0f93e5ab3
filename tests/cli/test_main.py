import subprocess
import sys
import warnings

import pytest
import typer.main

from notesearch import __version__
from notesearch.cli import COMMANDS, app

SUMMARIES = {name: summary for group in COMMANDS.values() for name, (_, summary) in group.items()}
PROGRAM = typer.main.get_command(app)


def all_commands(group, *above):
    """Each command with the words that call it, those below other commands too."""
    for name, command in group.commands.items():
        yield (*above, name), command
        if hasattr(command, "commands"):
            yield from all_commands(command, *above, name)


every_command = pytest.mark.parametrize(
    "words", [words for words, _ in all_commands(PROGRAM)], ids=lambda words: " ".join(words)
)


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version(run, flag):
    done = run(flag)
    assert (done.code, done.out, done.err) == (0, f"notesearch {__version__}\n", "")


def test_the_package_can_be_run_as_a_module():
    command = [sys.executable, "-m", "notesearch", "--version"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == f"notesearch {__version__}\n"


def test_help_groups_the_commands_and_cuts_no_summary(run):
    lines = run("--help").out.splitlines()
    assert max(map(len, lines)) <= 80 and "\x1b" not in "".join(lines)
    for purpose, group in COMMANDS.items():
        start = lines.index(f"{purpose}:") + 1
        shown = [line.split(maxsplit=1) for line in lines[start : start + len(group)]]
        assert shown == [[name, summary] for name, (_, summary) in group.items()]
    assert any("--install-completion" in line for line in lines)
    assert any('notesearch search "' in line for line in lines)


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_is_the_first_line_of_the_commands_own_help(name):
    assert PROGRAM.commands[name].help.splitlines()[0] == SUMMARIES[name]


def test_without_a_command_there_is_help(run):
    done = run()
    assert done.out + done.err == run("--help").out


@every_command
def test_every_command_has_help_with_an_example(run, words):
    done = run(*words, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: notesearch {' '.join(words)} ")
    assert f"Example: notesearch {' '.join(words)}" in " ".join(done.out.split())
    assert max(map(len, done.out.splitlines())) <= 80
    assert run(*words, "-h") == run("help", *words) == done


@every_command
def test_every_command_can_be_quiet_and_verbose(run, words):
    out = run(*words, "--help").out
    usage = out.splitlines()[0].split(words[-1])[1]
    assert usage == usage.upper()
    assert ("--quiet" in out and "--verbose" in out) or "Commands:" in out


def test_help_without_a_command_is_the_help_of_all(run):
    assert run("help") == run("--help")


@pytest.mark.parametrize("arguments", [["frobnicate"], ["--frobnicate"], ["help", "frobnicate"]])
def test_an_unknown_command_exits_with_2(run, arguments):
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "frobnicate" in done.err and "Traceback" not in done.err


def test_a_command_that_is_nearly_right_is_named(run):
    assert "Did you mean 'search'" in run("serach").err


def test_error_messages_are_harmless(run):
    done = run("search", "--index-dir", "/no\x1b[2Jwhere", "salt")
    assert done.code == 2
    assert "\x1b" not in done.err and "\ufffd[2Jwhere" in done.err


def test_a_defect_is_not_hidden(run, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("notesearch.library.search.open_index", fail)
    with pytest.raises(ZeroDivisionError):
        run("search", "salt")


@pytest.mark.parametrize(("options", "shown"), [([], False), (["-W", "default"], True)])
def test_what_python_warns_of_is_shown_only_on_request(options, shown):
    program = "import re, notesearch.cli as cli; cli.app = lambda **_: re.compile('[[a]'); cli.main()"
    done = subprocess.run([sys.executable, *options, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert ("FutureWarning" in done.stderr) == shown


@pytest.mark.parametrize("pattern", ["[[a]*", "[a--b]", "[!a&&b]", "[a||b~~c]", "(?i)a", "\\d", "a{1", "["])
def test_no_pattern_of_a_user_makes_python_warn(run, fake_encoder, write_notes, pattern):
    folder = write_notes({"x.md": "Soup", ".gitignore": f"{pattern}\n", pattern: "no note"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run("index", folder)
        for words in (
            ["search", "soup", "--path", pattern],
            ["search", f'"{pattern}"'],
            ["search", "soup", "--tag", pattern],
        ):
            assert run(*words, "--mode", "lexical").code in (0, 1)
        assert run("status", "--why", folder / "x.md").code in (0, 1)
