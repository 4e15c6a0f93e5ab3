import subprocess
import sys

import pytest
import typer

from notesearch import __version__
from notesearch.cli import app

COMMANDS = sorted(str(command.name) for command in app.registered_commands)


def test_the_version(run):
    done = run("--version")
    assert (done.code, done.out, done.err) == (0, f"notesearch {__version__}\n", "")


def test_the_commands_of_the_contract_are_there():
    assert {"index", "search", "eval"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help_with_an_example(run, command, flag):
    done = run(command, flag)
    assert (done.code, done.err) == (0, "")
    assert "Usage: notesearch" in done.out
    assert f"Example: notesearch {command} " in " ".join(done.out.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_quiet_and_verbose(run, command):
    out = run(command, "--help").out
    usage = out.splitlines()[0].split(command)[1]
    assert usage == usage.upper()
    assert "--quiet" in out and "--verbose" in out


def test_help_has_no_escape_codes(run):
    assert "\x1b" not in run("--help").out


@pytest.mark.parametrize("arguments", [["frobnicate"], ["--frobnicate"]])
def test_what_is_no_command_exits_with_2(run, arguments):
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert arguments[0] in done.err and "Traceback" not in done.err


def test_without_a_command_there_is_help(run):
    done = run()
    assert "Usage: notesearch" in done.out + done.err
    assert all(command in done.out + done.err for command in COMMANDS)


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


def test_the_package_can_be_run_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "notesearch", "--version"], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout == f"notesearch {__version__}\n"


def test_shell_completion_is_offered():
    assert isinstance(app, typer.Typer)
    done = subprocess.run(
        [sys.executable, "-m", "notesearch", "--help"], capture_output=True, encoding="utf-8", check=True
    )
    assert "--install-completion" in done.stdout
