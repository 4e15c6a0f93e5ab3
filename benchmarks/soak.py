"""A vault that is worked in for a long time: rounds of editing, indexing and searching in one process.

    python benchmarks/soak.py --rounds 2000

Prints, every so often, the memory of the process, the size of the index and the time of a round; in the end, whether
the index holds what one made from nothing holds, and whether both find the same.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
from indexing.vault import contents

from notesearch.evaluation.collections import general_set
from notesearch.library.index import sync_index
from notesearch.library.search import open_index
from notesearch.records import Hit
from notesearch.settings import Settings

_FIRST_NOTES = 200
_ROWS = 20
_QUERIES = 200
_LONG_AGO_S = 10_000_000


class Owner:
    """Somebody who writes, rewrites, moves and throws away notes."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self._passages = general_set().passages
        self._written = 0
        self._now_s = int(time.time()) - _LONG_AGO_S

    def write(self, path: Path | None = None) -> None:
        """Writes a note, or another text into one."""
        self._written += 1
        path = path or self._folder / f"{self._random.randrange(20):02}" / f"note {self._written}.md"
        path.parent.mkdir(exist_ok=True)
        paragraphs = self._random.sample(self._passages, self._random.randint(1, 6))
        tags = ", ".join(self._random.sample(["tea", "work", "cooking", "ideas/old"], 2))
        path.write_text(f"---\ntags: [{tags}]\n---\n# Note {self._written}\n\n" + "\n\n".join(paragraphs))
        self._age(path)

    def work(self) -> None:
        """Does something to one to three notes."""
        for _ in range(self._random.randint(1, 3)):
            notes = sorted(self._folder.rglob("*.md"))
            what = self._random.choices(["write", "rewrite", "move", "delete", "touch"], [35, 35, 10, 15, 5])[0]
            note = self._random.choice(notes)
            if what == "write":
                self.write()
            elif what == "rewrite":
                self.write(note)
            elif what == "move":
                self._written += 1
                note.rename(note.with_name(f"moved {self._written}.md"))
            elif what == "delete":
                note.unlink()
            else:
                self._age(note)

    def query(self) -> str:
        """A few words that stand in some note."""
        words = self._random.choice(self._passages).split()
        start = self._random.randrange(max(1, len(words) - 5))
        return " ".join(words[start : start + 5])

    def _age(self, path: Path) -> None:
        # Each change is later than the one before, and long past, as in a vault that is indexed once an hour.
        self._now_s += 3
        os.utime(path, (self._now_s, self._now_s))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        soak(Path(directory), arguments.rounds, arguments.seed)


def soak(directory: Path, rounds: int, seed: int) -> None:
    folder, settings = directory / "notes", Settings(directory / "index")
    folder.mkdir()
    owner = Owner(folder, seed)
    for _ in range(_FIRST_NOTES):
        owner.write()
    sync_index(settings, [folder])
    print(
        f"{'round':>6} {'notes':>6} {'text kB':>8} {'index kB':>9} {'index/text':>10} {'RSS MB':>7} {'ms a round':>10}"
    )
    started = time.monotonic()
    for number in range(1, rounds + 1):
        owner.work()
        sync_index(settings, [])
        with open_index(settings.index_dir) as index:
            assert index.search(owner.query())
        if number % max(1, rounds // _ROWS) == 0:
            report(number, folder, settings.index_dir, (time.monotonic() - started) / (rounds // _ROWS))
            started = time.monotonic()
    compare(owner, folder, settings.index_dir, directory / "fresh")


def report(number: int, folder: Path, index_dir: Path, seconds: float) -> None:
    notes = list(folder.rglob("*.md"))
    text = sum(path.stat().st_size for path in notes)
    size = sum(path.stat().st_size for path in index_dir.iterdir())
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    resident = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    row = f"{number:6} {len(notes):6} {text / 1e3:8.0f} {size / 1e3:9.0f} {size / text:10.2f} {resident:7.0f}"
    print(f"{row} {seconds * 1e3:10.0f}", flush=True)


def compare(owner: Owner, folder: Path, index_dir: Path, fresh_dir: Path) -> None:
    sync_index(Settings(fresh_dir), [folder])
    print("contents equal to a fresh index:", contents(index_dir) == contents(fresh_dir))
    queries = [owner.query() for _ in range(_QUERIES)]
    with open_index(index_dir) as index, open_index(fresh_dir) as fresh:
        same = sum(are_same(index.search(query), fresh.search(query)) for query in queries)
    print(f"results equal for {same} of {_QUERIES} queries")
    sizes = [sum(path.stat().st_size for path in directory.iterdir()) for directory in (index_dir, fresh_dir)]
    print(f"size against a fresh index: {sizes[0] / sizes[1]:.2f}")


def are_same(hits: list[Hit], others: list[Hit]) -> bool:
    """The same notes in the same order; the last bits of a score depend on where a vector lies in its matrix."""
    scores, other_scores = ([hit.score for hit in found] for found in (hits, others))
    return [hit.path for hit in hits] == [hit.path for hit in others] and np.allclose(scores, other_scores, atol=1e-5)


if __name__ == "__main__":
    main()
