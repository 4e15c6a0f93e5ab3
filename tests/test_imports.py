"""What commands import: imports are most of the time that a cold command takes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli.sample_index import SampleIndex, sample_index

# Runs a command as the console script does, and lists on stderr what it imported.
RUN_AND_LIST = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
from notesearch.cli import main
main()
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleIndex:
    return sample_index(tmp_path_factory.getbasetemp())


def imported_by(sample: SampleIndex, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", RUN_AND_LIST, *arguments],
        env=sample.environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_search_imports_nothing_that_it_does_not_need(sample):
    imported = imported_by(sample, "search", "how to trade off consistency vs partition tolerance")
    assert {"numpy", "onnxruntime", "tokenizers"} <= imported, "this should have been a search by meaning"
    needless = {
        "torch",
        "transformers",
        "sentence_transformers",
        "sklearn",
        "scipy",
        "sqlite_utils",
        "huggingface_hub",
        "hnswlib",
        "onnx",
        "markdown_it",
        "yaml",
        "rich",
        "notesearch.retrieval.concepts",
    }
    assert imported & needless == set()
    assert (
        imported & {f"notesearch.cli.{other}" for other in ("index", "rerank", "similar", "tag", "tables", "editors")}
        == set()
    )


def test_lexical_search_imports_no_model_runtime(sample):
    imported = imported_by(sample, "search", "--mode", "lexical", "quorum")
    assert imported & {"onnxruntime", "tokenizers", "torch", "rich"} == set()


def test_index_with_nothing_changed_imports_nothing_that_it_does_not_need(sample, tmp_path):
    own_index = tmp_path / "index"
    shutil.copytree(sample.index_dir, own_index)
    imported = imported_by(sample, "index", "--index-dir", str(own_index))
    needless = {
        "torch",
        "transformers",
        "sentence_transformers",
        "onnx",
        "onnxruntime",
        "tokenizers",
        "hnswlib",
        "sqlite_utils",
    }
    assert imported & (needless | {"markdown_it", "yaml", "charset_normalizer", "rich"}) == set()


def test_index_of_one_changed_note_needs_no_torch(sample, tmp_path):
    own_index, notes = tmp_path / "index", tmp_path / "notes"
    shutil.copytree(sample.index_dir, own_index)
    notes.mkdir()
    (notes / "new.md").write_text("# A new note\n\nAbout tulips.")
    imported = imported_by(sample, "index", str(notes), "--index-dir", str(own_index))
    assert "onnxruntime" in imported, "a note should have been encoded"
    assert imported & {"torch", "transformers", "sentence_transformers", "onnx", "hnswlib"} == set()


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import notesearch", {"numpy", "sqlite3", "typer", "platformdirs"}),
        ("import notesearch.cli", {"numpy", "sqlite3", "rich", "notesearch.library.search"}),
        ("from notesearch import Hit", {"numpy", "sqlite3"}),
        ("from notesearch import open_index", {"torch", "transformers", "onnxruntime", "huggingface_hub", "typer"}),
    ],
)
def test_importing_the_package_is_cheap(statement, absent):
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert set(done.stdout.split()) & absent == set()
