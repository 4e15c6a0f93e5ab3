"""How fast each encoding path is, and how well the paths agree.

    python benchmarks/encoding_paths.py NOTES_DIR [--collection BEIR_DIR --index-dir INDEX]

With a collection and its index (made by `notesearch eval BEIR_DIR --work-dir INDEX`), it also says what dense nDCG@10
is with int8 and with float32 queries.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import onnx
from indexing import read_passages
from safetensors.numpy import load_file

from notesearch.encoders import Encoder, PreparedModel
from notesearch.encoders.files import find_model, read_json
from notesearch.encoders.forward import OnnxForward, TorchForward
from notesearch.encoders.graphs import build_bert_graph
from notesearch.encoders.models import open_encoder, prepare
from notesearch.evaluation.collections import read_collection
from notesearch.evaluation.measures import measure_run
from notesearch.retrieval.dense import Scan
from notesearch.settings import DEFAULT_MODEL
from notesearch.storage import IndexReader

_PASSAGES = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notes", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--collection", type=Path)
    parser.add_argument("--index-dir", type=Path)
    arguments = parser.parse_args()
    prepared = prepare(DEFAULT_MODEL)
    with tempfile.TemporaryDirectory() as temporary:
        encoders = open_paths(prepared, Path(temporary))
        passages = read_passages(arguments.notes)
        compare_paths(encoders, passages[:: max(1, len(passages) // _PASSAGES)], arguments.rounds)
        if arguments.collection:
            compare_queries(encoders, arguments.collection, arguments.index_dir)


def open_paths(prepared: PreparedModel, temporary: Path) -> dict[str, Encoder]:
    """Opens the default model by every path; bf16 takes very long on a CPU that does not have it."""
    files = find_model(DEFAULT_MODEL)
    onnx.save(
        build_bert_graph(read_json(files.directory / "config.json"), load_file(files.directory / "model.safetensors")),
        temporary / "float32.onnx",
    )

    def encoder(forward: Any) -> Encoder:
        return Encoder(prepared.config, prepared.directory / "tokenizer.json", forward, prepared.scale)

    return {
        "torch float32": encoder(TorchForward(files, "cpu", bf16=False)),
        "torch bf16": encoder(TorchForward(files, "cpu", bf16=True)),
        "onnx float32": encoder(OnnxForward(temporary / "float32.onnx")),
        "onnx int8": open_encoder(prepared),
    }


def compare_paths(encoders: dict[str, Encoder], passages: list[str], rounds: int) -> None:
    """Prints passages a second (best of the rounds), and cosines to torch float32."""
    seconds: dict[str, list[float]] = {name: [] for name in encoders}
    vectors = {}
    for _ in range(rounds):
        for name, encoder in encoders.items():
            started = time.perf_counter()
            vectors[name] = encoder.encode_passages(passages)
            seconds[name].append(time.perf_counter() - started)
    print(f"{len(passages)} passages\n{'':<16}{'passages/s':>11}{'ratio':>7}{'cosine: lowest':>16}{'mean':>9}")
    for name, found in vectors.items():
        cosines = (found * vectors["torch float32"]).sum(axis=1)
        rate, ratio = len(passages) / min(seconds[name]), min(seconds["torch float32"]) / min(seconds[name])
        print(f"{name:<16}{rate:11.1f}{ratio:7.2f}{cosines.min():16.4f}{cosines.mean():9.5f}")


def compare_queries(encoders: dict[str, Encoder], directory: Path, index_dir: Path) -> None:
    """Prints dense nDCG@10 of a collection by the path that encodes its queries."""
    collection = read_collection(directory)
    reader = IndexReader(index_dir)
    scan = Scan(reader)
    assert collection.corpus_file
    with collection.corpus_file.open(encoding="utf-8") as lines:
        document_ids = [str(json.loads(line)["_id"]) for line in lines]
    for name in ("onnx float32", "onnx int8"):
        run = {}
        for query_id, text in collection.queries.items():
            chunk_ids = scan.score(encoders[name].encode_query(text).vector).best(100)
            notes = reader.notes_of_chunks(chunk_ids.tolist())
            ranked = dict.fromkeys(notes[chunk_id] for chunk_id in chunk_ids.tolist())
            paths = {note_id: note.path for note_id, note in reader.notes(list(ranked)).items()}
            run[query_id] = [document_ids[int(Path(paths[note_id]).stem)] for note_id in ranked]
        print(f"{directory.name}: dense nDCG@10 with {name} queries {measure_run(run, collection.qrels).ndcg_10:.4f}")


if __name__ == "__main__":
    main()
