"""Load the compiled loops before something is timed."""

import functools

import numpy as np
from scipy.sparse import csr_matrix

from skllmrec._kernels.als.row_solver import solve_rows
from skllmrec._kernels.topk.exact import topk_dense


@functools.cache
def load_compiled() -> None:
    """Solve and rank one row, once in a process: numba is imported, and the loops are compiled or read from its cache.

    These are the loops that most recommenders use, in both precisions; the first estimator that is timed in a process
    would be charged for them.
    """
    seen = csr_matrix(np.array([[1.0, 0.0]]))
    for dtype in (np.float32, np.float64):
        factors = np.ones((2, 1), dtype)
        start = np.zeros((1, 1), dtype)
        solve_rows(seen, seen.data, factors, start=start, prior=None, ridge=np.ones(1, dtype), unobserved_weight=1.0)
        topk_dense(start @ factors.T, 1, seen)
