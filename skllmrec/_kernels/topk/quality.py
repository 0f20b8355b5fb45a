"""How good ranked lists are: which entries are hits, and their normalised discounted cumulative gain."""

import numpy as np

from skllmrec._typing import Array, CsrMatrix, FloatArray, IntArray

SCRATCH = 2**23  # entries of a block's working memory


def find_hits(relevant: CsrMatrix, lists: IntArray) -> Array:
    """Mark the entries of ranked lists that are relevant.

    Works through blocks of users whose relevant items are scattered into one reused boolean table: one write
    per relevant item and one read per recommendation.

    Parameters
    ----------
    relevant : csr_array or csr_matrix of shape (n_users, n_items)
        The stored entries are the relevant ones.
    lists : ndarray of int, shape (n_users, k)
        Columns, each at most once in a row; -1 is padding.

    Returns
    -------
    hits : ndarray of bool, shape (n_users, k)
    """
    n_users, n_items = relevant.shape
    width = n_items + 1  # index -1 reads the extra last column of the row before, which is never set
    step = max(1, min(SCRATCH // width, n_users))
    table = np.zeros(step * width, dtype=bool)
    hits = np.empty(lists.shape, dtype=bool)
    for start in range(0, n_users, step):
        stop = min(start + step, n_users)
        offsets = np.arange(stop - start) * width
        pointers = relevant.indptr[start : stop + 1]
        cells = np.repeat(offsets, np.diff(pointers)) + relevant.indices[pointers[0] : pointers[-1]]
        table[cells] = True
        hits[start:stop] = table[offsets[:, None] + lists[start:stop]]
        table[cells] = False
    return hits


def ndcg_of_hits(hits: Array, n_relevant: Array, k: int) -> FloatArray:
    """Normalised discounted cumulative gain with binary gains.

    A hit in place j gains ``1 / log2(j + 1)``; the sum is divided by that of the ideal list, whose first
    ``min(k, n_relevant)`` places are hits.

    Parameters
    ----------
    hits : ndarray of bool, shape (n_users, n) with n <= k
        Whether each place holds a relevant item; the places from n to k are empty.
    n_relevant : ndarray of int, shape (n_users,)
        Number of relevant items of each user, at least 1.
    k : int
        Length of the ideal list.

    Returns
    -------
    ndcg : ndarray of shape (n_users,), float64
        Between 0 and 1, up to rounding.
    """
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(n_relevant, k) - 1]
    return hits @ discounts[: hits.shape[1]] / ideal
