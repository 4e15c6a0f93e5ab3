"""Every command, run as a user does, in a home of its own: under umask 0, watched, and cut off from all networks."""

import atexit
import functools
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from notesearch.cli import COMMANDS

SAMPLE_NOTES = Path(__file__).parents[2] / "sample_notes"
GUARD = Path(__file__).parent / "guard"
FOLDERS = ("cooking", "distributed-systems")
_ISOLATED = ["unshare", "--map-root-user", "--net"]


@functools.cache
def can_isolate() -> bool:
    """Whether commands can be run in a network namespace without any interface."""
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*_ISOLATED, "true"], capture_output=True, timeout=30).returncode == 0


@functools.cache
def preloaded_guard() -> Path | None:
    """A library that ends a command whose native parts ask a network for something; `None` without a compiler."""
    compiler = shutil.which("cc")
    if not compiler:
        return None
    library = Path(tempfile.mkdtemp(prefix="notesearch-tests-")) / "no_network.so"
    atexit.register(shutil.rmtree, library.parent, ignore_errors=True)
    source = GUARD / "no_network.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60)
    return library


@dataclass
class Home:
    """The home of a user who has notes, and nothing else.

    Attributes:
        root: All that commands may touch is in here.
        umask: What commands begin with.
        done: What was run, and what came of it.
    """

    root: Path
    umask: int = 0
    done: list[subprocess.CompletedProcess[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for folder in (self.root, self.home, self.temporary):
            folder.mkdir(mode=0o700)
        for name in FOLDERS:
            shutil.copytree(SAMPLE_NOTES / name, self.notes / name)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def notes(self) -> Path:
        return self.root / "notes"

    @property
    def environment(self) -> dict[str, str]:
        own = ("NOTESEARCH_", "XDG_", "HF_", "ORT_", "CI", "GITHUB_ACTIONS", "COLUMNS", "PYTHONPATH")
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(own)},
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": os.pathsep.join([str(GUARD), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "WATCHED_FOLDER": str(self.root),
            "LD_PRELOAD": str(preloaded_guard() or ""),
        }

    def run(self, *arguments: object, standard_input: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a command."""
        isolated = _ISOLATED if can_isolate() else []
        done = subprocess.run(
            [*isolated, sys.executable, "-m", "notesearch", *map(str, arguments)],
            env=self.environment,
            cwd=self.root,
            umask=self.umask,
            input=standard_input,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )
        self.done.append(done)
        return done

    def holds(self) -> dict[str, tuple[bytes, int, int, int]]:
        """All notes and folders of notes: bytes, modification time, mode and inode."""
        found = {}
        for path in [self.notes, *self.notes.rglob("*")]:
            status = path.lstat()
            data = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found[str(path)] = (data, status.st_mtime_ns, status.st_mode, status.st_ino)
        return found

    def open_to_others(self) -> dict[str, str]:
        """What commands have made and others than the owner may use in any way, with its mode."""
        made = [path for path in self.root.rglob("*") if not path.is_relative_to(self.notes) and not path.is_symlink()]
        modes = {str(path.relative_to(self.root)): stat.S_IMODE(path.stat().st_mode) for path in made}
        return {name: oct(mode) for name, mode in modes.items() if mode & 0o077}


def all_commands(home: Home) -> Sequence[Sequence[object]]:
    """What is run, in this order; nothing of it writes tags into notes.

    Of all commands only `tune` is missing, which takes minutes, and `watch`, which does not end.
    """
    note = home.notes / "cooking" / "kimchi.md"
    report = home.root / "report.html"
    concepts = home.root / "concepts.toml"
    return [
        ["index", home.notes],
        ["index"],
        *(["search", "how long does dough rise", "--mode", mode] for mode in ("lexical", "dense", "hybrid")),
        ["search", "quorum", "--rerank", "none", "--json"],
        ["search", "quorum", "--explain"],
        ["rerank", "which soup is quick", note, home.notes / "cooking" / "dashi.md"],
        ["tag", note],
        ["tag", "--labels", "food, computers", "--min-score", "0", note],
        ["train-classifier", "--quick"],
        ["tag", note],
        ["tag", note, "--min-score", "0.1", "--dry-run"],
        ["accept", "what to do with cabbage", note],
        ["concepts", "suggest"],
        ["concepts", "list", "--concepts", concepts],
        ["eval", home.notes / "cooking", "--stage", "lexical", "--stage", "dense", "--html", report],
        ["index", "--rebuild"],
        ["similar", note],
        ["links", home.notes / "cooking" / "dal.md"],
        ["duplicates"],
        ["tags"],
        ["properties"],
        ["open", note, "--obsidian", "--print"],
        ["config"],
        ["status"],
        ["doctor"],
        ["mcp"],
        ["index", "--forget", home.notes],
    ]


def command_names() -> set[str]:
    """The names of all commands."""
    return {name for group in COMMANDS.values() for name in group}


def home_after_every_command(base: Path) -> tuple[Home, dict[str, tuple[bytes, int, int, int]]]:
    """Runs every command; returns the home, and what the notes were before."""
    home = Home(base / "home")
    (home.root / "concepts.toml").write_text('[concepts]\nsauerkraut = ["kimchi"]\n')
    (home.root / "concepts.toml").chmod(0o600)
    before = home.holds()
    for arguments in all_commands(home):
        home.run(*arguments)
    return home, before
