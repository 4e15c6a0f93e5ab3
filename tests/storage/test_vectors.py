import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from notesearch.storage.vectors import pack, unpack


def test_a_vector_by_hand() -> None:
    (stored,) = pack(np.array([[0.6, -0.8, 0.0]], dtype=np.float32))
    assert np.frombuffer(stored[:4], dtype="<f4")[0] == np.float32(0.8) / np.float32(127)
    assert np.frombuffer(stored[4:], dtype=np.int8).tolist() == [95, -127, 0]  # 0.6 / 0.8 · 127 = 95.25


def test_no_vectors() -> None:
    assert pack(np.zeros((0, 3), dtype=np.float32)) == []
    assert unpack([], 3).shape == (0, 3)


def test_a_vector_of_zeros_stays_one() -> None:
    assert unpack(pack(np.zeros((1, 4), dtype=np.float32)), 4).tolist() == [[0, 0, 0, 0]]


@given(st.integers(0, 2**32 - 1))
def test_cosines_stay_within_a_few_thousandths(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    vectors = numbers.standard_normal((50, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query = vectors[0] + vectors[1]
    query /= np.linalg.norm(query)
    stored = unpack(pack(vectors), 384)
    assert stored.dtype == np.float32
    np.testing.assert_allclose(stored @ query, vectors @ query, atol=0.003)
