import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.records import Filters
from notesearch.retrieval.dense import ExactScan, ExactScores

DIM = 6
# Few values, so that ties are common.
cosines = st.lists(st.sampled_from([-0.5, 0.0, 0.1, 0.25, 0.25001, 0.9]), max_size=40)


def scores_of(values) -> ExactScores:
    ids = np.arange(10, 10 + 3 * len(values), 3, dtype=np.int64)
    return ExactScores(ids, np.array(values, dtype=np.float32), highest=1.0)


@given(cosines, st.integers(1, 50))
def test_best_is_the_beginning_of_a_full_sort(values, limit):
    scores = scores_of(values)
    expected = sorted(range(len(values)), key=lambda row: (-scores.cosines[row], row))[:limit]
    assert scores.best(limit).tolist() == scores.chunk_ids[expected].tolist()


def test_of_gives_the_cosines_of_the_chunks_asked_for_in_their_order():
    scores = scores_of([0.1, 0.2, 0.3, 0.4])
    assert scores.of(np.array([19, 10, 16])).tolist() == pytest.approx([0.4, 0.1, 0.3])


def test_only_keeps_some_chunks_and_the_highest_cosine_of_all():
    scores = ExactScores(np.array([1, 2, 3]), np.array([0.1, 0.9, 0.3], dtype=np.float32), highest=0.9)
    kept = scores.only(np.array([3, 1, 99]))
    assert kept.chunk_ids.tolist() == [1, 3]
    assert kept.cosines.tolist() == pytest.approx([0.1, 0.3])
    assert kept.highest == 0.9


class Reader:
    """What the scan asks of an index: vectors in one or more parts, chunks that are gone, chunks that filters admit."""

    def __init__(self, parts, dead=(), admitted=None):
        self._parts, self._dead, self._admitted = parts, dead, admitted

    def vectors(self):
        return self._parts

    def graph(self):
        return None

    def dead_chunks(self):
        return np.array(sorted(self._dead), dtype=np.int64)

    def admitted_chunks(self, filters):
        return None if self._admitted is None else np.array(sorted(self._admitted), dtype=np.int64)


@given(st.integers(0, 30), st.integers(0, 10), st.booleans(), st.integers(0, 2**32 - 1))
def test_the_scan_agrees_with_a_naive_one(mapped, stored, filtered, seed):
    random = np.random.default_rng(seed)
    ids = random.choice(1000, mapped + stored, replace=False).astype(np.int64)
    ids[mapped:].sort()  # SQLite's are ascending, those of a mapped file need not be
    vectors = random.standard_normal((mapped + stored, DIM)).astype(np.float32)
    dead = set(ids[: mapped // 3].tolist()) | {5000}
    admitted = set(random.choice(1000, 500, replace=False).tolist()) if filtered else None
    parts = [(ids[:mapped], vectors[:mapped]), (ids[mapped:], vectors[mapped:])]
    reader = Reader([part for part in parts if len(part[0])], dead, admitted)
    query = random.standard_normal(DIM).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query /= np.linalg.norm(query)

    found = ExactScan(reader).score(query, Filters())

    alive = {int(i): float(np.dot(row, query)) for i, row in zip(ids, vectors, strict=True) if int(i) not in dead}
    kept = {i: cosine for i, cosine in sorted(alive.items()) if admitted is None or i in admitted}
    assert found.chunk_ids.tolist() == list(kept)
    np.testing.assert_allclose(found.cosines, list(kept.values()), atol=1e-5)
    assert found.highest == pytest.approx(max(alive.values(), default=-1.0), abs=1e-5)


def test_an_index_without_chunks_has_no_scores():
    found = ExactScan(Reader([])).score(np.ones(DIM, dtype=np.float32), Filters())
    assert found.chunk_ids.tolist() == []
    assert found.best(10).tolist() == []


def test_the_scan_of_a_vector_file_that_lags_behind_is_the_scan_of_sqlite(make_reader, fake_encoder):
    words = ["raft", "paxos", "quorum", "gossip", "lease", "clock", "saga", "crdt"]
    notes = {f"{a}-{b}.md": f"{a} and {b} and {a}" for a in words for b in words if a != b}
    first = make_reader(notes)
    assert first.vectors()[0][1].base is not None, "the vectors should be mapped from the file"
    changed = make_reader({"raft-paxos.md": "something else", "paxos-raft.md": "another thing", "new.md": "one more"})
    assert len(changed.vectors()) == 2 and len(changed.dead_chunks()) == 2

    query = fake_encoder.encode_query("raft paxos thing").vector
    found = ExactScan(changed).score(query, Filters())

    ids, vectors = changed._stored_vectors(0)
    assert found.chunk_ids.tolist() == ids.tolist()
    np.testing.assert_allclose(found.cosines, vectors @ query, atol=1e-3)
