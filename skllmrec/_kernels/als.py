"""Half sweeps of alternating least squares: warm-started conjugate gradients, one row at a time."""

import numpy as np

from .threads import map_rows

SWEEP_STEPS = 3  # conjugate gradient steps of one half sweep; the next sweep continues where this one stopped
_SWEEP_TOL = 1e-6  # relative to the row's energy: nothing visible is left to gain
_EXACT_TOL = 1e-14


def _as_csr(matrix, dtype):
    """Index and weight arrays in the types the compiled loops expect."""
    return (
        matrix.indptr.astype(np.int64, copy=False),
        matrix.indices.astype(np.int32, copy=False),
        matrix.data.astype(dtype, copy=False),
    )


def _rotation(factors, unobserved_weight):
    """Eigenvectors and eigenvalues of ``unobserved_weight * factors.T @ factors``."""
    gram = (factors.T @ factors).astype(np.float64)
    values, vectors = np.linalg.eigh(unobserved_weight * gram)
    return vectors.astype(factors.dtype), np.maximum(values, 0).astype(factors.dtype)


def solve_rows(
    weights,
    targets,
    factors,
    *,
    start,
    prior,
    ridge,
    unobserved_weight=0.0,
    offsets=None,
    n_steps=SWEEP_STEPS,
    tol=_SWEEP_TOL,
    n_threads=None,
):
    """Minimise each row's regularised squared error over its factors, the other side being fixed.

    For every row u, with Q the other side's factors, G = Q'Q and sums over the stored entries j of row u::

        sum_j w_uj (t_uj - o_j - p . q_j)^2 + a0 p' G p + ridge_u |p - prior_u|^2

    whose minimum solves ``(sum_j w q q' + a0 G + ridge_u I) p = sum_j w (t - o) q + ridge_u prior_u``. The system is
    never built: a few steps of conjugate gradients, preconditioned by its diagonal, improve `start`. Before that the
    factors are rotated so that G is diagonal, which makes the dense term cost no more than the ridge.

    Parameters
    ----------
    weights : csr_matrix of shape (n_rows, n_columns)
        Positive weights w of the stored entries, without duplicates.
    targets : ndarray of shape (nnz,)
        Their targets t, in the order of ``weights.data``.
    factors : ndarray of shape (n_columns, d), float32 or float64
        Q; its dtype is the dtype of the computation.
    start : ndarray of shape (n_rows, d)
        Starting points; not modified.
    prior : ndarray of shape (n_rows, d)
        Centres of the ridge. A row without entries becomes its prior.
    ridge : ndarray of shape (n_rows,)
        Non-negative strengths of the ridge.
    unobserved_weight : float, default=0.0
        a0, the weight of every (row, column) pair towards a product of zero.
    offsets : ndarray of shape (n_columns,), default=None
        o, subtracted from the targets; None means zeros.
    n_steps : int, default=3
        Conjugate gradient steps per row; fewer where the gradient vanishes.
    tol : float, default=1e-6
        A row stops once its preconditioned gradient is below `tol` times the root of its energy
        ``sum_j w (t - o)^2 + ridge |prior|^2``.
    n_threads : int, default=None
        None: as many as the process may use. The result does not depend on it.

    Returns
    -------
    ndarray of shape (n_rows, d)

    References
    ----------
    .. [1] Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008.
    .. [2] Takacs, Pilaszy, Tikk, "Applications of the conjugate gradient method for implicit feedback
       collaborative filtering", RecSys 2011.
    """
    from . import als_loops  # compiled on first use

    dtype, d = factors.dtype, factors.shape[1]
    gram = np.zeros(d, dtype)
    solution, prior = np.array(start, dtype, order="C"), np.ascontiguousarray(prior, dtype)
    if unobserved_weight > 0:
        rotation, gram = _rotation(factors, unobserved_weight)
        factors, solution, prior = factors @ rotation, solution @ rotation, prior @ rotation
    offsets = np.zeros(len(factors), dtype) if offsets is None else offsets.astype(dtype, copy=False)
    csr, targets = _as_csr(weights, dtype), targets.astype(dtype, copy=False)
    factors, ridge = np.ascontiguousarray(factors), ridge.astype(dtype, copy=False)

    def solve(first, last):
        als_loops.solve_chunk(first, last, csr, targets, factors, offsets, gram, ridge, prior, solution, n_steps, tol)

    map_rows(solve, weights.indptr, n_threads)
    return solution @ rotation.T if unobserved_weight > 0 else solution


def solve_rows_exactly(weights, targets, factors, **terms):
    """`solve_rows` in double precision until the gradient vanishes: for rows that no later sweep will improve.

    Parameters
    ----------
    weights, targets, factors, **terms
        As in `solve_rows`.

    Returns
    -------
    ndarray of shape (n_rows, d), float64
    """
    factors = factors.astype(np.float64)
    n_steps = 4 * factors.shape[1] + 16  # rounding costs some steps more than the d of exact arithmetic
    return solve_rows(weights, targets, factors, **{"n_steps": n_steps, "tol": _EXACT_TOL, **terms})


def squared_error(weights, targets, row_factors, factors, row_offsets, offsets, *, n_threads=None):
    """Weighted squared error of every row, ``sum_j w_uj (t_uj - o_u - o_j - p_u . q_j)^2``.

    Parameters
    ----------
    weights : csr_matrix of shape (n_rows, n_columns)
    targets : ndarray of shape (nnz,)
    row_factors : ndarray of shape (n_rows, d)
    factors : ndarray of shape (n_columns, d)
    row_offsets : ndarray of shape (n_rows,)
    offsets : ndarray of shape (n_columns,)
    n_threads : int, default=None

    Returns
    -------
    ndarray of shape (n_rows,), float64
    """
    from . import als_loops

    dtype = factors.dtype
    csr, targets = _as_csr(weights, dtype), targets.astype(dtype, copy=False)
    row_factors, factors = np.ascontiguousarray(row_factors, dtype), np.ascontiguousarray(factors)
    row_offsets, offsets = row_offsets.astype(dtype, copy=False), offsets.astype(dtype, copy=False)
    loss = np.empty(weights.shape[0], np.float64)

    def evaluate(first, last):
        als_loops.loss_chunk(first, last, csr, targets, row_factors, factors, row_offsets, offsets, loss)

    map_rows(evaluate, weights.indptr, n_threads)
    return loss
