"""Damages each derived file under a server that lives on: no crash, and no other answer without a word.

python benchmarks/derived_damage.py [--vectors 200] [--model 100] [--others 40] [--seed 0]

After each damage, the server is asked again as it is, then opens index and model anew, and a single search is made in
the same process. Half of the damages leave size and time as they were.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from measuring import NOTESEARCH

_NOTES = Path(__file__).parents[1] / "sample_notes"
_QUERIES = ("how long does dough rise", "cap theorem", "prune roses in winter")
_PAGE_BYTES = 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=200)
    parser.add_argument("--model", type=int, default=100)
    parser.add_argument("--others", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    bad = 0
    with tempfile.TemporaryDirectory(prefix="notesearch-damage-") as temporary:
        folder = Path(temporary)
        os.environ |= {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        index_dir = folder / "index"
        run_index(index_dir)
        (prepared,) = (folder / "cache").glob("notesearch/encoders/*")
        counts = {index_dir / "vectors.hnsw": arguments.vectors, prepared / "model.onnx": arguments.model}
        counts |= {prepared / name: arguments.others for name in ("tokenizer.json", "encoder.json", "checked.json")}
        print(f"{'file':<16}{'damages':>8}{'same answer':>13}{'told':>6}{'other answer':>14}{'crash':>7}")
        for path, count in counts.items():
            found = Counter(outcome_of(folder, index_dir, path, chance, number) for number in range(count))
            columns = (("same", 13), ("told", 6), ("other", 14), ("crash", 7))
            print(
                f"{path.name:<16}{count:8}" + "".join(f"{found[name]:{width}}" for name, width in columns), flush=True
            )
            bad += found["other"] + found["crash"]
    sys.exit(1 if bad else 0)


def run_index(index_dir: Path) -> None:
    import subprocess

    command = [*NOTESEARCH, "index", str(_NOTES), "--index-dir", str(index_dir), "--quiet"]
    subprocess.run(command, check=True)
    subprocess.run([*NOTESEARCH, "search", "tea", "--index-dir", str(index_dir)], stdout=subprocess.DEVNULL, check=True)


def outcome_of(folder: Path, index_dir: Path, path: Path, chance: random.Random, number: int) -> str:
    """What a damage leads to: the worst of the three answers."""
    server = server_for(folder, index_dir)
    expected = server.ask("as it is")
    kept = folder / "kept"
    if path.exists():
        shutil.copy2(path, kept)
    damage(path, chance, keep_time=number % 2 == 0)
    outcomes = []
    for how in ("as it is", "opened anew", "a single search"):
        answer = server.ask(how)
        outcomes.append("crash" if answer is None else "told" if answer == "told" else "same")
        if isinstance(answer, list) and answer != expected:
            outcomes[-1] = "other"
    if kept.exists():
        kept.replace(path)
    return next(name for name in ("crash", "other", "told", "same") if name in outcomes)


def damage(path: Path, chance: random.Random, *, keep_time: bool) -> None:
    data = bytearray(path.read_bytes() if path.exists() else b"{}")
    status = path.stat() if path.exists() else None
    at = chance.randrange(max(1, len(data)))
    match chance.randrange(5):
        case 0 | 1:
            data[at : at + 1] = bytes([data[at] ^ (1 << chance.randrange(8))])
        case 2:
            end = min(len(data), at + _PAGE_BYTES)
            data[at:end] = chance.randbytes(end - at)
        case 3:
            end = min(len(data), at + _PAGE_BYTES)
            data[at:end] = bytes(end - at)
        case _:
            del data[at:]
    path.write_bytes(data)
    if keep_time and status:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


class Server:
    """A process that answers for as long as it lives."""

    def __init__(self, index_dir: Path) -> None:
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=serve, args=(other, index_dir), daemon=True)
        self.process.start()
        other.close()

    def ask(self, how: str) -> Any:
        """Hits of all queries, `told` where it said what is wrong, `None` where it is no more."""
        try:
            self.pipe.send(how)
            return self.pipe.recv()
        except (EOFError, OSError):
            return None


_servers: dict[Path, Server] = {}


def server_for(folder: Path, index_dir: Path) -> Server:
    if folder not in _servers or not _servers[folder].process.is_alive():
        _servers[folder] = Server(index_dir)
    return _servers[folder]


def serve(pipe: Connection, index_dir: Path) -> None:
    from notesearch import open_index
    from notesearch.errors import NotesearchError
    from notesearch.library.warm import WarmIndex
    from notesearch.settings import Settings

    def hits_of(index: Any) -> list[Any]:
        return [[(hit.path, hit.start_line) for hit in index.search(query, limit=5)] for query in _QUERIES]

    warm = WarmIndex(Settings(index_dir), graph_from=1)
    while True:
        how = pipe.recv()
        if how == "opened anew":
            warm.close()
            warm = WarmIndex(Settings(index_dir), graph_from=1)
        try:
            if how == "a single search":
                with open_index(index_dir) as index:
                    pipe.send(hits_of(index))
            else:
                with warm.reading() as (index, _):
                    pipe.send(hits_of(index))
        except NotesearchError:
            pipe.send("told")


if __name__ == "__main__":
    main()
