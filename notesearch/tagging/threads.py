"""How many threads linear algebra takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Holds the BLAS of numpy and scipy to one thread.

    Beside other busy processes, their threads wait for each other ten times as long as they compute.
    """
    # The limit holds for libraries that are loaded by now; scipy has a BLAS of its own.
    import scipy.linalg
    import scipy.optimize  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
