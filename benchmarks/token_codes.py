"""What late interaction adds on collections with judgements, by token codes and by the vectors they are made of.

python benchmarks/token_codes.py COLLECTION... [--max-queries N] [--work-dir DIR]

Three rankings a collection: hybrid, hybrid with late interaction by the codes of the index, and the same by all token
vectors of each passage, uncompressed; nDCG@10 with 95 % bootstrap intervals over queries.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from notesearch.encoders import Encoder, token_codes
from notesearch.encoders.models import find_prepared, open_encoder
from notesearch.encoders.token_codes import max_similarities
from notesearch.evaluation.collections import Collection, read_collection, write_corpus_as_notes
from notesearch.evaluation.measures import ndcg
from notesearch.library.index import sync_index
from notesearch.library.search import Index
from notesearch.retrieval.late_interaction import LateQuery
from notesearch.settings import Settings
from notesearch.storage import IndexReader
from notesearch.words import passage_text

Vectors = NDArray[np.float32]
_RESAMPLES = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--max-queries", type=int, default=0)
    parser.add_argument("--work-dir", type=Path, help="where indexes are kept for the next time")
    arguments = parser.parse_args()
    gains = []
    for directory in arguments.collections:
        with tempfile.TemporaryDirectory() as temporary:
            work_dir = (arguments.work_dir or Path(temporary)) / directory.name
            gains.append(measure(directory, work_dir, arguments.max_queries))
    every = np.array([gain.mean() for gain in gains])
    resampled = [[np.random.default_rng(seed).choice(gain, len(gain)).mean() for gain in gains] for seed in range(500)]
    low, high = np.percentile(np.mean(resampled, axis=1), [2.5, 97.5])
    print(f"codes over hybrid, mean of {len(gains)} collections: {every.mean():+.4f} [{low:+.4f}, {high:+.4f}]")


def measure(directory: Path, work_dir: Path, max_queries: int) -> NDArray[np.float64]:
    """Prints the figures of a collection; returns what late interaction adds to each query's nDCG@10."""
    collection = read_collection(directory).sampled(max_queries)
    assert collection.corpus_file, "a BEIR collection"
    notes = work_dir / "notes"
    names = write_corpus_as_notes(collection.corpus_file, notes)
    index_dir = work_dir / "index"
    sync_index(Settings(index_dir), [notes])
    with Index(index_dir) as index:
        hybrid = run(index, collection, names, "none")
        codes = run(index, collection, names, "maxsim")
        with uncompressed(index._reader):
            exact = run(index, collection, names, "maxsim")
    print(f"{directory.name}: {len(hybrid)} queries, {bytes_a_token(index_dir):.1f} bytes of codes a source token")
    for name, scores in (("hybrid", hybrid), ("codes", codes), ("uncompressed", exact)):
        print(f"  {name:<24}{_with_interval(scores)}")
    print(f"  {'codes - hybrid':<24}{_with_interval(codes - hybrid)}")
    print(f"  {'codes / uncompressed':<24}{codes.mean() / exact.mean():.3f}", flush=True)
    return codes - hybrid


def run(index: Index, collection: Collection, names: dict[str, str], rerank: str) -> NDArray[np.float64]:
    """The nDCG@10 of each query."""
    scores = []
    for query_id, text in collection.queries.items():
        hits = index.search(text, rerank=rerank)
        found = [names[Path(hit.path).name] for hit in hits]
        scores.append(ndcg(found, collection.qrels[query_id], 10))
    return np.array(scores)


class uncompressed:
    """Makes late interaction use all token vectors of a passage as the model gives them."""

    def __init__(self, reader: IndexReader) -> None:
        self._reader = reader
        prepared = find_prepared(reader.fingerprint.encoder)
        assert prepared
        self._encoder = open_encoder(prepared)
        self._vectors: dict[int, Vectors] = {}

    def __enter__(self) -> None:
        self._kept = (self._reader.token_codes, LateQuery.score, token_codes._CODE_BITS)
        self._reader.token_codes = self._chunk_ids_for_codes  # type: ignore[method-assign]
        token_codes._CODE_BITS = self._encoder.config.dim

        def score(query: LateQuery, ids: Sequence[bytes]) -> Vectors:
            if not ids:
                return np.zeros(0, dtype=np.float32)
            matrices = [self._vectors[int.from_bytes(chunk_id)] for chunk_id in ids]
            every = np.concatenate(matrices)
            highest = max_similarities(query.vectors, every, [len(matrix) for matrix in matrices])
            weighted: Vectors = highest @ query.weights
            return weighted

        LateQuery.score = score  # type: ignore[method-assign]
        self._evidence = _without_evidence()

    def __exit__(self, *_: object) -> None:
        self._reader.token_codes, LateQuery.score, token_codes._CODE_BITS = self._kept  # type: ignore[method-assign]
        self._evidence()

    def _chunk_ids_for_codes(self, chunk_ids: Sequence[int]) -> dict[int, bytes]:
        unknown = [chunk_id for chunk_id in chunk_ids if chunk_id not in self._vectors]
        notes = self._reader.notes_of_chunks(unknown)
        titles = self._reader.notes(list(set(notes.values())))
        for chunk in self._reader.chunks_of_notes(list(set(notes.values()))):
            if chunk.id in notes:
                passage = passage_text(titles[chunk.note_id].title, chunk.heading, chunk.text)
                self._vectors[chunk.id] = _token_vectors(self._encoder, passage)
        return {chunk_id: chunk_id.to_bytes(8) for chunk_id in chunk_ids}


def _token_vectors(encoder: Encoder, passage: str) -> Vectors:
    tokens = encoder._tokenize([passage], encoder.config.passage_prompt)[0]
    input_ids = np.array([tokens.ids], dtype=np.int64)
    vectors = encoder._forward(input_ids, np.ones_like(input_ids))[0]
    scaled: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def _without_evidence() -> Callable[[], None]:
    """Leaves out what reads the codes for people; returns what brings it back."""
    kept = LateQuery.match
    LateQuery.match = lambda *_: []  # type: ignore[method-assign]

    def restore() -> None:
        LateQuery.match = kept  # type: ignore[method-assign]

    return restore


def bytes_a_token(index_dir: Path) -> float:
    """Bytes of token codes for each token of the notes' text, titles and headings not counted."""
    connection = sqlite3.connect(index_dir / "notes.db")
    stored = connection.execute("SELECT sum(length(codes)) FROM token_codes").fetchone()[0]
    texts = [row[0] for row in connection.execute("SELECT text FROM chunks")]
    connection.close()
    with_index = IndexReader(index_dir)
    prepared = find_prepared(with_index.fingerprint.encoder)
    with_index.close()
    assert prepared
    encoder = open_encoder(prepared)
    return float(stored / sum(len(encoder.token_starts(text)) for text in texts))


def _with_interval(scores: NDArray[np.float64]) -> str:
    means = [np.random.default_rng(seed).choice(scores, len(scores)).mean() for seed in range(_RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{scores.mean():+.4f} [{low:+.4f}, {high:+.4f}]"


if __name__ == "__main__":
    main()
