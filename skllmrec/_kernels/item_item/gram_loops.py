"""Compiled loop of a dense Gram matrix of a sparse one; imported on first use, since numba takes half a second."""

from numba import njit

from skllmrec._kernels.compiled import LOOP
from skllmrec._typing import Array


@njit(**LOOP)
def gram_chunk(
    first: int, last: int, columns: tuple[Array, Array, Array], rows: tuple[Array, Array, Array], out: Array
) -> None:
    """Write the columns ``first <= i < last`` of ``X.T @ X`` to the rows of `out`, which enter as zeros.

    `columns` is the transpose of X as a CSR triple (indptr, indices, data), `rows` is X. A row of `out` stays in the
    cache while all of its products are added.
    """
    starts, members, strengths = columns
    indptr, indices, values = rows
    for i in range(first, last):
        row = out[i]
        for k in range(starts[i], starts[i + 1]):
            u, strength = members[k], strengths[k]
            for j in range(indptr[u], indptr[u + 1]):
                row[indices[j]] += strength * values[j]
