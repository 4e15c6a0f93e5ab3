"""SIGTERM lets a command clear up behind itself, but not for long."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

UNWINDING = """
import sys, tempfile, threading
from notesearch.cli.process import ending_at_sigterm

with ending_at_sigterm(), tempfile.TemporaryDirectory(dir=sys.argv[1]) as directory:
    print(directory, flush=True)
    threading.Event().wait()
"""
# Python's own handlers cannot run before a call into C is over; this one would take hours.
IN_C = """
import hashlib
from notesearch.cli.process import ending_at_sigterm

with ending_at_sigterm():
    print("in C", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""


def terminated(program: str, *arguments: object) -> tuple[str, int]:
    """What a program printed before it was sent SIGTERM, and its exit status."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = process.stdout.readline().strip()
        process.send_signal(signal.SIGTERM)
        return printed, process.wait(60)


def test_temporary_files_are_removed(tmp_path: Path) -> None:
    directory, code = terminated(UNWINDING, tmp_path)
    assert code == 143
    assert Path(directory).parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_long_call_into_c_does_not_hold_it_up() -> None:
    assert terminated(IN_C) == ("in C", 143)


def test_afterwards_the_signal_does_what_it_did_before() -> None:
    from notesearch.cli.process import ending_at_sigterm

    before = signal.getsignal(signal.SIGTERM)
    with ending_at_sigterm():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    with pytest.raises(ZeroDivisionError), ending_at_sigterm():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGTERM) == before


TWICE = """
import signal, sys, threading, time
import notesearch.cli as cli

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what runs in the background ignore it

def wait():
    while True:  # Python overlooks a signal that comes just before a long wait
        time.sleep(0.05)

def work(prog_name):
    threading.Thread(target=time.sleep, args=[3600]).start()  # as one that encodes
    try:
        print("at work", flush=True)
        wait()
    finally:
        print("clearing up", flush=True)
        wait()

cli.app = work
cli.run_and_exit()
"""


def test_a_second_ctrl_c_ends_a_command_whose_threads_are_at_work() -> None:
    with subprocess.Popen([sys.executable, "-c", TWICE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for said in ("at work", "clearing up"):
            assert process.stdout.readline().strip() == said
            process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) == 130
        finally:
            process.kill()
