import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.retrieval.dense import ExactScores, GraphScores, Scan
from notesearch.storage.vectors import build_vector_file, load_graph, map_vectors

DIM = 6
GRAPH_DIM = 32
COUNT = 4000
IN_FILE = 3800
DEAD = [1, 4, 100, 301, 3004]
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


class Reader:
    """What a scan asks of an index: vectors in one or more parts, and chunks that are gone."""

    def __init__(self, parts, dead=()):
        self._parts, self._dead = parts, dead

    def vectors(self):
        return self._parts

    def graph(self):
        return None

    def dead_chunks(self):
        return np.array(sorted(self._dead), dtype=np.int64)


@given(st.integers(0, 30), st.integers(0, 10), st.booleans(), st.integers(0, 2**32 - 1))
def test_the_scan_agrees_with_a_naive_one(mapped, stored, filtered, seed):
    random = np.random.default_rng(seed)
    ids = random.choice(1000, mapped + stored, replace=False).astype(np.int64)
    ids[mapped:].sort()  # SQLite's are ascending, those of a mapped file need not be
    vectors = random.standard_normal((mapped + stored, DIM)).astype(np.float32)
    dead = set(ids[: mapped // 3].tolist()) | {5000}
    admitted = np.sort(random.choice(1000, 500, replace=False)) if filtered else None
    parts = [(ids[:mapped], vectors[:mapped]), (ids[mapped:], vectors[mapped:])]
    reader = Reader([part for part in parts if len(part[0])], dead)
    query = random.standard_normal(DIM).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query /= np.linalg.norm(query)

    found = Scan(reader).score(query, admitted)

    alive = {int(i): float(np.dot(row, query)) for i, row in zip(ids, vectors, strict=True) if int(i) not in dead}
    kept = {i: cosine for i, cosine in sorted(alive.items()) if admitted is None or i in admitted}
    assert found.chunk_ids.tolist() == list(kept)
    np.testing.assert_allclose(found.cosines, list(kept.values()), atol=1e-5)
    assert found.highest == pytest.approx(max(alive.values(), default=-1.0), abs=1e-5)


def test_an_index_without_chunks_has_no_scores():
    found = Scan(Reader([])).score(np.ones(DIM, dtype=np.float32))
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
    found = Scan(changed).score(query)

    ids, vectors = changed._stored_vectors(0)
    assert found.chunk_ids.tolist() == ids.tolist()
    np.testing.assert_allclose(found.cosines, vectors @ query, atol=1e-3)


class IndexWithGraph:
    """An index whose vector file lacks the latest chunks, and still holds some that are gone."""

    def __init__(self, path):
        random = np.random.default_rng(1)
        # Around some topics, as texts are.
        topics = random.standard_normal((40, GRAPH_DIM))
        vectors = topics[random.integers(0, 40, COUNT)] + 0.7 * random.standard_normal((COUNT, GRAPH_DIM))
        self.all = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        self.ids = np.arange(1, 3 * COUNT, 3, dtype=np.int64)
        record = build_vector_file(path, self.ids[:IN_FILE], self.all[:IN_FILE])
        mapped = map_vectors(path, record, GRAPH_DIM)
        assert mapped is not None
        self._pairs = [mapped, (self.ids[IN_FILE:], self.all[IN_FILE:])]
        self._graph = load_graph(path, record, GRAPH_DIM, self.dead_chunks())

    def graph(self):
        return self._graph

    def vectors(self):
        return self._pairs

    def dead_chunks(self):
        return np.array(DEAD, dtype=np.int64)


class WithoutGraph(Reader):
    """The same index without a graph, or with another."""

    def __init__(self, reader, graph=None):
        super().__init__(reader.vectors(), reader.dead_chunks())
        self._graph = graph

    def graph(self):
        return self._graph


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return IndexWithGraph(tmp_path_factory.mktemp("graph") / "vectors.hnsw")


@pytest.fixture(scope="module")
def scans(reader):
    return Scan(reader), Scan(WithoutGraph(reader))


@pytest.fixture(scope="module")
def queries(reader):
    random = np.random.default_rng(2)
    near = reader.all[random.integers(0, COUNT, 60)] + 0.1 * random.standard_normal((60, GRAPH_DIM))
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)


def test_an_index_with_a_graph_is_scanned_by_it(scans):
    assert isinstance(scans[0].score(np.ones(GRAPH_DIM, dtype=np.float32)), GraphScores)


@pytest.mark.parametrize("limit", [1, 10, 300, 600])
def test_the_closest_ones_are_found(scans, queries, limit):
    graph, exact = scans
    hits = 0
    for query in queries:
        found = graph.score(query).best(limit)
        assert len(found) == len(set(found.tolist())) == limit
        hits += len(set(found.tolist()) & set(exact.score(query).best(limit).tolist()))
    assert hits / (limit * len(queries)) >= 0.99


@pytest.mark.parametrize("limit", [900, COUNT, 10 * COUNT])
def test_many_are_found_exactly(scans, queries, limit):
    graph, exact = scans
    for query in queries[:3]:
        found, expected = (scan.score(query).best(limit).tolist() for scan in (graph, exact))
        assert found == expected


def test_what_is_gone_is_not_found_and_what_is_new_is(scans, reader, queries):
    graph, _ = scans
    for row in (0, 1, 33):
        assert reader.ids[row] in DEAD
        assert reader.ids[row] not in graph.score(reader.all[row]).best(50)
    for query in queries:
        assert not set(graph.score(query).best(600).tolist()) & set(DEAD)
    for row in (IN_FILE, COUNT - 1):
        assert graph.score(reader.all[row]).best(1).tolist() == [reader.ids[row]]


def test_scores_of_chunks_are_exact(scans, queries, reader):
    graph, exact = scans
    for query in queries[:5]:
        scores, expected = graph.score(query), exact.score(query)
        asked = np.array([4, 7, 11_998, 5, 10, 100_000, -1, 11_395, 11_401])
        assert scores.admitted(asked).tolist() == expected.admitted(asked).tolist() == [7, 11_998, 10, 11_395, 11_401]
        live = scores.admitted(asked)
        np.testing.assert_allclose(scores.of(live), expected.of(live), atol=1e-6)
        assert scores.highest == pytest.approx(expected.highest, abs=1e-6)


@pytest.mark.parametrize("every", [97, 3])
def test_what_filters_admit_is_scored_exactly(scans, reader, queries, every):
    graph, exact = scans
    admitted = reader.ids[~np.isin(reader.ids, DEAD)][::every]
    for query in queries:
        scores, expected = graph.score(query, admitted), exact.score(query, admitted)
        assert isinstance(scores, ExactScores)
        assert scores.chunk_ids.tolist() == expected.chunk_ids.tolist()
        np.testing.assert_allclose(scores.cosines, expected.cosines, atol=1e-6)
        assert scores.highest == pytest.approx(expected.highest, abs=1e-6), "of all, admitted or not"


def test_a_graph_that_leads_to_too_few_is_not_used(reader, queries):
    class Parted:
        def set_ef(self, ef):
            pass

        def knn_query(self, query, k, num_threads):
            raise RuntimeError("Cannot return the results in a contiguous 2D array. Probably ef or M is too small")

    expected = Scan(WithoutGraph(reader)).score(queries[0]).best(50)
    assert Scan(WithoutGraph(reader, Parted())).score(queries[0]).best(50).tolist() == expected.tolist()


def test_fewer_chunks_than_are_asked_for(tmp_path):
    class Small(IndexWithGraph):
        def __init__(self):
            self.all = np.eye(5, GRAPH_DIM, dtype=np.float32)
            self.ids = np.array([2, 3, 5, 8, 9], dtype=np.int64)
            record = build_vector_file(tmp_path / "v", self.ids, self.all)
            self._pairs = [map_vectors(tmp_path / "v", record, GRAPH_DIM)]
            self._graph = load_graph(tmp_path / "v", record, GRAPH_DIM, self.dead_chunks())

        def dead_chunks(self):
            return np.array([3], dtype=np.int64)

    scores = Scan(Small()).score(np.eye(1, GRAPH_DIM, 3, dtype=np.float32)[0])
    assert scores.best(300).tolist() == [8, 2, 5, 9]
    assert scores.best(1).tolist() == [8]
