"""How far back an interaction lies in the history of its user, and what it still counts."""

import numpy as np

from skllmrec._typing import Array, CsrMatrix, FloatArray, IntArray


def ages_of(interactions: CsrMatrix, times: Array) -> IntArray:
    """Count, for each stored pair, the pairs of the same user that are later.

    Parameters
    ----------
    interactions : csr_matrix of shape (n_users, n_items)
        Pairs whose weight is zero are no events: they make nothing older.
    times : ndarray of shape (interactions.nnz,)
        Of the stored pairs; those of one time have the same age.

    Returns
    -------
    ndarray of shape (interactions.nnz,), intp
        0 for what a user did last.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from skllmrec._kernels.item_item.recency import ages_of
    >>> ages_of(sparse.csr_matrix([[1, 1, 1, 1], [0, 1, 0, 0]]), np.array([30, 10, 20, 20, 5]))
    array([0, 3, 1, 1, 0])
    """
    owners = np.repeat(np.arange(interactions.shape[0]), np.diff(interactions.indptr))
    order = np.lexsort((times, owners))
    events = np.r_[0, np.cumsum(interactions.data[order] > 0)]  # events before each place of the order
    owners, times = owners[order], times[order]
    ends = np.r_[(owners[1:] != owners[:-1]) | (times[1:] != times[:-1]), True]  # of a moment of a user
    last = np.flatnonzero(ends)[np.cumsum(np.r_[False, ends[:-1]])] if len(order) else order
    ages = np.empty(len(order), dtype=np.intp)
    ages[order] = events[interactions.indptr[owners + 1]] - events[last + 1]
    return ages


def merged_ages(
    merged: CsrMatrix, known: CsrMatrix, known_ages: IntArray, added: CsrMatrix, added_ages: IntArray, n_added: IntArray
) -> IntArray:
    """Ages of interactions after those of a history were added, which is later than all that was known.

    Parameters
    ----------
    merged, known, added : csr_matrix of shape (n_users, n_items)
        Indices sorted; `merged` stores the pairs of both.
    known_ages, added_ages : ndarray of shape (nnz,)
        Of their stored pairs.
    n_added : ndarray of shape (n_users,)
        By how much each history makes what was known older.

    Returns
    -------
    ndarray of shape (merged.nnz,)
        That of the latest of equal pairs.
    """
    places = [_keys(matrix) for matrix in (merged, known, added)]
    ages = np.empty(merged.nnz, dtype=np.intp)
    ages[np.searchsorted(places[0], places[1])] = known_ages + np.repeat(n_added, np.diff(known.indptr))
    ages[np.searchsorted(places[0], places[2])] = added_ages
    return ages


def _keys(matrix):
    owners = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    return owners * matrix.shape[1] + matrix.indices


def recency_weights(ages: IntArray, half_life: float) -> FloatArray:
    r"""Compute what interactions of some ages still count: :math:`2^{-a / h}`.

    Parameters
    ----------
    ages : ndarray of shape (n,)
    half_life : float
        The age h at which half of the weight is left.

    Returns
    -------
    ndarray of shape (n,), float64
    """
    return np.exp2(-ages / half_life)
