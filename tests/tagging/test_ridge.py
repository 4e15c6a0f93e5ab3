import numpy as np
import pytest
from scipy import sparse

from notesearch.tagging.estimators import kernel_of, solve_ridge


def test_a_solution_by_hand() -> None:
    # The examples are 1 and 0. Kernel + 1 + λ is [[3, 1], [1, 2]], its inverse [[2, -1], [-1, 3]] / 5.
    kernel = np.array([[1, 0], [0, 0]], dtype=np.float32)
    weights = solve_ridge(kernel, np.array([[True, False], [False, True]]), strength=1)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [[0.4, -0.2], [-0.2, 0.6]], rtol=1e-6)
    np.testing.assert_allclose(np.array([2 * 1 + 1, 1]) @ weights, [1.0, 0.0], atol=1e-6)
    np.testing.assert_array_equal(kernel, [[1, 0], [0, 0]])


@pytest.mark.parametrize("strength", [0.1, 2.0, 50.0])
@pytest.mark.parametrize(("examples", "features"), [(7, 3), (5, 20)])
def test_kernels_give_what_explicit_features_give(strength: float, examples: int, features: int) -> None:
    generator = np.random.default_rng(1)
    known, new = generator.normal(size=(2, examples, features)).astype(np.float32)
    targets = generator.random((examples, 4)) < 0.4
    dual = (new @ known.T + 1) @ solve_ridge(kernel_of(known), targets, strength)
    with_bias, new_with_bias = (np.column_stack([rows, np.ones(examples)]).astype(np.float64) for rows in (known, new))
    system = with_bias.T @ with_bias + np.eye(features + 1) / strength
    primal = new_with_bias @ np.linalg.solve(system, with_bias.T @ targets)
    np.testing.assert_allclose(dual, primal, rtol=1e-3, atol=1e-3)


def test_strength_decides_how_closely_targets_are_met() -> None:
    known = np.random.default_rng(2).normal(size=(6, 10)).astype(np.float32)
    targets = np.array([[True], [False]] * 3)
    kernel = kernel_of(known)
    errors = [np.abs((kernel + 1) @ solve_ridge(kernel, targets, s) - targets).max() for s in (0.01, 1, 10_000)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.5 and errors[-1] < 0.01


@pytest.mark.parametrize("rows", [0, 1, 512, 600])
def test_the_kernel_of_a_sparse_matrix_is_that_of_a_dense_one(rows: int) -> None:
    matrix = sparse.random(rows, 30, density=0.1, format="csr", dtype=np.float32, random_state=3)
    kernel = kernel_of(matrix)
    assert kernel.dtype == np.float32
    np.testing.assert_allclose(kernel, kernel_of(matrix.toarray()), rtol=1e-5, atol=1e-6)
