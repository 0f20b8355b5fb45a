"""Half sweeps of alternating least squares: warm-started conjugate gradients, one row at a time."""

import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from skllmrec._kernels.threads import even_chunks, map_chunks, map_rows, serial_blas
from skllmrec._typing import CsrMatrix, FloatArray

SWEEP_STEPS = 3  # conjugate gradient steps of one half sweep; the next sweep continues where this one stopped
_SWEEP_TOL = 1e-6  # relative to the row's energy: what is left to gain is negligible
_EXACT_TOL = 1e-14
_LINE = 64  # bytes of a cache line


def _as_csr(matrix, dtype):
    """Index and weight arrays in the types the compiled loops expect."""
    return (
        matrix.indptr.astype(np.int64, copy=False),
        matrix.indices.astype(np.int32, copy=False),
        matrix.data.astype(dtype, copy=False),
    )


def empty_rows(n_rows: int, n_columns: int, dtype: DTypeLike) -> FloatArray:
    """Make an uninitialised table whose rows start at multiples of a cache line, where loads are fastest.

    Parameters
    ----------
    n_rows, n_columns : int
    dtype : dtype

    Returns
    -------
    ndarray of shape (n_rows, width)
        C-contiguous; `width` is `n_columns` rounded up to a multiple of a cache line (16 float32, 8 float64).
    """
    dtype = np.dtype(dtype)
    per_line = _LINE // dtype.itemsize
    width = -(-n_columns // per_line) * per_line
    memory = np.empty(n_rows * width * dtype.itemsize + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + n_rows * width * dtype.itemsize].view(dtype).reshape(n_rows, width)


def _fill(table, values, rotation):
    """Write values, rotated if there is a rotation, to the first columns of a table; the others become zero."""
    d = values.shape[1]
    if rotation is None:
        table[:, :d] = values
    else:
        np.matmul(values, rotation, out=table[:, :d])
    table[:, d:] = 0


def _zero_row(n_columns, dtype):
    row = empty_rows(1, n_columns, dtype)
    row[:] = 0
    return row


def gram_of(factors: FloatArray, n_threads: int | None = None) -> FloatArray:
    """Compute ``factors.T @ factors`` in double precision, in chunks that do not depend on the number of threads.

    Parameters
    ----------
    factors : ndarray of shape (n, d)
    n_threads : int, default=None

    Returns
    -------
    ndarray of shape (d, d), float64
    """
    grams = {}

    def square(first, last):
        grams[first] = (factors[first:last].T @ factors[first:last]).astype(np.float64)

    map_chunks(square, even_chunks(len(factors), max(1, factors.shape[1] // 8)), n_threads)
    return sum(grams[first] for first in sorted(grams))


def _as_regressors(factors, unobserved_weight, n_threads, gram=None):
    """Rotate factors so that ``unobserved_weight * factors.T @ factors`` is diagonal, and align their rows.

    Returns the aligned factors, the diagonal, and the rotation, None where the weight is zero.
    """
    d, aligned = factors.shape[1], empty_rows(*factors.shape, factors.dtype)
    chunks = even_chunks(len(factors), max(1, d // 8))  # cost of a row in a product with a d x d matrix, in non-zeros
    diagonal, rotation = np.zeros(aligned.shape[1], factors.dtype), None
    if unobserved_weight > 0:
        gram = gram_of(factors, n_threads) if gram is None else gram
        values, vectors = np.linalg.eigh(unobserved_weight * gram)
        diagonal[:d], rotation = np.maximum(values, 0), vectors.astype(factors.dtype)
    map_chunks(lambda first, last: _fill(aligned[first:last], factors[first:last], rotation), chunks, n_threads)
    return aligned, diagonal, rotation


def solve_rows(
    weights: CsrMatrix,
    targets: FloatArray,
    factors: FloatArray,
    *,
    start: FloatArray,
    prior: FloatArray | None,
    ridge: FloatArray,
    unobserved_weight: float = 0.0,
    offsets: FloatArray | None = None,
    n_steps: int = SWEEP_STEPS,
    tol: float = _SWEEP_TOL,
    n_threads: int | None = None,
    gram: FloatArray | None = None,
) -> FloatArray:
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
    prior : ndarray of shape (n_rows, d) or None
        Centres of the ridge, None for zeros. A row without entries becomes its prior.
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
    gram : ndarray of shape (d, d), float64, default=None
        G, where `factors` are only some rows of Q. None: that of `factors`.

    Returns
    -------
    ndarray of shape (n_rows, d)

    References
    ----------
    .. [1] Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008.
    .. [2] Takacs, Pilaszy, Tikk, "Applications of the conjugate gradient method for implicit feedback
       collaborative filtering", RecSys 2011.
    """
    from skllmrec._kernels.als import row_loops  # compiled on first use

    dtype, (n_rows, d) = factors.dtype, start.shape
    start, prior = start.astype(dtype, copy=False), None if prior is None else prior.astype(dtype, copy=False)
    offsets = np.zeros(len(factors), dtype) if offsets is None else offsets.astype(dtype, copy=False)
    csr, targets, ridge = _as_csr(weights, dtype), targets.astype(dtype, copy=False), ridge.astype(dtype, copy=False)
    solution = np.empty((n_rows, d), dtype)
    with serial_blas():
        factors, gram, rotation = _as_regressors(factors, unobserved_weight, n_threads, gram)

        constants = csr, targets, factors, offsets, gram, ridge
        longest = (int(np.diff(csr[0]).max(initial=0)) + 3) // 4 * 4
        nothing, own = _zero_row(d, dtype), threading.local()  # scratch of each thread

        def solve(first, last):
            if not hasattr(own, "scratch"):
                own.scratch = empty_rows(longest, d, dtype), *np.empty((2, longest), dtype), np.empty(longest, np.int64)
                own.vectors, own.table = tuple(empty_rows(5, d, dtype)), empty_rows(0, d, dtype)
            if len(own.table) < last - first:
                own.table = empty_rows(last - first, d, dtype)
            table, centre = own.table[: last - first], nothing
            _fill(table, start[first:last], rotation)
            if prior is not None:
                centre = empty_rows(last - first, d, dtype)
                _fill(centre, prior[first:last], rotation)
            row_loops.solve_chunk(first, last, *constants, centre, table, own.scratch, own.vectors, n_steps, tol)
            _fill(solution[first:last], table[:, :d], None if rotation is None else rotation.T)

        map_rows(solve, weights.indptr, n_threads)
    return solution


def solve_rows_exactly(weights: CsrMatrix, targets: FloatArray, factors: FloatArray, **terms: Any) -> FloatArray:
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


def squared_error(
    weights: CsrMatrix,
    targets: FloatArray,
    row_factors: FloatArray,
    factors: FloatArray,
    row_offsets: FloatArray,
    offsets: FloatArray,
    *,
    n_threads: int | None = None,
) -> FloatArray:
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
    from skllmrec._kernels.als import row_loops

    dtype = factors.dtype
    csr, targets = _as_csr(weights, dtype), targets.astype(dtype, copy=False)
    row_factors, factors = np.ascontiguousarray(row_factors, dtype), np.ascontiguousarray(factors)
    row_offsets, offsets = row_offsets.astype(dtype, copy=False), offsets.astype(dtype, copy=False)
    loss = np.empty(weights.shape[0], np.float64)

    def evaluate(first, last):
        row_loops.loss_chunk(first, last, csr, targets, row_factors, factors, row_offsets, offsets, loss)

    map_rows(evaluate, weights.indptr, n_threads)
    return loss
