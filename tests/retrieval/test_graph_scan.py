"""The graph against an exact scan of the same embeddings."""

import numpy as np
import pytest

from notesearch.records import Filters
from notesearch.retrieval.dense import ExactScan, ExactScores, GraphScan, GraphScores, open_scan
from notesearch.storage.vector_file import build_vector_file, load_graph, map_vectors

DIM = 32
COUNT = 4000
IN_FILE = 3800
DEAD = [1, 4, 100, 301, 3004]
FEW = Filters(tags=("few",))
MANY = Filters(tags=("many",))


class Reader:
    """An index whose vector file lacks the latest chunks, and still holds some that are gone."""

    def __init__(self, path):
        random = np.random.default_rng(1)
        # Around some topics, as texts are.
        topics = random.standard_normal((40, DIM))
        vectors = topics[random.integers(0, 40, COUNT)] + 0.7 * random.standard_normal((COUNT, DIM))
        self.all = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        self.ids = np.arange(1, 3 * COUNT, 3, dtype=np.int64)
        record = build_vector_file(path, self.ids[:IN_FILE], self.all[:IN_FILE])
        mapped = map_vectors(path, record, DIM)
        assert mapped is not None
        self._pairs = [mapped, (self.ids[IN_FILE:], self.all[IN_FILE:])]
        self._graph = load_graph(path, record, DIM, self.dead_chunks())

    def graph(self):
        return self._graph

    def vectors(self):
        return self._pairs

    def dead_chunks(self):
        return np.array(DEAD, dtype=np.int64)

    def admitted_chunks(self, filters):
        live = self.ids[~np.isin(self.ids, DEAD)]
        return {FEW: live[::97], MANY: live[::3]}.get(filters)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return Reader(tmp_path_factory.mktemp("graph") / "vectors.hnsw")


@pytest.fixture(scope="module")
def scans(reader):
    return open_scan(reader), ExactScan(reader)


@pytest.fixture(scope="module")
def queries(reader):
    random = np.random.default_rng(2)
    near = reader.all[random.integers(0, COUNT, 60)] + 0.1 * random.standard_normal((60, DIM))
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)


def test_an_index_with_a_graph_is_scanned_by_it(scans):
    assert isinstance(scans[0], GraphScan)
    assert isinstance(scans[0].score(np.ones(DIM, dtype=np.float32), Filters()), GraphScores)


@pytest.mark.parametrize("limit", [1, 10, 300, 600])
def test_the_closest_ones_are_found(scans, queries, limit):
    graph, exact = scans
    hits = 0
    for query in queries:
        found = graph.score(query, Filters()).best(limit)
        assert len(found) == len(set(found.tolist())) == limit
        hits += len(set(found.tolist()) & set(exact.score(query, Filters()).best(limit).tolist()))
    assert hits / (limit * len(queries)) >= 0.99


@pytest.mark.parametrize("limit", [900, COUNT, 10 * COUNT])
def test_many_are_found_exactly(scans, queries, limit):
    graph, exact = scans
    for query in queries[:3]:
        found, expected = (scan.score(query, Filters()).best(limit).tolist() for scan in (graph, exact))
        assert found == expected


def test_what_is_gone_is_not_found_and_what_is_new_is(scans, reader, queries):
    graph, _ = scans
    for row in (0, 1, 33):
        assert reader.ids[row] in DEAD
        assert reader.ids[row] not in graph.score(reader.all[row], Filters()).best(50)
    for query in queries:
        assert not set(graph.score(query, Filters()).best(600).tolist()) & set(DEAD)
    for row in (IN_FILE, COUNT - 1):
        assert graph.score(reader.all[row], Filters()).best(1).tolist() == [reader.ids[row]]


def test_scores_of_chunks_are_exact(scans, queries, reader):
    graph, exact = scans
    for query in queries[:5]:
        scores, expected = graph.score(query, Filters()), exact.score(query, Filters())
        asked = np.array([4, 7, 11_998, 5, 10, 100_000, -1, 11_395, 11_401])
        assert scores.admitted(asked).tolist() == expected.admitted(asked).tolist() == [7, 11_998, 10, 11_395, 11_401]
        live = scores.admitted(asked)
        np.testing.assert_allclose(scores.of(live), expected.of(live), atol=1e-6)
        assert scores.highest == pytest.approx(expected.highest, abs=1e-6)
        only, expected_only = scores.only(asked), expected.only(asked)
        assert only.chunk_ids.tolist() == expected_only.chunk_ids.tolist()
        np.testing.assert_allclose(only.cosines, expected_only.cosines, atol=1e-6)
        assert only.highest == scores.highest


@pytest.mark.parametrize("filters", [FEW, MANY])
def test_what_filters_admit_is_scored_exactly(scans, queries, filters):
    graph, exact = scans
    for query in queries:
        scores, expected = graph.score(query, filters), exact.score(query, filters)
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

    found = GraphScan(reader, Parted()).score(queries[0], Filters()).best(50)
    assert found.tolist() == ExactScan(reader).score(queries[0], Filters()).best(50).tolist()


def test_fewer_chunks_than_are_asked_for(tmp_path):
    class Small(Reader):
        def __init__(self):
            self.all = np.eye(5, DIM, dtype=np.float32)
            self.ids = np.array([2, 3, 5, 8, 9], dtype=np.int64)
            record = build_vector_file(tmp_path / "v", self.ids, self.all)
            self._pairs = [map_vectors(tmp_path / "v", record, DIM)]
            self._graph = load_graph(tmp_path / "v", record, DIM, self.dead_chunks())

        def dead_chunks(self):
            return np.array([3], dtype=np.int64)

    scores = open_scan(Small()).score(np.eye(1, DIM, 3, dtype=np.float32)[0], Filters())
    assert scores.best(300).tolist() == [8, 2, 5, 9]
    assert scores.best(1).tolist() == [8]
