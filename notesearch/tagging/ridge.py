"""Ridge regression on kernels: one solve for all labels.

On notes, least squares on 0/1 targets with TF-IDF and embeddings side by side ranks labels better than logistic
regression and takes a fiftieth of its time (docs/decisions/0007-tagging.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Rows of a kernel computed at once, so that the sparse product of all rows is never in memory.
_BLOCK_ROWS = 512


def kernel_of(matrix: Any) -> NDArray[np.float32]:
    """The inner products of the rows of a matrix (dense, or scipy CSR) with each other, float32 `(n, n)`."""
    if isinstance(matrix, np.ndarray):
        dense: NDArray[np.float32] = matrix @ matrix.T
        return dense
    kernel = np.empty((matrix.shape[0], matrix.shape[0]), dtype=np.float32)
    transposed = matrix.T.tocsc()
    for first in range(0, len(kernel), _BLOCK_ROWS):
        kernel[first : first + _BLOCK_ROWS] = (matrix[first : first + _BLOCK_ROWS] @ transposed).toarray()
    return kernel


def solve_ridge(kernel: NDArray[np.float32], targets: NDArray[np.bool_], regularisation: float) -> NDArray[np.float32]:
    """Fits kernel ridge regression to 0/1 targets.

    Args:
        kernel: Inner products of the examples, `(n, n)`; a constant feature of 1, the bias, is added.
        targets: `(n, labels)`.
        regularisation: The usual λ, > 0.

    Returns:
        Dual weights, float32 `(n, labels)`: scores of new texts are `(their kernel with the examples + 1) @ weights`.
    """
    from scipy import linalg

    system = kernel + np.float32(1)
    system[np.diag_indices_from(system)] += np.float32(regularisation)
    factor = linalg.cho_factor(system, lower=True, overwrite_a=True, check_finite=False)
    weights: NDArray[np.float32] = linalg.cho_solve(factor, targets.astype(np.float32), check_finite=False)
    return weights
