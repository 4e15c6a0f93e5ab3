"""Searches in a process that stays: how long one takes, where the time goes, and what the graph misses; `mcp` as well.

    python benchmarks/warm_search.py NOTES_DIR

Searches two indexes: one of the notes given, and one of 10,000 notes made as in scale.py. No query is asked twice. For
the graph, the embeddings of the notes are multiplied by others that lie between two of them, to fill a vector file.
"""

from __future__ import annotations

import argparse
import functools
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from measuring import NOTESEARCH, run_command
from scale import write_index
from threadpoolctl import threadpool_limits

from notesearch.encoders import Encoder
from notesearch.encoders.token_codes import coded_words
from notesearch.library.warm import WarmIndex
from notesearch.retrieval import pipeline
from notesearch.retrieval.dense import Scan
from notesearch.retrieval.fusion import Feedback, Fusion
from notesearch.retrieval.late_interaction import LateInteraction
from notesearch.settings import Settings
from notesearch.storage import IndexReader
from notesearch.storage.vectors import build_vector_file, load_graph
from notesearch.storage.writer import IndexWriter
from notesearch.words import find_runs, passage_text

_BYTES_A_WORD = 32
_RECALL_AT = (10, 600)  # the hits that are shown, and the chunks that a search asks for
_STAGES = (
    (Encoder, "encode_query", "encode the query"),
    (pipeline, "match_lexical", "words"),
    (Fusion, "best", "fusion"),
    (LateInteraction, "rescore", "late interaction"),
    (Feedback, "rescore", "feedback"),
    (pipeline, "choose_passages", "choose passages"),
    (pipeline, "show_passages", "snippets and evidence"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notes", type=Path)
    parser.add_argument("--index-dir", type=Path, help="the index of the notes, if there is one already")
    parser.add_argument("--chunks", type=int, default=30_000, help="of the large index: three a note")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--times", type=int, default=25, help="how many vectors the graph holds for each of the notes'")
    arguments = parser.parse_args()
    threadpool_limits(1, user_api="blas")  # as the server does
    texts = [path.read_text(encoding="utf-8") for path in sorted(arguments.notes.rglob("*.md"))]
    paragraphs = [paragraph for text in texts for paragraph in text.split("\n\n") if paragraph.strip()]
    queries = make_queries(paragraphs, arguments.queries)
    with tempfile.TemporaryDirectory() as temporary:
        own, large = arguments.index_dir or Path(temporary) / "own", Path(temporary) / "large"
        if not arguments.index_dir:
            run_command([*NOTESEARCH, "index", str(arguments.notes), "--index-dir", str(own), "--quiet"])
        time_searches("the notes given", own, queries)
        time_requests(own, queries)
        write_index(large, paragraphs, arguments.chunks)
        give_codes(large)
        time_searches(f"{arguments.chunks // 3:,} notes", large, queries)
        time_requests(large, queries)
        measure_recall(own, Path(temporary) / "vectors.hnsw", queries, arguments.times)


def make_queries(paragraphs: list[str], count: int) -> list[str]:
    """Some words one after another from each of some paragraphs."""
    choose = random.Random(1)
    queries = []
    while len(queries) < count:
        words = [word for word in choose.choice(paragraphs).split() if word.isalpha()]
        if len(words) >= 6:
            start = choose.randrange(len(words) - 5)
            queries.append(" ".join(words[start : start + choose.randint(3, 6)]))
    return queries


def give_codes(index_dir: Path) -> None:
    """Gives each chunk as many codes as it has words: scale.py gives all of them the same number."""
    choose = random.Random(1)
    with IndexWriter(index_dir) as writer, writer.transaction():
        passages = writer._query("SELECT chunks.id, title, heading, text FROM chunks JOIN notes ON notes.id = note_id")
        for chunk_id, title, heading, text in passages:
            passage = passage_text(title, heading, text)
            codes = choose.randbytes(_BYTES_A_WORD * len(coded_words(passage, find_runs(passage))))
            writer._execute("UPDATE token_codes SET codes = ? WHERE chunk_id = ?", [codes, chunk_id])


def time_searches(name: str, index_dir: Path, queries: list[str]) -> None:
    warm = WarmIndex(Settings(index_dir))
    started = time.perf_counter()
    with warm.reading() as (index, reader):
        index.search("warm up")
        print(f"\n{name}: {reader.count_notes():,} notes, graph: {reader.graph() is not None}")
    print(f"first search, with everything to load: {time.perf_counter() - started:.2f} s")
    took, processor = [], []
    with timed_stages() as stages:
        for query in queries:
            started, cpu_started = time.perf_counter(), time.process_time()
            with warm.reading() as (index, _):
                index.search(query)
            took.append(time.perf_counter() - started)
            processor.append(time.process_time() - cpu_started)
    print(f"{'ms':<28}{'least':>7}{'median':>8}{'p95':>7}")
    for row, seconds in {"a search": took, "a search, processor time": processor, **stages}.items():
        print(f"{row:<28}{1e3 * min(seconds):7.1f}{1e3 * statistics.median(seconds):8.1f}{1e3 * p95(seconds):7.1f}")
    warm.close()
    started = time.perf_counter()
    with warm.reading() as (index, _):
        index.search(queries[0])
    print(f"first search after a change: {1e3 * (time.perf_counter() - started):.0f} ms")


def time_requests(index_dir: Path, queries: list[str]) -> None:
    """Times what an assistant waits for: a request to `notesearch mcp` by the official client, and its answer."""
    import anyio
    from mcp import Client, StdioServerParameters

    python, *arguments = NOTESEARCH
    server = StdioServerParameters(command=python, args=[*arguments, "mcp", "--index-dir", str(index_dir)])

    async def ask() -> list[float]:
        took = []
        async with Client(server) as client:
            await client.call_tool("search", {"query": "warm up"})
            for query in queries:
                started = time.perf_counter()
                answer = await client.call_tool("search", {"query": query})
                took.append(time.perf_counter() - started)
                assert not answer.is_error
        return took

    took = anyio.run(ask)
    figures = [1e3 * each for each in (min(took), statistics.median(took), p95(took))]
    print(f"{'a request of an assistant':<28}{figures[0]:7.1f}{figures[1]:8.1f}{figures[2]:7.1f}")


@contextmanager
def timed_stages() -> Iterator[dict[str, list[float]]]:
    """Times the parts of each search."""
    stages: dict[str, list[float]] = {}
    former = [(owner, name, getattr(owner, name)) for owner, name, _ in _STAGES]
    for owner, name, label in _STAGES:
        setattr(owner, name, timed(getattr(owner, name), stages.setdefault(label, [])))
    try:
        yield stages
    finally:
        for owner, name, function in former:
            setattr(owner, name, function)


def timed(function: Callable[..., Any], took: list[float]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            took.append(time.perf_counter() - started)

    return call


def p95(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.95 * len(seconds))]


class Embeddings:
    """What `Scan` asks of an index."""

    def __init__(self, vectors: Any, graph: Any) -> None:
        self._pair = np.arange(1, len(vectors) + 1), vectors
        self._graph = graph

    def vectors(self) -> list[Any]:  # noqa: D102
        return [self._pair]

    def dead_chunks(self) -> Any:  # noqa: D102
        return np.empty(0, dtype=np.int64)

    def graph(self) -> Any:  # noqa: D102
        return self._graph


def measure_recall(index_dir: Path, file: Path, queries: list[str], times: int) -> None:
    """Compares the graph with an exact scan, query by query."""
    with IndexReader(index_dir) as reader:
        real = np.concatenate([vectors for _, vectors in reader.vectors()])
    warm = WarmIndex(Settings(index_dir))
    with warm.reading() as (index, _):
        vectors_of_queries = [index._searcher._encoder.encode(query).result().vector for query in queries]
    for count in (1, times):
        vectors = between(real, count)
        ids = np.arange(1, len(vectors) + 1)
        started = time.perf_counter()
        record = build_vector_file(file, ids, vectors)
        print(f"\ngraph of {len(vectors):,} vectors: built in {time.perf_counter() - started:.0f} s")
        graph = load_graph(file, record, vectors.shape[1], np.empty(0, dtype=np.int64))
        scan = Scan(Embeddings(vectors, graph))  # type: ignore[arg-type]
        recalls: dict[int, list[float]] = {at: [] for at in _RECALL_AT}
        by_graph, exactly = [], []
        for query in vectors_of_queries:
            started = time.perf_counter()
            found = scan.score(query).best(max(_RECALL_AT))
            by_graph.append(time.perf_counter() - started)
            started = time.perf_counter()
            exact = scan.score_exactly(query).best(max(_RECALL_AT))
            exactly.append(time.perf_counter() - started)
            for at, recall in recalls.items():
                recall.append(len(set(found[:at].tolist()) & set(exact[:at].tolist())) / at)
        print("  ".join(f"recall@{at} {statistics.mean(recall):.4f}" for at, recall in recalls.items()), end="  ")
        print(f"graph {1e3 * statistics.median(by_graph):.1f} ms, exact {1e3 * statistics.median(exactly):.1f} ms")


def between(vectors: Any, times: int) -> Any:
    """The vectors, and for each `times - 1` others that lie between it and another one of the same note or topic."""
    numbers = np.random.default_rng(1)
    parts = [vectors]
    for _ in range(times - 1):
        # Its neighbours in order of ids are of the same note or folder.
        others = vectors[
            np.clip(np.arange(len(vectors)) + numbers.integers(-20, 21, len(vectors)), 0, len(vectors) - 1)
        ]
        share = numbers.uniform(0.2, 0.8, (len(vectors), 1)).astype(np.float32)
        mixed = share * vectors + (1 - share) * others
        mixed += numbers.standard_normal(mixed.shape, dtype=np.float32) * np.float32(0.02)
        parts.append(mixed / np.linalg.norm(mixed, axis=1, keepdims=True))
    return np.concatenate(parts).astype(np.float32)


if __name__ == "__main__":
    main()
