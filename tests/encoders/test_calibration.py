"""What a model's cosines mean: hand-computed."""

from __future__ import annotations

import numpy as np
import pytest

from notesearch.encoders import PreparedModel
from notesearch.encoders.calibration import ScoreScale, measure_scale


def test_the_scale_is_the_mean_of_the_pairs_and_of_the_rest() -> None:
    scores = np.array([[0.8, 0.6, 0], [0.6, 0.8, 1], [0.8, 0.6, 0]], dtype=np.float32)
    # The diagonal is .8 + .8 + 0, the rest .6 + 0 + .6 + 1 + .8 + .6.
    scale = measure_scale(scores)
    assert scale.related == pytest.approx(1.6 / 3)
    assert scale.unrelated == pytest.approx(3.6 / 6)


def test_similarity_is_0_where_unrelated_and_1_for_an_answer() -> None:
    cosines = np.array([0.7, 0.9, 0.8, 0.6, 1.0], dtype=np.float32)
    expected = [0, 1, 0.5, -0.5, 1.5]
    np.testing.assert_allclose(ScoreScale(0.7, 0.9).similarity(cosines), expected, atol=1e-5)


def test_a_model_that_tells_nothing_apart_divides_by_no_zero() -> None:
    similarity = ScoreScale(0.5, 0.5).similarity(np.array([0.5, 0.6], dtype=np.float32))
    assert np.isfinite(similarity).all()
    assert similarity[0] == 0


def test_the_default_model_tells_answers_from_the_rest(default_model: PreparedModel) -> None:
    assert -0.1 < default_model.scale.unrelated < 0.2
    assert 0.4 < default_model.scale.related < 0.9
