"""Cold `notesearch search` in a small and in a large index made of the same kind of text.

The texts are paragraphs of the notes given, shuffled; the vectors are random, since they cost the same to scan.

    python benchmarks/scale.py NOTES_DIR
"""

from __future__ import annotations

import argparse
import hashlib
import random
import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np
from measuring import NOTESEARCH, compare, print_comparison

from notesearch.encoders.models import prepare
from notesearch.files import Stamp
from notesearch.records import Chunk, Chunking, Note
from notesearch.settings import DEFAULT_MODEL
from notesearch.storage import Fingerprint
from notesearch.storage.rows import EncodedChunk, EncodedNote
from notesearch.storage.vectors import pack
from notesearch.storage.writer import IndexWriter

_QUERY = "how do I undo the last commit and keep the changes"
_CHUNKS_A_NOTE = 3
_CHUNK_CHARS = 700
_CODES_BYTES = 60 * 32  # of the different words of such a chunk


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notes", type=Path)
    parser.add_argument("--small", type=int, default=3_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    text = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted(arguments.notes.rglob("*.md")))
    paragraphs = [paragraph for paragraph in text.split("\n\n") if paragraph.strip()]
    with tempfile.TemporaryDirectory() as temporary:
        commands = {}
        for chunks in (arguments.small, arguments.large):
            index = Path(temporary) / str(chunks)
            write_index(index, paragraphs, chunks)
            size = sum(file.stat().st_size for file in index.iterdir()) / 1e6
            print(f"{chunks:,} chunks: {size:.0f} MB")
            commands[f"{chunks:,} chunks"] = [*NOTESEARCH, "search", _QUERY, "--index-dir", str(index)]
        timings = compare(commands, arguments.rounds)
    print_comparison(timings, f"{arguments.small:,} chunks")


def write_index(index_dir: Path, paragraphs: list[str], chunks: int) -> None:
    """Writes an index of a number of chunks of shuffled paragraphs with random vectors."""
    config = prepare(DEFAULT_MODEL).config
    numbers = np.random.default_rng(1)
    choose = random.Random(1)
    with IndexWriter(index_dir) as writer:
        chunking = Chunking()
        with writer.transaction():
            writer.set_fingerprint(
                Fingerprint(
                    DEFAULT_MODEL, config.fingerprint, config.dim, chunking.budget_tokens, chunking.overlap_sentences, 1
                )
            )
            folder = writer.add_folder(index_dir / "notes")
        for first in range(0, chunks, 3_000):
            batch = []
            for number in range(first, min(first + 3_000, chunks), _CHUNKS_A_NOTE):
                vectors = numbers.standard_normal((_CHUNKS_A_NOTE, config.dim), dtype=np.float32)
                vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
                batch.append(_note(folder, index_dir, number, paragraphs, choose, pack(vectors)))
            with writer.transaction():
                writer.write_notes(batch)
        writer.tidy()
        writer.give_back_space()
        writer.update_vector_file()


def _note(
    folder: int, index_dir: Path, number: int, paragraphs: list[str], choose: random.Random, vectors: list[bytes]
) -> EncodedNote:
    encoded = []
    position = 0
    for vector in vectors:
        text = ""
        while len(text) < _CHUNK_CHARS:
            text += choose.choice(paragraphs) + "\n\n"
        chunk = Chunk(position, position + len(text), 1, 1, "", text)
        position += len(text)
        encoded.append(
            EncodedChunk(
                chunk, hashlib.blake2b(vector, digest_size=16).digest(), vector, choose.randbytes(_CODES_BYTES)
            )
        )
    path = index_dir / "notes" / f"{number}.md"
    note = Note(path, choose.choice(paragraphs)[:40], "heading", "", (), (), (), datetime(2025, 1, 1))
    return EncodedNote(folder, note, Stamp(position, number), number.to_bytes(16), tuple(encoded))


if __name__ == "__main__":
    main()
