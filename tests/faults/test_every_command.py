"""What holds for every command: it asks no network for anything, what it makes is for its owner only, notes stay whole.

The commands are run once for all these tests, which is why they stand in one file.
"""

import os
import re
import stat
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

Notes = dict[str, tuple[bytes, int, int, int]]


@pytest.fixture(scope="module")
def every_command(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Notes]:
    return home_after_every_command(tmp_path_factory.mktemp("every-command"))


@pytest.fixture(scope="module")
def home(every_command: tuple[Home, Notes]) -> Home:
    return every_command[0]


@pytest.fixture
def own_home(tmp_path: Path, every_command: tuple[Home, Notes]) -> Home:
    """Another home, with a model that is prepared already."""
    home = Home(tmp_path / "own")
    encoders = Path(".cache", "notesearch", "encoders")
    (home.home / ".cache").mkdir(mode=0o700)
    (home.home / ".cache" / "notesearch").mkdir(mode=0o700)
    (home.home / encoders).symlink_to(every_command[0].home / encoders)
    return home


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


def made_by(home: Home) -> list[Path]:
    """What commands have made, the prepared model aside."""
    return [path for path in home.root.rglob("*") if not path.is_relative_to(home.notes) and not path.is_symlink()]


def test_nothing_is_open_to_others_under_umask_0(every_command: tuple[Home, Notes]) -> None:
    # While commands ran, the guard saw to it that nothing was so for a moment: it ends them with 98.
    home, _ = every_command
    assert home.umask == 0
    assert [done.stderr for done in home.done if done.returncode == 98] == []
    assert home.open_to_others() == {}
    made = {path.name for path in made_by(home)}
    expected = "notes.db writer.lock accepted.jsonl heads.safetensors model.onnx encoder.json report.html"
    assert made >= set(expected.split())


def test_the_notes_stay_as_they_were(every_command: tuple[Home, Notes]) -> None:
    home, before = every_command
    assert home.holds() == before


def test_nothing_is_left_in_other_places(every_command: tuple[Home, Notes]) -> None:
    home, _ = every_command
    assert {path.name for path in home.root.iterdir()} == {"home", "tmp", "notes", "concepts.toml", "report.html"}
    folders = {".cache", ".cache/notesearch", ".local", ".local/share", ".local/share/notesearch"}
    made = {str(path.relative_to(home.home)) for path in home.home.rglob("*")}
    assert folders == {path for path in made if not re.match(r"\.(cache|local/share)/notesearch/", path)}
    assert list(home.temporary.iterdir()) == []


def test_reports_load_nothing(every_command: tuple[Home, Notes]) -> None:
    home, _ = every_command
    pages = list(home.root.rglob("*.html"))
    assert len(pages) == 2
    for page in pages:
        html = page.read_text(encoding="utf-8")
        policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', html)
        assert policy, page
        assert policy[1].startswith("default-src 'none'; style-src 'unsafe-inline'")
        assert not re.search(r"<(script|link|img|iframe|object|embed|base|form)\b|\b(src|href)=|url\(|@import", html), (
            page
        )


def test_a_umask_that_denies_the_owner_all_is_no_obstacle(own_home: Home) -> None:
    own_home.umask = 0o777
    note = own_home.notes / "cooking" / "kimchi.md"
    for arguments in (["index", own_home.notes], ["search", "cabbage"], ["accept", "cabbage", note]):
        done = own_home.run(*arguments)
        assert done.returncode == 0, done.stderr
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made_by(own_home) if path.is_file()}
    assert modes == dict.fromkeys(modes, 0o600)
    assert {"notes.db", "accepted.jsonl", "writer.lock"} <= modes.keys()
    folders = {stat.S_IMODE(path.stat().st_mode) for path in made_by(own_home) if path.is_dir()}
    assert folders == {0o700}


def test_in_a_folder_that_others_may_read_they_may_read_no_file(own_home: Home) -> None:
    index_dir = own_home.root / "index"
    index_dir.mkdir()
    index_dir.chmod(0o755)
    for arguments in (["index", own_home.notes], ["accept", "cabbage", own_home.notes / "cooking" / "kimchi.md"]):
        assert own_home.run(*arguments, "--index-dir", index_dir).returncode == 0
    assert stat.S_IMODE(index_dir.stat().st_mode) == 0o755
    files = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in index_dir.iterdir()}
    assert files == dict.fromkeys(files, "0o600")


def test_tags_are_written_into_the_notes_that_are_named_and_nowhere_else(own_home: Home) -> None:
    before = own_home.holds()
    assert own_home.run("index", own_home.notes).returncode == 0
    note = own_home.notes / "cooking" / "freezer-inventory.md"
    assert own_home.run("tag", note, "--apply", "--min-score", "0.5").returncode == 0
    after = own_home.holds()
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {str(note), str(note.parent)}
    assert before.keys() == after.keys()
    assert stat.S_IMODE(after[str(note)][2]) == stat.S_IMODE(before[str(note)][2])
    assert own_home.run("tag", "--undo").returncode == 0
    assert own_home.holds()[str(note)][0] == before[str(note)][0]
    assert own_home.open_to_others() == {}


def test_notes_that_may_not_be_written_are_no_obstacle(own_home: Home) -> None:
    for path in [own_home.notes, *own_home.notes.rglob("*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    before = own_home.holds()
    try:
        for arguments in (["index", own_home.notes], ["index"], ["search", "cabbage"], ["tag", own_home.notes]):
            done = own_home.run(*arguments)
            assert done.returncode == 0, done.stderr
        assert own_home.holds() == before
    finally:
        for path in [own_home.notes, *own_home.notes.rglob("*")]:
            path.chmod(0o700)
