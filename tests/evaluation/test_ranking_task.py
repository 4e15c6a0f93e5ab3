import math

import numpy as np
import pytest

from notesearch.evaluation.collections import general_set
from notesearch.evaluation.measures import RankingTask


def directions(*degrees):
    return np.array([[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees], dtype=np.float32)


def values(queries, passages, documents, *relevant):
    task = RankingTask(("",) * len(queries), ("",) * len(passages), tuple(documents), tuple(map(frozenset, relevant)))
    return task.ndcg(queries, passages).tolist()


def test_a_document_ranks_by_its_most_similar_passage():
    # From 0°: document b is 10° away, document a is 20° away by its second passage.
    found = values(directions(0, 0, 90), directions(50, 10, 20), "aba", "b", "a", "a")
    assert found == pytest.approx([1, 1 / math.log2(3), 1])


def test_several_relevant_documents_and_none_beyond_the_tenth():
    ideal = 1 + 1 / math.log2(3)
    found = values(directions(0), directions(0, 10, 20, 30), "abcd", "bd")
    assert found == pytest.approx([(1 / math.log2(3) + 1 / math.log2(5)) / ideal])
    assert values(directions(0, 0), directions(*range(12)), "abcdefghijkl", "j", "k") == pytest.approx(
        [1 / math.log2(11), 0]
    )


def test_the_general_set_is_whole_and_has_two_halves():
    general = general_set()
    assert (len(general.queries), len(set(general.passages)), len(set(general.documents))) == (240, 320, 320)
    assert all(wanted and wanted <= set(general.documents) for wanted in general.relevant)
    halves = [general.half(0), general.half(1)]
    assert [query for pair in zip(*(half.queries for half in halves), strict=True) for query in pair] == [
        *general.queries
    ]
    assert halves[1].relevant[0] == general.relevant[1]
    assert general.with_prompts("q: ", "p: ").queries[0] == "q: " + general.queries[0]
