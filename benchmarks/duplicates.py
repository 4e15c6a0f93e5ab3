"""`notesearch duplicates` on notes with copies planted among them: how many it finds, how many others, and how fast.

The notes are those of the folders given, long ones cut at paragraphs so that there are enough; the vectors are random,
since none is read.

    python benchmarks/duplicates.py NOTES_DIR... --notes 10000
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
from measuring import NOTESEARCH, run_command

from notesearch.encoders.models import prepare
from notesearch.files import Stamp
from notesearch.library.similar import find_duplicates
from notesearch.notes import chunk_note, find_notes, parse_note, read_note
from notesearch.notes.walk import NoteFile
from notesearch.records import Chunking
from notesearch.settings import DEFAULT_MODEL
from notesearch.storage import Fingerprint
from notesearch.storage.rows import EncodedChunk, EncodedNote
from notesearch.storage.vectors import pack
from notesearch.storage.writer import IndexWriter

_PART_WORDS = 150
_LEAST_WORDS = 30
_WORD = re.compile(r"\w+")
_SKELETON = """# {title}

## Morning

- What am I grateful for today, and who should hear about it?
- What is the one thing that would make this day a good one?

## Tasks

- [ ] read the mail and answer what is older than two days
- [ ] plan the evening

## Evening

- What went well, and what did I learn from what did not?
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--notes", type=int, default=10_000)
    parser.add_argument("--planted", type=int, default=150, help="of each kind")
    parser.add_argument("--threshold", type=float, nargs="+", default=[0.8])
    arguments = parser.parse_args()
    choose = random.Random(1)
    base = list(_parts(arguments.folders))
    choose.shuffle(base)
    planted, expected = _plant(base, arguments.planted, choose)
    texts = {f"base-{number}": text for number, text in enumerate(base)} | planted
    texts = dict(list(texts.items())[max(0, len(texts) - arguments.notes) :])
    print(f"{len(base):,} notes, {len(planted):,} planted; of these {len(texts):,}")
    with tempfile.TemporaryDirectory() as temporary:
        index = Path(temporary) / "index"
        _write_index(index, texts)
        for threshold in arguments.threshold:
            for options in ([], ["--passages"]):
                command = [*NOTESEARCH, "duplicates", "--json", *options, "--threshold", str(threshold)]
                timing = run_command([*command, "--index-dir", str(index)])
                print(
                    f"\nduplicates {' '.join(options)} {threshold}: {timing.seconds:.1f} s, {timing.megabytes:.0f} MB"
                )
                _report(index, threshold, bool(options), expected)


def _parts(folders: list[Path]) -> Iterator[str]:
    """The bodies of notes, cut at paragraphs into parts of 150 words or more."""
    for folder in folders:
        for file in find_notes(folder, max_bytes=2_000_000):
            if not isinstance(file, NoteFile):
                continue
            note = read_note(file)
            part = ""
            for block in note.blocks:
                part += note.text[block.start : block.end] + "\n\n"
                if len(_WORD.findall(part)) >= _PART_WORDS:
                    yield part
                    part = ""
            if len(_WORD.findall(part)) >= _LEAST_WORDS:
                yield part


def _plant(base: list[str], count: int, choose: random.Random) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Notes made of others: their texts, and the kind of each with the notes it was made of, first the one to find."""
    vocabulary = sorted({word for text in base[:500] for word in _WORD.findall(text)})
    texts: dict[str, str] = {}
    expected: dict[str, tuple[str, ...]] = {}
    sources = iter(range(len(base) - 1, 0, -1))  # the last ones, which are kept

    def add(kind: str, text: str, *made_of: int) -> None:
        name = f"{kind}-{len(texts)}"
        texts[name] = text
        expected[name] = (kind, *(f"base-{source}" for source in made_of))

    for _ in range(count):
        source = next(sources)
        add("exact", base[source], source)
        source = next(sources)
        add("reformatted", "> " + re.sub(r"\s+", " ", base[source]).upper(), source)
        for share in (5, 10, 20):
            source = next(sources)
            add(f"{share} % of words changed", _edited(base[source], share / 100, vocabulary, choose), source)
        source, host = next(sources), next(sources)
        half = base[host].split("\n\n")
        middle = len(half) // 2
        texts_around = "\n\n".join(half[:middle]), "\n\n".join(half[middle:])
        add("contained", f"{texts_around[0]}\n\n{base[source]}\n\n{texts_around[1]}", source, host)
        source = next(sources)
        paragraphs = [p for p in base[source].split("\n\n") if len(_WORD.findall(p)) >= _LEAST_WORDS]
        host = next(sources)
        if paragraphs:
            quote = " ".join(choose.choice(paragraphs).split()[:60])
            add("quote", f"{base[host][:600]} As it says there: “{quote}”.\n\nMore of this soon.", source, host)
    for day in range(4 * count):
        own = "" if day % 4 == 0 else " ".join(choose.sample(vocabulary, choose.randint(5, 40)))
        texts[f"daily-{day}"] = _SKELETON.format(title=f"Day {day}") + own
    return texts, expected


def _edited(text: str, share: float, vocabulary: list[str], choose: random.Random) -> str:
    return _WORD.sub(lambda match: choose.choice(vocabulary) if choose.random() < share else match[0], text)


def _write_index(index_dir: Path, texts: dict[str, str]) -> None:
    config = prepare(DEFAULT_MODEL).config
    numbers = np.random.default_rng(1)
    chunking = Chunking()
    with IndexWriter(index_dir) as writer:
        with writer.transaction():
            fingerprint = Fingerprint(DEFAULT_MODEL, config.fingerprint, config.dim, chunking.budget_tokens, 0, 1)
            writer.set_fingerprint(fingerprint)
            folder = writer.add_folder(index_dir / "notes")
        items = list(texts.items())
        for first in range(0, len(items), 1_000):
            with writer.transaction():
                for name, text in items[first : first + 1_000]:
                    note = parse_note(index_dir / "notes" / f"{name}.md", text, datetime(2025, 1, 1))
                    chunks = chunk_note(note, lambda text: [match.start() for match in _WORD.finditer(text)], chunking)
                    vectors = numbers.standard_normal((len(chunks), config.dim), dtype=np.float32)
                    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
                    encoded = [
                        EncodedChunk(chunk, digest, vector, b"")
                        for chunk, vector in zip(chunks, pack(vectors), strict=True)
                    ]
                    writer.write_notes([EncodedNote(folder, note, Stamp(len(text)), digest, tuple(encoded))])


def _report(index: Path, threshold: float, passages: bool, expected: dict[str, tuple[str, ...]]) -> None:
    found = find_duplicates(passages=passages, threshold=threshold, index_dir=index)
    together: dict[str, set[str]] = {}
    others = []
    for group in found.groups:
        names = {Path(place.path).stem for place in (group, *group.copies)}
        for name in names:
            together.setdefault(name, set()).update(names)
        made_of = [set(expected[name][1:]) if name in expected else {name} for name in names]
        if not any(all(own & of or own <= of for own in made_of) for of in made_of):
            others.append((group, names))
    counts = Counter(kind for kind, *_ in expected.values())
    for kind, count in counts.items():
        right = sum(source in together.get(name, ()) for name, (own, source, *_) in expected.items() if own == kind)
        print(f"  {kind:<24}{right / count:7.3f} of {count}")
    daily = sum(name.startswith("daily") for name in together)
    largest = max((len(group.copies) + 1 for group in found.groups), default=0)
    print(f"  groups {len(found.groups)}, the largest of {largest}; daily notes in groups: {daily}")
    print(f"  not compared: {found.short} short, {found.templates} templates")
    print(f"  groups with others than what was planted: {len(others)}")
    for group, names in others[:60]:
        shares = ", ".join(f"{copy.relation} {copy.share:.2f}/{copy.share_of_first:.2f}" for copy in group.copies[:4])
        print(f"    {', '.join(sorted(names)[:4])}: {shares}: {group.text[:60]}")


if __name__ == "__main__":
    main()
