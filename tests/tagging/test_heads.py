from math import exp

import numpy as np
import pytest

from notesearch.tagging.estimators import neighbour_scores, term_scores
from notesearch.tagging.features import WeighedTerms

TARGETS = np.array([[True, False], [True, True], [False, True]])


def test_the_closest_vote_and_the_closer_have_more_say() -> None:
    cosines = np.array([[0.9, 0.8, 0.1], [-0.5, 0.2, 0.3]], dtype=np.float32)
    votes = neighbour_scores(cosines, TARGETS, 2)
    assert votes.dtype == np.float32
    less = exp(-1) / (1 + exp(-1))
    np.testing.assert_allclose(votes, [[1, less], [less, 1]], rtol=1e-5)


@pytest.mark.parametrize("count", [3, 20])
def test_all_vote_where_there_are_no_more_examples(count: int) -> None:
    votes = neighbour_scores(np.full((1, 3), 0.5, dtype=np.float32), TARGETS, count)
    np.testing.assert_allclose(votes, [[2 / 3, 2 / 3]], rtol=1e-6)


def test_votes_are_shares_even_of_notes_that_nothing_is_close_to() -> None:
    cosines = np.random.default_rng(0).uniform(-1, 1, (50, 30)).astype(np.float32) * 100
    targets = np.random.default_rng(1).random((30, 4)) < 0.5
    votes = neighbour_scores(cosines, targets, 7)
    assert votes.min() >= 0 and votes.max() <= 1 + 1e-6
    np.testing.assert_allclose(neighbour_scores(cosines, np.ones_like(targets), 7), 1, rtol=1e-5)


def test_what_terms_say_by_hand() -> None:
    weights = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)
    known = WeighedTerms(np.array([2, 0]), np.array([0.5, 2], dtype=np.float32))
    unknown = WeighedTerms(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
    np.testing.assert_array_equal(term_scores(weights, [known, unknown]), [[4.5, 7], [0, 0]])
    assert term_scores(weights, []).shape == (0, 2)
