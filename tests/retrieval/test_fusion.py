import numpy as np
import pytest

from notesearch.retrieval.fusion import fuse, lexical_weight


def test_a_weight_by_hand() -> None:
    # doubt = 1 + 1.4 (1.34 - 1.14) = 1.28; trust = sqrt(0.12 / 0.3) = 0.632…
    assert lexical_weight(best_similarity=1.14, coverage=0.12) == pytest.approx(0.027 * 1.28 * 0.6324555)


def test_words_count_more_where_nothing_is_similar_and_less_where_much_is() -> None:
    weights = [lexical_weight(similarity, 0.3) for similarity in (-1.0, 0.3, 0.8, 1.34, 1.6, 3.0)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] == pytest.approx(3 * 0.027)
    assert weights[3] == pytest.approx(0.027)
    assert weights[-1] == pytest.approx(0.2 * 0.027)


def test_words_count_less_where_even_the_best_note_holds_few_of_them() -> None:
    weights = [lexical_weight(1.34, coverage) for coverage in (0.0, 0.1, 0.3, 0.5, 1.0)]
    assert weights == sorted(weights)
    assert weights[0] == pytest.approx(0.3 * 0.027)
    assert weights[-1] == pytest.approx(1.5 * 0.027)


def test_fused_scores_by_hand_keep_their_type() -> None:
    fused = fuse(np.array([0.0, 10.0], np.float32), np.array([0.5, 0.25], np.float32), 0.05)
    assert fused.dtype == np.float32
    np.testing.assert_allclose(fused, [0.5, 0.75])
