"""Nothing asks a network for anything: neither notesearch nor the libraries that it stands on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .every_command import (
    Home,
    all_commands,
    can_isolate,
    command_names,
    home_after_every_command,
    preloaded_guard,
)

ISOLATED = pytest.mark.skipif(not can_isolate(), reason="this system gives no network namespace to a user")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return home_after_every_command(tmp_path_factory.getbasetemp())[0]


def test_every_command_works_without_a_network(home: Home) -> None:
    # The guard ends a command with 99 where it asks for anything: that a command went on says nothing.
    failed = [(done.args, done.returncode, done.stderr) for done in home.done if done.returncode != 0]
    assert failed == []
    assert len(home.done) == len(all_commands(home))


def test_that_was_every_command(home: Home) -> None:
    assert command_names() - {str(arguments[0]) for arguments in all_commands(home)} == {"tune", "watch"}


def test_nothing_was_told_to_keep_off_the_network(home: Home) -> None:
    assert not {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "ORT_DISABLE_TELEMETRY"} & home.environment.keys()


@pytest.mark.parametrize("code", ["socket.create_connection(('127.0.0.1', 9))", "socket.getaddrinfo('localhost', 80)"])
@pytest.mark.parametrize("guard", ["PYTHONPATH", "LD_PRELOAD"])
def test_each_guard_ends_what_asks_a_network(home: Home, guard: str, code: str) -> None:
    if guard == "LD_PRELOAD" and preloaded_guard() is None:
        pytest.skip("there is no C compiler")
    environment = {**os.environ, guard: home.environment[guard]}
    done = subprocess.run([sys.executable, "-c", f"import socket; {code}"], env=environment, capture_output=True)
    assert done.returncode == 99, done.stderr
    assert b"guard: " in done.stderr


@ISOLATED
def test_commands_are_cut_off_from_all_networks() -> None:
    code = "import socket; socket.create_connection(('127.0.0.1', 9), timeout=5)"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, "-c", code], capture_output=True, encoding="utf-8"
    )
    assert "Network is unreachable" in done.stderr


@ISOLATED
def test_a_model_that_would_have_to_be_fetched_is_told_without_a_traceback(home: Home, tmp_path: Path) -> None:
    environment = {name: value for name, value in home.environment.items() if name not in ("PYTHONPATH", "LD_PRELOAD")}
    command = ["index", home.notes, "--index-dir", tmp_path / "index", "--model", "nobody/no-such-model"]
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, "-m", "notesearch", *command],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 2
    assert "nobody/no-such-model" in done.stderr and "network" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_runtime_that_would_tell_its_maker_is_told_not_to() -> None:
    code = "import notesearch.encoders, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, encoding="utf-8")
    assert done.stdout == "1\n"
