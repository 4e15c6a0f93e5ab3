import numpy as np
import pytest

from notesearch.encoders import ScoreScale
from notesearch.retrieval.fusion import BACKGROUND_PASSAGES, Background

SCALE = ScoreScale(unrelated=0.0, related=1.0)


def vectors(*rows) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def background(strength: float = 1.0) -> Background:
    """One that takes nothing off, so that what it adds can be worked out by hand."""
    return Background(vectors([1, 0])[0], np.zeros(2, dtype=np.float32), strength)


def test_half_of_what_the_closest_passages_have_in_common_is_taken_off() -> None:
    # They all point half to the first axis, and their other halves cancel out.
    closest = vectors(*[[0.6, 0.8], [0.6, -0.8]] * (BACKGROUND_PASSAGES // 2))
    found = Background.of(vectors([0.6, 0.8])[0], closest)
    assert found is not None
    np.testing.assert_allclose(found.common, [0.3, 0], atol=1e-6)
    # (0.6 - 0.3, 0.8), scaled to length 1
    np.testing.assert_allclose(found.query, [0.3 / np.sqrt(0.73), 0.8 / np.sqrt(0.73)], atol=1e-6)
    assert found.strength == 1


def test_fewer_passages_count_for_less_and_few_for_nothing() -> None:
    query = vectors([1, 0])[0]
    half = Background.of(query, np.tile(query, (BACKGROUND_PASSAGES // 2, 1)))
    assert half is not None
    assert half.strength == pytest.approx(0.5)
    np.testing.assert_allclose(half.common, [0.25, 0], atol=1e-6)
    assert Background.of(query, np.tile(query, (49, 1))) is None
    assert Background.of(query, np.empty((0, 2), dtype=np.float32)) is None


def test_being_like_the_best_notes_counts_a_tenth() -> None:
    # Six notes; the last is not among the five best, whose mean points to the first axis.
    passages = vectors([1, 0], [1, 0], [1, 0], [1, 0], [1, 0], [0.6, 0.8])
    scores = np.array([5, 4, 3, 2, 1, 0], dtype=np.float32)
    notes, added = background().feed_back(passages, passages @ [1, 0], np.arange(6), scores, SCALE)
    np.testing.assert_allclose(notes, [0.1] * 5 + [0.06], atol=1e-6)
    np.testing.assert_allclose(added, notes, atol=1e-6)
    weaker, _ = background(0.5).feed_back(passages, passages @ [1, 0], np.arange(6), scores, SCALE)
    np.testing.assert_allclose(weaker, notes / 2, atol=1e-6)


def test_a_note_gains_by_its_best_passage() -> None:
    passages = vectors([0, 1], [1, 0], [0.6, 0.8])
    notes, added = background().feed_back(
        passages, np.array([0, 1, 0.6], dtype=np.float32), np.array([0, 2]), np.array([1, 0], dtype=np.float32), SCALE
    )
    # The two notes' best passages are (1, 0) and (0.6, 0.8), and their mean, scaled, (0.8, 0.4) / sqrt(0.8).
    middle = np.array([0.8, 0.4]) / np.sqrt(0.8)
    np.testing.assert_allclose(added, 0.1 * (passages @ middle), atol=1e-6)
    np.testing.assert_allclose(notes, [0.1 * middle[0], 0.1 * (passages[2] @ middle)], atol=1e-6)


def test_what_is_in_common_no_longer_makes_a_passage_close() -> None:
    query = vectors([0.8, 0.6])[0]
    usual, special = vectors([1, 0], [0.6, 0.8])
    found = Background.of(query, np.tile(usual, (BACKGROUND_PASSAGES, 1)))
    assert found is not None
    passages = np.stack([usual, special])
    # Without the common part (0.5, 0) the query is (0.3, 0.6) and the passages are (0.5, 0) and (0.1, 0.8), scaled.
    notes, _ = found.feed_back(passages, passages @ query, np.arange(2), np.zeros(2, dtype=np.float32), SCALE)
    apart = [vectors([0.3, 0.6])[0] / np.sqrt(0.45), vectors([0.1, 0.8])[0] / np.sqrt(0.65)]
    middle = (np.array([1, 0]) + apart[1]) / np.linalg.norm(np.array([1, 0]) + apart[1])
    np.testing.assert_allclose(
        notes,
        [apart[0][0] - 0.8 + 0.1 * middle[0], apart[0] @ apart[1] - 0.96 + 0.1 * apart[1] @ middle],
        atol=1e-6,
    )


def test_feedback_is_on_the_scale_of_the_cosines() -> None:
    passages = vectors([1, 0], [0.6, 0.8])
    cosines = passages @ vectors([1, 0])[0]
    scale = ScoreScale(unrelated=0.2, related=0.7)
    notes, _ = background().feed_back(passages, cosines, np.arange(2), np.zeros(2, dtype=np.float32), scale)
    plain, _ = background().feed_back(passages, cosines, np.arange(2), np.zeros(2, dtype=np.float32), SCALE)
    np.testing.assert_allclose(notes, (plain - 0.1 * 0.2) / 0.5, atol=1e-6)
