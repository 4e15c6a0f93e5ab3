"""What a wheel of notesearch holds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from doc_examples import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from a copy: setuptools leaves what it builds beside the sources."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE", "constraints.txt"):
        shutil.copy(ROOT / name, copy)
    for name in ("notesearch", "docs", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    (built,) = (copy / "dist").glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_the_whole_package(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if name.startswith("notesearch/")}
    files = (path for path in (ROOT / "notesearch").rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    assert held == {str(path.relative_to(ROOT)) for path in files}


def test_the_wheel_brings_the_manual_page_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    others = {name.partition(os.sep)[2] for name in wheel.namelist() if not name.startswith("notesearch/")}
    assert {name for name in others if name.startswith("data/")} == {"data/share/man/man1/notesearch.1"}
    assert all(name.startswith(("data/", "licenses/")) or "/" not in name for name in others)


def test_its_entry_point_is_the_program(wheel: zipfile.ZipFile) -> None:
    (entry_points,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "notesearch = notesearch.cli:run_and_exit" in wheel.read(entry_points).decode()


def test_its_readme_is_the_readme(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
    assert wheel.read(metadata).decode().endswith(Path(ROOT / "README.md").read_text(encoding="utf-8"))
