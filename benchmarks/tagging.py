"""How well notes are tagged, on collections with labels: trains and tags through the command line.

Usage: python benchmarks/tagging.py DIR… [--seeds N] [--examples N] [-- FLAGS OF train-classifier…]

DIR holds `train.jsonl` and `test.jsonl`, lines of {"text", "labels"[, "title"]}. The training texts become notes with
front-matter tags, the others notes without. Prints, for each seed, micro- and macro-F1 over all labels of the training
notes, how often the likeliest tag is right (accuracy, where notes have one label each), and the seconds of training and
tagging; then mean and standard deviation.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path


def read(file: Path) -> list[dict]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def few(rows: list[dict], examples: int) -> list[dict]:
    """So many examples of each label, chosen at random; all of them for 0."""
    if not examples:
        return rows
    taken: Counter[str] = Counter()
    kept = []
    for row in random.Random(0).sample(rows, len(rows)):
        if any(taken[label] < examples for label in row["labels"]):
            kept.append(row)
            taken.update(row["labels"])
    return kept


def write_notes(rows: list[dict], folder: Path, *, tagged: bool) -> None:
    folder.mkdir()
    for number, row in enumerate(rows):
        title, text = (row.get("title") or "").strip(), row["text"]
        tags = f"---\ntags: {json.dumps(row['labels'])}\n---\n" if tagged else ""
        heading = f"# {title}\n\n" if title and not text.lstrip("# ").startswith(title) else ""
        (folder / f"{number:06d}.md").write_text(f"{tags}{heading}{text}\n", encoding="utf-8")


def run(*command: str) -> tuple[str, float]:
    started = time.monotonic()
    done = subprocess.run(["notesearch", *command], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode > 1:
        sys.exit(f"notesearch {command[0]} failed")
    return done.stdout, time.monotonic() - started


def f1_scores(gold: list[set[str]], given: list[set[str]], labels: set[str]) -> tuple[float, float]:
    right, both = Counter(), Counter()
    for wanted, chosen in zip(gold, given, strict=True):
        right.update(wanted & chosen)
        both.update([*(wanted & labels), *chosen])
    macro = statistics.fmean(2 * right[label] / max(1, both[label]) for label in labels)
    return 2 * right.total() / both.total(), macro


def measure(directory: Path, seeds: int, examples: int, flags: list[str]) -> None:
    train, test = few(read(directory / "train.jsonl"), examples), read(directory / "test.jsonl")
    labels = {label for row in train for label in row["labels"]}
    print(f"{directory.name}: {len(train):,} notes to learn from, {len(test):,} to tag, {len(labels)} labels")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_notes(train, work / "train", tagged=True)
        write_notes(test, work / "test", tagged=False)
        index = ("--index-dir", str(work / "index"))
        run("index", str(work / "train"), "--quiet", *index)
        results = []
        for seed in range(seeds):
            report, training = run("train-classifier", "--json", "--quiet", "--seed", str(seed), *flags, *index)
            lines, tagging = run("tag", str(work / "test"), "--jsonl", "--quiet", *index)
            found = {row["path"]: row["tags"] for row in map(json.loads, lines.splitlines())}
            given = [
                {tag["tag"] for tag in found[str(work / "test" / f"{number:06d}.md")] if tag["suggested"]}
                for number in range(len(test))
            ]
            firsts = [found[str(work / "test" / f"{number:06d}.md")][0]["tag"] for number in range(len(test))]
            hits = statistics.fmean(first in row["labels"] for first, row in zip(firsts, test, strict=True))
            results.append(f1_scores([set(row["labels"]) for row in test], given, labels))
            print(
                f"  seed {seed}: micro-F1 {results[-1][0]:.4f} macro-F1 {results[-1][1]:.4f} "
                f"first tag right {hits:.4f}  {json.loads(report)['method']}  "
                f"training {training:.0f} s, tagging {tagging:.0f} s",
                flush=True,
            )
    if seeds > 1:
        for name, values in zip(("micro-F1", "macro-F1"), zip(*results, strict=True), strict=True):
            print(f"  {name}: {statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--examples", type=int, default=0, help="So many examples of each label; 0: all.")
    own, flags = (sys.argv[1:], []) if "--" not in sys.argv else _split(sys.argv[1:])
    arguments = parser.parse_args(own)
    for directory in arguments.directories:
        measure(directory, arguments.seeds, arguments.examples, flags)


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    place = words.index("--")
    return words[:place], words[place + 1 :]


if __name__ == "__main__":
    main()
