import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from .sample_index import SAMPLE_NOTES

NOTES = {
    "cap.md": "---\ntags: [databases]\ndate: 2024-02-10\n---\n# CAP\n\nConsistency, partition, availability.",
    "raft.md": "---\ntags: [databases]\n---\n# Raft\n\nConsistency, partition, availability, leader. [[cap]]",
    "dal.md": "# Dal\n\nLentils, turmeric, salt.",
    "bread.md": "# Bread\n\nFlour, water, salt, patience.",
    "tyres.md": "# Tyres\n\nRubber, spokes, chain, grease.",
}


@pytest.fixture
def folder(fake_encoder, run, write_notes) -> Path:
    folder = write_notes(NOTES)
    assert run("index", folder, "--quiet").code == 0
    return folder


def test_a_person_is_told_why(folder, run, monkeypatch):
    monkeypatch.chdir(folder)
    outcome = run("similar", "cap.md", "--limit", 1)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        " 1. Raft",
        "    raft.md:4-6  2023-11-14",
        "    #databases",
        "    Consistency, partition, availability, leader. [[cap]]",
        "    5-7 meets 4-6: Consistency, partition, availability.",
        "    both: #databases; links to the note",
        "",
    ]


def test_explain_tells_the_parts(folder, run):
    explained = run("similar", folder / "cap.md", "--limit", 1, "--explain").out
    assert " words + " in explained and " meaning" in explained


def test_programs_get_all_formats(folder, run):
    (hit,) = json.loads(run("similar", folder / "cap.md", "-n", 1, "--json").out)
    assert (hit["rank"], hit["path"], hit["links"]) == (1, str(folder / "raft.md"), ["from"])
    assert hit["shared_tags"] == ["databases"]
    assert set(hit["meetings"][0]) == {
        *("start_line", "end_line", "heading", "snippet", "page"),
        *("hit_start_line", "hit_end_line", "hit_heading", "hit_page", "cosine"),
    }
    (line,) = run("similar", folder / "cap.md", "-n", 1, "--jsonl").out.splitlines()
    assert json.loads(line) == hit
    assert run("similar", folder / "cap.md", "-n", 1, "--files").out == f"{folder / 'raft.md'}\n"
    assert run("similar", folder / "cap.md", "-n", 1, "-0").out == f"{folder / 'raft.md'}\0"
    assert run("similar", folder / "cap.md", "-n", 1, "--tsv").out.split("\t")[2] == str(folder / "raft.md")
    assert run("similar", folder / "cap.md", "-n", 1, "--vimgrep").out.startswith(f"{folder / 'raft.md'}:4:1:Raft")


def test_unlinked(folder, run):
    assert "raft.md" not in run("similar", folder / "cap.md", "--unlinked", "--files").out


def test_nothing_found(folder, run):
    outcome = run("similar", folder / "cap.md", "--tag", "none")
    assert (outcome.code, outcome.out, outcome.err) == (1, "", "Nothing found.\n")
    assert run("similar", folder / "cap.md", "--tag", "none", "--quiet").err == ""
    assert run("similar", folder / "cap.md", "--tag", "none", "--json").out == "[]\n"


class Stdin(io.TextIOWrapper):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_text_on_stdin(folder, run, monkeypatch, encoding):
    monkeypatch.setattr("sys.stdin", Stdin("Flour, water, salt, patience, crème.".encode(encoding)))
    assert run("similar", "-", "--files", "-n", 1).out == f"{folder / 'bread.md'}\n"


@pytest.mark.parametrize("data", [b"", b"  \n"])
def test_an_empty_text_on_stdin(folder, run, monkeypatch, data):
    monkeypatch.setattr("sys.stdin", Stdin(data))
    outcome = run("similar", "-")
    assert outcome.code == 2
    assert "empty" in outcome.err and "similar -" in outcome.err


def test_no_stdin(folder, run, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    assert run("similar", "-").code == 2


def test_a_note_that_is_not_there(folder, run):
    outcome = run("similar", folder / "nowhere.md")
    assert (outcome.code, outcome.out) == (2, "")
    message, hint = outcome.err.splitlines()
    assert "nowhere.md: no such file" in message and "notesearch search" in hint


def test_a_terminal_is_not_sent_what_notes_hold(folder, run):
    (folder / "evil.md").write_text("# Evil \x1b[31m\n\nConsistency, partition, availability \x1b]0;x\x07 [[cap]].")
    run("index", "--quiet")
    shown = run("similar", folder / "cap.md").out
    assert "Evil" in shown and "\x1b" not in shown


def test_it_imports_nothing_that_it_does_not_need(sample):
    """On the sample notes, with the real model: nothing is encoded, so that no model runtime is loaded."""
    script = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        "from notesearch.cli import main\nmain()"
    )
    note = SAMPLE_NOTES / "distributed-systems" / "cap-theorem.md"
    done = subprocess.run(
        [sys.executable, "-c", script, "similar", str(note), "--files"],
        env=sample.environment,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert "distributed-systems" in done.stdout
    imported = set(json.loads(done.stderr.splitlines()[-1]))
    assert "numpy" in imported
    assert imported & {"torch", "transformers", "onnxruntime", "tokenizers", "scipy", "hnswlib", "markdown_it"} == set()
