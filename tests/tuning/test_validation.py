import math

import numpy as np
import pytest

from notesearch.tuning.validation import ndcg_of_vectors


def directions(*degrees):
    return np.array([[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees], dtype=np.float32)


def test_a_document_ranks_by_its_closest_passage():
    # From 0°: document 7 is 10° away, document 3 is 20° away by its second passage.
    values = ndcg_of_vectors(
        directions(0, 0, 90), directions(50, 10, 20), [3, 7, 3], [frozenset({7}), frozenset({3}), frozenset({3})]
    )
    assert values.tolist() == pytest.approx([1, 1 / math.log2(3), 1])


def test_several_relevant_documents():
    values = ndcg_of_vectors(directions(0), directions(0, 10, 20, 30), [0, 1, 2, 3], [frozenset({1, 3})])
    ideal = 1 + 1 / math.log2(3)
    assert values.tolist() == pytest.approx([(1 / math.log2(3) + 1 / math.log2(5)) / ideal])


def test_beyond_the_tenth_nothing_counts():
    passages = directions(*range(12))
    values = ndcg_of_vectors(directions(0, 0), passages, range(12), [frozenset({9}), frozenset({10})])
    assert values.tolist() == pytest.approx([1 / math.log2(11), 0])
