"""Equal rows computed once: a matrix product rounds a row by its place in the block."""

from collections.abc import Callable

import numpy as np
from scipy import sparse

from skllmrec._typing import Array, IntArray, Matrix


def distinct_rows(matrix: Array) -> tuple[IntArray, IntArray] | None:
    """Find equal rows.

    Parameters
    ----------
    matrix : ndarray of shape (n, k), float32 or float64

    Returns
    -------
    first : ndarray of shape (n_distinct,), intp
        A row of each kind.
    places : ndarray of shape (n,), intp
        The kind of each row.
        Instead of both, None where all rows are different.
    """
    matrix = np.ascontiguousarray(matrix)
    if len(matrix) < 2 or matrix.shape[1] == 0:
        return None
    bits = matrix.view(np.uint32 if matrix.dtype.itemsize == 4 else np.uint64)
    factors = np.asarray(np.random.default_rng(0).integers(2**63, size=bits.shape[1], dtype=np.uint64) * 2 + 1)
    keys = np.zeros(len(bits), dtype=np.uint64)
    for column in range(len(factors)):  # a sum of products modulo 2^64
        word = bits[:, column].astype(np.uint64)
        keys += (word ^ (word >> np.uint64(32))) * factors[column]  # the low half of round numbers is zero
    _, first, places = np.unique(keys, return_index=True, return_inverse=True)
    if len(first) == len(matrix) or not np.array_equal(bits[first[places]], bits):
        return None
    return first, places


def on_distinct_rows(function: Callable[[Matrix], Array], matrix: Matrix) -> Array:
    """Apply a function row by row, once for equal rows of a dense matrix; products with sparse rows need no care.

    Parameters
    ----------
    function : callable
        Takes some rows, and returns a row for each.
    matrix : {ndarray, csr_matrix} of shape (n, k)

    Returns
    -------
    ndarray of shape (n, ...)
    """
    found = None if sparse.issparse(matrix) or matrix.dtype.kind != "f" else distinct_rows(matrix)
    if found is None:
        return function(matrix)
    first, places = found
    return function(matrix[first])[places]
