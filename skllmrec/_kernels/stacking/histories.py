"""How much candidates are like what a user had."""

import numpy as np
from scipy import sparse

from skllmrec._typing import CsrMatrix, FloatArray, IntArray, Matrix


def history_cosines(
    histories: CsrMatrix, known: Matrix, candidates: Matrix, owners: IntArray, places: IntArray
) -> FloatArray:
    """Mean and greatest cosine of candidates to the items of their user's history.

    Parameters
    ----------
    histories : csr_matrix of shape (n_users, n_known)
        Its stored entries are the histories.
    known, candidates : {ndarray, csr_matrix} of shape (n_known, d), (n_candidates, d)
        Vectors of unit length, or zero.
    owners, places : ndarray of int, shape (n_pairs,)
        The user and the candidate of each pair.

    Returns
    -------
    ndarray of shape (n_pairs, 2)
        Zero where the history is empty.
    """
    found = np.zeros((len(owners), 2))
    order = np.argsort(owners, kind="stable")
    starts = np.searchsorted(owners[order], np.arange(histories.shape[0] + 1))
    for user in np.flatnonzero(np.diff(starts)):
        own = histories.indices[histories.indptr[user] : histories.indptr[user + 1]]
        if len(own) == 0:
            continue
        rows = order[starts[user] : starts[user + 1]]
        products = candidates[places[rows]] @ known[own].T
        products = products.toarray() if sparse.issparse(products) else products
        found[rows, 0], found[rows, 1] = products.mean(axis=1), products.max(axis=1)
    return found


def history_means(histories: CsrMatrix, values: FloatArray, default: float) -> FloatArray:
    """Mean of the values of the items of each history.

    Parameters
    ----------
    histories : csr_matrix of shape (n_users, n_items)
        Its stored entries are the histories.
    values : ndarray of shape (n_items,)
    default : float
        Of empty histories.

    Returns
    -------
    ndarray of shape (n_users,)
    """
    lengths = np.diff(histories.indptr)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    sums = np.bincount(owners, weights=values[histories.indices], minlength=len(lengths))
    return np.where(lengths > 0, sums / np.maximum(lengths, 1), default)
