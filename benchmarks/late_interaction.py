"""What late interaction costs: the time of MaxSim in a search, of coding while indexing, and the size of an index.

python benchmarks/late_interaction.py NOTES_DIR
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from indexing import read_passages
from measuring import NOTESEARCH, compare, print_comparison, run_command

from notesearch.encoders import Encoder, encoder
from notesearch.encoders.models import open_encoder, prepare
from notesearch.settings import DEFAULT_MODEL
from notesearch.storage import IndexReader

_QUERY = "how do I undo the last commit and keep the changes"
_CANDIDATES = 200
_COLD = """
import sys, time
from pathlib import Path
from notesearch.library.search import open_index
from notesearch.encoders.models import find_prepared, open_encoder
from notesearch.retrieval.late_interaction import LateQuery

with open_index(sys.argv[1]) as index:
    index.search(sys.argv[2], rerank="none")
    reader = index._reader
    encoder = open_encoder(find_prepared(reader.fingerprint.encoder))
    query = LateQuery.of(sys.argv[2], encoder, encoder.encode_query(sys.argv[2]), {}, 1000)
    ids = [row[0] for row in reader._query("SELECT chunk_id FROM embeddings ORDER BY chunk_id")]
    chosen = ids[:: len(ids) // int(sys.argv[3])][: int(sys.argv[3])]
    started = time.perf_counter()
    query.score(list(reader.token_codes(chosen).values()))
    print(1000 * (time.perf_counter() - started))
"""
_PASSAGES = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notes", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        index_dir = Path(temporary) / "index"
        index = ["--index-dir", str(index_dir)]
        run_command([*NOTESEARCH, "index", str(arguments.notes), *index, "--quiet"])
        print_size(index_dir)
        time_maxsim(index_dir, arguments.rounds)
        search = [*NOTESEARCH, "search", _QUERY, *index]
        commands = {"search --rerank none": [*search, "--rerank", "none"], "search": search}
        print_comparison(compare(commands, arguments.rounds), "search --rerank none")
    time_coding(open_encoder(prepare(DEFAULT_MODEL)), read_passages(arguments.notes)[:_PASSAGES], arguments.rounds)


def print_size(index_dir: Path) -> None:
    """Prints how large an index is beside the text of its notes."""
    reader = IndexReader(index_dir)
    text_bytes = sum(Path(row[0]).stat().st_size for row in reader._query("SELECT path FROM notes"))
    codes, chunks = reader._query("SELECT sum(length(codes)), count(*) FROM token_codes")[0]
    reader.close()
    size = sum(file.stat().st_size for file in index_dir.iterdir())
    part = f"{size / text_bytes:.2f} x the notes"
    print(f"{chunks:,} chunks; index {size / 1e6:.1f} MB = {part}, codes {codes / 1e6:.1f} MB")


def time_maxsim(index_dir: Path, rounds: int) -> None:
    """Prints the time that a search takes to read the codes of 200 chunks and to score them, cold."""
    command = [sys.executable, "-c", _COLD, str(index_dir), _QUERY, str(_CANDIDATES)]
    milliseconds = [float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(rounds)]
    print(
        f"MaxSim over {_CANDIDATES} chunks, read and scored in a process that did neither before: "
        f"median {statistics.median(milliseconds):.1f} ms, {min(milliseconds):.1f}-{max(milliseconds):.1f}"
    )


def time_coding(opened: Encoder, passages: list[str], rounds: int) -> None:
    """Prints the time to encode passages with token codes and without, in turn."""
    kept = encoder.word_vectors, encoder.coded_words, encoder.compress
    with_codes, without = [], []
    for _ in range(rounds):
        with_codes.append(_seconds(lambda: opened.encode_passages(passages)))
        encoder.word_vectors = lambda *_: None  # type: ignore[assignment, return-value]
        encoder.coded_words = lambda *_: []
        encoder.compress = lambda *_: b""
        without.append(_seconds(lambda: opened.encode_passages(passages)))
        encoder.word_vectors, encoder.coded_words, encoder.compress = kept
    ratio = statistics.median(a / b for a, b in zip(with_codes, without, strict=True))
    print(
        f"encoding {len(passages)} passages: with codes {statistics.median(with_codes):.2f} s, "
        f"without {statistics.median(without):.2f} s, ratio {ratio:.3f}"
    )


def _seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
