"""What the pages of the documentation tell people to type, and a home to type it in.

A page is read from its beginning to its end, as a person would follow it, in a home with the sample notes:

- a block whose first line is a comment that names a file (`# ~/.config/notesearch/config.toml`) is written there;
- a `console` block is run command by command, and has to print what stands below each: nothing below it means that
  anything may be printed, and a line of `…` stands for any lines;
- an `sh` block is run as a whole, unless it holds what cannot be run here; then its commands are read only;
- a `python` block is run.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
# The figures have been measured by hand, and say themselves by which command.
PAGES = sorted(
    (page for page in [README, *(ROOT / "docs").glob("*.md")] if page.name != "benchmarks.md"),
    key=lambda page: page.name,
)

# `watch` never ends, `tune` takes minutes, and what is on a hub would have to be fetched.
NOT_TO_BE_RUN = re.compile(r"notesearch (?:watch|tune|--install-completion)\b|cross-encoder/ms-marco")

_LAST_CHANGE = datetime(2026, 1, 31, 12).timestamp()

# Programs that the pages speak of, and that do something else here, or nothing.
STAND_INS = {
    **dict.fromkeys(["nvim", "xdg-open", "open", "pip", "pipx", "systemctl", "journalctl"], ":"),
    "make": f'exec {shutil.which("make")} --dry-run -C {shlex.quote(str(ROOT))} "$@"',
    "sqlite-utils": f'exec {sys.executable} -m sqlite_utils "$@"',
    "rg": 'exec grep -r "$@"',  # it knows the options that the pages use
}


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    language: str
    text: str

    @property
    def file(self) -> str:
        """The file that its first line names, without the `~/`; empty where it names none."""
        named = re.match(r"# ~/([^\s,]+)", self.text)
        return named[1] if named else ""

    def commands(self) -> list[tuple[str, str]]:
        """The commands of a `console` block, each with the output that is shown for it."""
        examples = self.text.removeprefix("$ ").split("\n$ ")
        return [(command, output) for command, _, output in (example.partition("\n") for example in examples)]


def blocks_of(page: Path, language: str = "") -> list[Block]:
    """The blocks of code of a page, all or those in one language."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [Block(*block) for block in found if language in ("", block[0])]


def spans_of(page: Path) -> list[str]:
    """What stands between backticks in the running text of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [span.replace("\\|", "|").replace("\n", " ") for span in re.findall(r"`([^`]+)`", text)]


def notesearch_commands(text: str) -> Iterator[list[str]]:
    """The arguments of each `notesearch …` in some lines of shell, or of a unit or a crontab."""
    for line in text.replace("\\\n", " ").splitlines():
        words = list(shlex.shlex(line, posix=True, punctuation_chars=True))
        starts = [number for number, word in enumerate(words) if word.rpartition("/")[2] == "notesearch"]
        for start in starts:
            rest = words[start + 1 :]
            ends = (number for number, word in enumerate(rest) if set(word) <= set("();<>|&") or word == "notesearch")
            yield rest[: next(ends, len(rest))]


class Home:
    """The home of a user called nora, with the sample notes in ~/notes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "nora"
        self._programs = folder / "programs"
        self._kept = folder / "kept"
        shutil.copytree(ROOT / "sample_notes", self.path / "notes")
        for note in (self.path / "notes").rglob("*.*"):  # the date of those that name none
            os.utime(note, (_LAST_CHANGE, _LAST_CHANGE))
        self._programs.mkdir()
        for name, script in STAND_INS.items():
            add_program(self._programs, name, script)

    def keep(self) -> None:
        """Keeps it as it is, for `restore`."""
        shutil.copytree(self.path, self._kept, symlinks=True)

    def restore(self) -> None:
        """Makes it what it was when it was kept."""
        shutil.rmtree(self.path)
        shutil.copytree(self._kept, self.path, symlinks=True)

    def write(self, name: str, text: str) -> None:
        """Writes a file, and makes the folders that it is in."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text, encoding="utf-8")

    def run(self, command: str) -> str:
        """Runs a command in the shell and returns what it prints on both streams, as a terminal shows them.

        Fails where the command does.
        """
        settings = ("NOTESEARCH", "XDG", "EDITOR", "VISUAL")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
        path = f"{self._programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment |= {"HOME": str(self.path), "COLUMNS": "80", "PATH": path}
        done = subprocess.run(
            ["sh", "-e", "-c", command],
            cwd=self.path,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    def comparable(self, output: str) -> str:
        """An output without what differs from run to run: the time taken, the home, today, and digits of scores."""
        output = output.replace(f"  {date.today().isoformat()}\n", "  2026-01-31\n")
        output = output.replace(str(self.path), "/home/nora")
        output = output.replace(quote(str(self.path), safe=""), quote("/home/nora", safe=""))
        output = re.sub(r"\d+\.\d s\.", "0.0 s.", output)
        output = re.sub(r"(?<=, )\d+ s$", "0 s", output, flags=re.MULTILINE)
        output = re.sub(r"(±\d\.\d{3} +)\d+", r"\1 0", output)  # seconds, of a method of tagging
        output = re.sub(r" +\d+\.\d$", " 0.0", output, flags=re.MULTILINE)  # milliseconds a query
        output = re.sub(r'("score": \d+\.\d)\d*', r"\1", output)
        return output.rstrip("\n")

    def shows(self, printed: str, shown: str) -> bool:
        """Says whether a command prints what a page shows for it."""
        pattern = re.escape(self.comparable(shown))
        # A line of … stands for lines, none perhaps.
        pattern = re.sub(r"(?:^|\\\n)…(?=\\\n|$)", "(?s:.*)", pattern)
        return re.fullmatch(pattern, self.comparable(printed)) is not None


def add_program(folder: Path, name: str, script: str) -> None:
    """Writes a program of the shell."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o700)
