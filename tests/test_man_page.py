"""The manual page is made from the help, as it is now."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from doc_examples import ROOT

PAGE = ROOT / "docs" / "notesearch.1"


def test_the_page_is_what_the_help_says_now() -> None:
    made = subprocess.run([sys.executable, ROOT / "docs" / "man_page.py"], capture_output=True, text=True, check=True)
    assert made.stdout == PAGE.read_text(encoding="utf-8"), "make man"


def test_the_wheel_puts_it_where_man_looks() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert settings["data-files"] == {"share/man/man1": ["docs/notesearch.1"]}


def test_groff_renders_it_without_a_warning() -> None:
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    command = ["groff", "-man", "-ww", "-Tutf8", "-P-cbou", PAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"})
    assert done.stderr == ""
    text = " ".join(done.stdout.split())
    for part in (
        "notesearch search [OPTIONS] [QUERY|-]… Find the notes",
        "-n, --limit N The most hits",
        "notesearch concepts suggest [OPTIONS]",
        'Example: notesearch search "how to trade off consistency vs partition tolerance"',
        "EXIT STATUS 0 done, or found",
        "NOTESEARCH_INDEX_DIR the directory of the index",
    ):
        assert part in text
    assert not re.search(r"\\|\[u[0-9A-F]{4}\]|`", text)
