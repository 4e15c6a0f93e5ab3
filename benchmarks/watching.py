"""How soon `notesearch watch` makes an edit findable, and what it costs while nothing changes.

    python benchmarks/watching.py NOTES_DIR

Works on a copy of the notes, edited as editors do: in place, by another file moved over the old one, by a new file.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from measuring import NOTESEARCH, run_command

from notesearch.library.warm import WarmIndex
from notesearch.settings import Settings

_LOOK_EVERY_S = 0.02
_LONGEST_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notes", type=Path)
    parser.add_argument("--index-dir", type=Path, help="the index of a copy of the notes, if there is one already")
    parser.add_argument("--edits", type=int, default=40)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        notes, index_dir = Path(temporary) / "notes", Path(temporary) / "index"
        shutil.copytree(arguments.notes, notes)
        if arguments.index_dir:  # the notes have moved, and keep their vectors
            shutil.copytree(arguments.index_dir, index_dir)
        run_command([*NOTESEARCH, "index", str(notes), "--index-dir", str(index_dir), "--quiet"])
        command = [*NOTESEARCH, "watch", str(notes), "--index-dir", str(index_dir)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            find_edits(notes, index_dir, arguments.edits)
            rest(process.pid, arguments.idle)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


def find_edits(notes: Path, index_dir: Path, count: int) -> None:
    """Prints how long it takes from the end of a save until a search finds what was saved."""
    warm = WarmIndex(Settings(index_dir))
    choose = random.Random(1)
    files = sorted(notes.rglob("*.md"))
    took = []
    for number in range(count + 1):
        word = f"quokka{number}x{choose.randrange(10**6)}"
        edit(choose.choice(files), word, number)
        saved = time.monotonic()
        while not is_found(warm, word):
            if time.monotonic() - saved > _LONGEST_S:
                raise TimeoutError(word)
            time.sleep(_LOOK_EVERY_S)
        took.append(time.monotonic() - saved)
        time.sleep(choose.uniform(0, 1.5))
    took = sorted(took[1:])  # the first one waits for the start too
    print(f"{len(files):,} notes, {count} edits, found after (s): least {took[0]:.2f}, median", end=" ")
    print(f"{statistics.median(took):.2f}, p95 {took[int(0.95 * len(took))]:.2f}, most {took[-1]:.2f}")
    warm.close()


def edit(file: Path, word: str, number: int) -> None:
    if number % 3 == 0:
        with file.open("a", encoding="utf-8") as opened:
            opened.write(f"\n\nThe {word} again.\n")
    elif number % 3 == 1:
        temporary = file.with_name(f".{file.name}.tmp")
        temporary.write_text(f"{file.read_text(encoding='utf-8')}\n\nThe {word} again.\n", encoding="utf-8")
        temporary.replace(file)
    else:
        file.with_name(f"{word}.md").write_text(f"# A note\n\nThe {word} again.\n", encoding="utf-8")


def is_found(warm: WarmIndex, word: str) -> bool:
    with warm.reading() as (index, _):
        return bool(index.search(word, mode="lexical"))


def rest(pid: int, seconds: float) -> None:
    """Prints the processor time and memory that a process takes while nothing happens."""
    time.sleep(2)
    before = processor_s(pid)
    time.sleep(seconds)
    used = processor_s(pid) - before
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    print(f"idle for {seconds:.0f} s: {used:.2f} s of processor time, {100 * used / seconds:.2f} %; {resident:.0f} MB")


def processor_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
