"""What each part of the default search is worth: nDCG@10 without it, one part at a time.

python benchmarks/ablation.py COLLECTION... [--max-queries N] [--work-dir DIR] [--only PART...]

A part is taken out of the program itself, by changing a constant or a function while its queries run. Parts that change
what is indexed need an index of their own, and are measured only with --reindex.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from notesearch import words
from notesearch.evaluation.collections import Collection, read_collection, write_corpus_as_notes
from notesearch.evaluation.measures import ndcg
from notesearch.library.index import sync_index
from notesearch.library.search import Index
from notesearch.retrieval import fusion, late_interaction, lexical, pipeline, query
from notesearch.retrieval import passages as shown_passages
from notesearch.retrieval.late_interaction import LateQuery
from notesearch.settings import Settings
from notesearch.storage import index_reader

_RESAMPLES = 2_000
# As `notesearch eval --index-dir` names it, so that it can use the same indexes.
_EVALUATED_NOTES = "evaluated-notes"
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """A part of the search, and how to take it out.

    Attributes:
        name: What is done without it.
        patches: Objects, names of their attributes, and what these become.
        mode: The mode to search in.
        rerank: What scores the best again.
    """

    name: str
    patches: tuple[tuple[object, str, Any], ...] = ()
    mode: Any = "hybrid"
    rerank: Any = "maxsim"

    @contextmanager
    def taken_out(self) -> Iterator[None]:
        """Leaves the part out for a while."""
        with ExitStack() as stack:
            for owner, name, value in self.patches:
                stack.enter_context(patch.object(owner, name, value))
            yield


def _said_once(typed: str) -> query.Query:
    parsed = query.parse_query(typed)
    return replace(parsed, words=tuple(dict.fromkeys(parsed.words)))


def _with_stopwords(typed: str) -> query.Query:
    with patch.object(query, "STOPWORDS", frozenset()):
        return query.parse_query(typed)


def _alike(text: str, encoder: Any, encoded: Any, reader: Any) -> LateQuery:
    return LateQuery.of(text, encoder, replace(encoded, alike=True), {}, 1)


def _no_feedback(self: object, candidates: Sequence[Any]) -> list[Any]:
    return list(candidates)


def _constant(**parts: float) -> tuple[tuple[object, str, Any], ...]:
    return tuple((fusion, "_" + name, value) for name, value in parts.items())


PARTS = (
    Part("the default"),
    Part("no words (BM25) at all", mode="dense"),
    Part("no meaning: words, reranked", mode="lexical"),
    Part("no late interaction, no feedback", rerank="none"),
    Part("no feedback", ((fusion.Feedback, "rescore", _no_feedback),)),
    Part("no common part taken off", ((fusion, "_COMMON_PART", 0.0),)),
    Part("no likeness to the best notes", ((fusion, "_LIKENESS_WEIGHT", 0.0),)),
    Part("no late interaction", ((late_interaction, "LATE_WEIGHT", 0.0),)),
    Part("late interaction: all words alike", ((LateQuery, "of_index", staticmethod(_alike)),)),
    Part("late interaction: a note's best passage", ((late_interaction, "score_note", max),)),
    Part("late interaction: one passage a note", ((late_interaction, "PASSAGES_A_NOTE", 1),)),
    Part("25 notes scored again, not 50", ((pipeline, "POOL_NOTES", 25),)),
    Part("100 notes scored again", ((pipeline, "POOL_NOTES", 100),)),
    Part("no doubt", _constant(SIMILARITY_SLOPE=0.0)),
    Part("no trust", _constant(LEAST_TRUST=1.0, MOST_TRUST=1.0)),
    Part("neither doubt nor trust", _constant(SIMILARITY_SLOPE=0.0, LEAST_TRUST=1.0, MOST_TRUST=1.0)),
    Part("no NEAR pairs", ((lexical, "_PAIR_WEIGHT", 0.0),)),
    Part("repeated query words count once", ((pipeline, "parse_query", _said_once),)),
    Part("stopwords searched for, too", ((pipeline, "parse_query", _with_stopwords),)),
    Part("title and text weigh the same", ((index_reader, "RANK", "bm25(1.0, 1.0)"),)),
    Part("titles not searched for words", ((index_reader, "RANK", "bm25(0.0, 1.0)"),)),
)


def _text_only(title: str, heading: str, text: str) -> str:
    return text


_plain_passage = words.passage_text


def _without_heading(title: str, heading: str, text: str) -> str:
    return _plain_passage(title, "", text)


def _without_title(title: str, heading: str, text: str) -> str:
    return _plain_passage("", heading, text)


# What is given to the encoder in the place of a passage.
INDEXED: dict[str, Callable[[str, str, str], str]] = {
    "no title on passages": _without_title,
    "no heading path on passages": _without_heading,
    "neither title nor heading path": _text_only,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--max-queries", type=int, default=0)
    parser.add_argument("--work-dir", type=Path, help="where indexes are kept, in folders of the collections' names")
    parser.add_argument("--only", nargs="+", help="parts of which the name holds one of these; the default always")
    parser.add_argument("--reindex", action="store_true", help="also what changes the index: slow")
    arguments = parser.parse_args()
    parts = [part for part in PARTS[1:] if not arguments.only or any(word in part.name for word in arguments.only)]
    scores: dict[str, list[Scores]] = {}
    for directory in arguments.collections:
        with tempfile.TemporaryDirectory() as temporary:
            work_dir = (arguments.work_dir or Path(temporary)) / directory.name
            measured = measure(directory, work_dir, arguments.max_queries, [PARTS[0], *parts], arguments.reindex)
        for name, own in measured.items():
            scores.setdefault(name, []).append(own)
        usual = measured[PARTS[0].name]
        print(f"{directory.name}: {len(usual)} queries, {usual.mean():.4f} by the default", flush=True)
    print_table([directory.name for directory in arguments.collections], scores)


def measure(
    directory: Path, work_dir: Path, max_queries: int, parts: Sequence[Part], reindex: bool
) -> dict[str, Scores]:
    """The nDCG@10 of each query of a collection, by what is left out."""
    collection = read_collection(directory).sampled(max_queries)
    notes, names = _notes_of(collection, work_dir)
    sync_index(Settings(work_dir), [notes])
    measured = {}
    with Index(work_dir) as index:
        for part in parts:
            with part.taken_out():
                measured[part.name] = run(index, collection, names, notes, part)
    for number, (name, passage) in enumerate(INDEXED.items() if reindex else ()):
        with patch_passages(passage):
            other_dir = work_dir / f"without-{number}"
            sync_index(Settings(other_dir), [notes])
            with Index(other_dir) as index:
                measured[name] = run(index, collection, names, notes, PARTS[0])
    return measured


def _notes_of(collection: Collection, work_dir: Path) -> tuple[Path, dict[str, str] | None]:
    if collection.notes_dir:
        return collection.notes_dir.resolve(), None
    assert collection.corpus_file
    notes = (work_dir / _EVALUATED_NOTES).resolve()
    return notes, write_corpus_as_notes(collection.corpus_file, notes)


@contextmanager
def patch_passages(passage: Callable[[str, str, str], str]) -> Iterator[None]:
    """Gives the encoder other passages, wherever it is given any."""
    from notesearch.indexing import batches

    with patch.object(batches, "passage_text", passage), patch.object(shown_passages, "passage_text", passage):
        yield


def run(index: Index, collection: Collection, names: dict[str, str] | None, notes: Path, part: Part) -> Scores:
    """The nDCG@10 of each query."""
    scores = []
    for query_id, text in collection.queries.items():
        hits = index.search(text, mode=part.mode, rerank=part.rerank)
        paths = [str(Path(hit.path).relative_to(notes)) for hit in hits]
        found = [names[path] for path in paths] if names else paths
        scores.append(ndcg(found, collection.qrels[query_id], 10))
    return np.array(scores)


def print_table(collections: Sequence[str], scores: dict[str, list[Scores]]) -> None:
    """Prints what the mean is without each part, and how that changes it, with 95 % intervals over queries."""
    default = scores[PARTS[0].name]
    print(f"| without | mean | change | {' | '.join(collections)} |")
    print("|" + "---|" * (3 + len(collections)))
    for name, own in scores.items():
        mean = np.mean([values.mean() for values in own])
        if name == PARTS[0].name:
            print(f"| {name} | {mean:.4f} | | " + " | ".join(f"{values.mean():.3f}" for values in own) + " |")
            continue
        changes = [values - usual for values, usual in zip(own, default, strict=True)]
        low, high = _interval(changes)
        cells = " | ".join(f"{change.mean():+.3f}" for change in changes)
        total = np.mean([change.mean() for change in changes])
        print(f"| {name} | {mean:.4f} | {total:+.4f} [{low:+.4f}, {high:+.4f}] | {cells} |")


def _interval(changes: Sequence[Scores]) -> tuple[float, float]:
    """Of the mean over collections, queries drawn anew within each."""
    generator = np.random.default_rng(0)
    means = [np.mean([generator.choice(c, len(c)).mean() for c in changes]) for _ in range(_RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
