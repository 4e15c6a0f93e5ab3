"""The examples of the README are run as they stand, on a copy of the sample notes in a new home."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def transcripts() -> list[tuple[str, str]]:
    """The commands of the console blocks, in order, each with the output that the README shows for it."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for example in block.removeprefix("$ ").split("\n$ "):
            command, _, output = example.partition("\n")
            found.append((command, output))
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home") / "nora"
    home.mkdir()
    shutil.copytree(ROOT / "sample_notes", home / "notes")
    return home


def run(command: str, home: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("NOTESEARCH", "XDG"))}
    environment |= {"HOME": str(home), "COLUMNS": "80", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    # Both streams in one, as a terminal shows them.
    done = subprocess.run(
        ["sh", "-c", command], cwd=home, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def comparable(output: str, home: Path) -> str:
    """An output without what differs from run to run: the time taken, the home, and digits of scores."""
    output = output.replace(str(home), "/home/nora")
    output = re.sub(r"\d+\.\d s\.", "0.0 s.", output)
    return re.sub(r'("score": \d+\.\d)\d*', r"\1", output)


def test_the_transcripts_are_what_the_program_prints(home: Path) -> None:
    examples = transcripts()
    assert len(examples) >= 10
    for command, shown in examples:
        printed = comparable(run(command, home), home).rstrip("\n")
        expected = comparable(shown, home).rstrip("\n")
        if not expected:  # the README shows only the command
            assert printed
        elif expected.endswith("\n…"):  # the README shows the beginning
            assert printed.startswith(expected.removesuffix("\n…")), command
        else:
            assert printed == expected, command


def test_the_python_example_runs(home: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (home / "example.py").write_text(example, encoding="utf-8")
    run("notesearch index --quiet notes", home)
    assert "impermanence.md" in run("python example.py", home)


def test_the_options_in_the_readme_exist(home: Path) -> None:
    known = "".join(
        run(f"notesearch {command} --help", home)
        for command in (
            "index",
            "search",
            "rerank",
            "tag",
            "train-classifier",
            "eval",
            "concepts suggest",
            "tune",
            "status",
            "doctor",
            "open",
            "similar",
            "duplicates",
        )
    )
    for option in set(re.findall(r"`(?:[^`]* )?(--[a-z][a-z-]+)", README)) - {"--install-completion"}:
        assert option in known, option
