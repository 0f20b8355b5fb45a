"""Transitions between items, in the order of the users' interactions."""

from typing import Any

import numpy as np
from scipy import sparse

from skllmrec._kernels.selection.held_out import take_entries
from skllmrec._typing import Array, CsrMatrix, IntArray

LARGEST_BASKET = 1000  # items of one basket that are paired: pairs grow with its square


def order_baskets(
    users: IntArray, items: IntArray, times: Array, n_users: int, n_items: int
) -> tuple[sparse.csr_matrix, IntArray]:
    """Group each user's items into baskets in time order: the items of one time, each item only at its last time.

    Parameters
    ----------
    users, items : ndarray of shape (n,), intp
    times : ndarray of shape (n,)
    n_users, n_items : int

    Returns
    -------
    baskets : csr_matrix of shape (n_baskets, n_items)
        Ones; the baskets of a user follow each other in time.
    owners : ndarray of shape (n_baskets,), intp
        The user of each basket, ascending.
    """
    if len(users) == 0:
        return sparse.csr_matrix((0, n_items)), np.empty(0, dtype=np.intp)
    order = np.lexsort((times, users))
    users, items, times = users[order], items[order], times[order]
    pairs = users * np.int64(n_items) + items
    _, last = np.unique(pairs[::-1], return_index=True)  # the first in reversed order
    kept = np.sort(len(pairs) - 1 - last)
    users, items, times = users[kept], items[kept], times[kept]
    begins = np.r_[True, (users[1:] != users[:-1]) | (times[1:] != times[:-1])]
    number = np.cumsum(begins) - 1
    baskets = sparse.csr_matrix((np.ones(len(items)), (number, items)), shape=(number[-1] + 1, n_items))
    return baskets, users[begins]


def latest_times(weights: CsrMatrix, users: IntArray, items: IntArray, times: Array) -> Array:
    """Find the latest time of each stored pair of a user and an item.

    Parameters
    ----------
    weights : csr_matrix of shape (n_users, n_items)
        Indices sorted.
    users, items : ndarray of shape (n,), intp
        Pairs that are stored, some perhaps several times.
    times : ndarray of shape (n,)

    Returns
    -------
    ndarray of shape (weights.nnz,)
        Zero where a stored pair is not among the given ones.
    """
    owners = np.repeat(np.arange(weights.shape[0], dtype=np.int64), np.diff(weights.indptr))
    stored = owners * weights.shape[1] + weights.indices
    places = np.searchsorted(stored, users * np.int64(weights.shape[1]) + items)
    order = np.argsort(times, kind="stable")
    latest = np.zeros(weights.nnz, dtype=times.dtype)
    latest[places[order]] = times[order]  # of equal places the last one stays
    return latest


def sampled(baskets: CsrMatrix, owners: IntArray) -> CsrMatrix:
    """Keep a random sample of 1,000 items of each basket that has more [1]_, the same one whatever the other baskets.

    Parameters
    ----------
    baskets : csr_matrix of shape (n_baskets, n_items)
    owners : ndarray of shape (n_baskets,)
        The user of each, whose position is the seed.

    Returns
    -------
    csr_matrix of the same shape

    References
    ----------
    .. [1] S. Schelter, C. Boden and V. Markl, "Scalable similarity-based neighborhood methods with MapReduce",
       RecSys 2012: the interaction cut.
    """
    large = np.flatnonzero(np.diff(baskets.indptr) > LARGEST_BASKET)
    if not len(large):
        return baskets
    kept = np.ones(baskets.nnz, dtype=bool)
    for owner, first, last in zip(owners[large], baskets.indptr[large], baskets.indptr[large + 1], strict=True):
        generator = np.random.default_rng([owner, last - first])
        kept[first + generator.permutation(last - first)[LARGEST_BASKET:]] = False
    return take_entries(baskets, np.flatnonzero(kept))


def count_transitions(
    baskets: CsrMatrix, owners: IntArray, *, window: int, decay: float, begins: IntArray | None = None
) -> sparse.csr_matrix:
    r"""Count how often one item followed another.

    A pair of items in one basket counts 1 in both directions, a pair g baskets apart :math:`d^{g - 1}` forwards. Large
    baskets are `sampled`, so that each item has at most 1,000 (2 window + 1) pairs in the baskets around it.

    Parameters
    ----------
    baskets : csr_matrix of shape (n_baskets, n_items)
    owners : ndarray of shape (n_baskets,)
        As from `order_baskets`.
    window : int
        Largest g.
    decay : float
        d.
    begins : ndarray of shape (n_counted,), intp, default=None
        Items whose rows are counted, ascending; None: all.

    Returns
    -------
    csr_matrix of shape (n_items, n_items)
        From the row to the column; zero diagonal; empty rows of items that are not counted.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec._kernels.item_item.transitions import count_transitions, order_baskets
    >>> baskets, owners = order_baskets(np.zeros(3, int), np.array([2, 0, 1]), np.array([10, 20, 30]), 1, 3)
    >>> count_transitions(baskets, owners, window=2, decay=0.5).toarray()
    array([[0. , 1. , 0. ],
           [0. , 0. , 0. ],
           [1. , 0.5, 0. ]])
    """
    baskets = sampled(baskets, owners)
    first = baskets
    if begins is not None:
        counted = np.zeros(baskets.shape[1], dtype=bool)
        counted[begins] = True
        first = take_entries(baskets, np.flatnonzero(counted[baskets.indices]))
    counts: Any = first.T @ baskets
    counts.setdiag(0.0)
    for gap in range(1, min(window, len(owners) - 1) + 1):
        same = np.flatnonzero(owners[gap:] == owners[:-gap])
        counts = counts + decay ** (gap - 1) * (first[same].T @ baskets[same + gap])
    counts = counts.tocsr()
    counts.eliminate_zeros()
    return counts


def recency(baskets: CsrMatrix, owners: IntArray, n_users: int, decay: float) -> sparse.csr_matrix:
    """Weight each user's items by their age in baskets: ``decay ** age``, 1 for the last basket.

    Parameters
    ----------
    baskets, owners
        As from `order_baskets`.
    n_users : int
    decay : float

    Returns
    -------
    csr_matrix of shape (n_users, n_items)
    """
    ends = np.searchsorted(owners, owners, side="right")  # one past the last basket of the same user
    ages = ends - 1 - np.arange(len(owners))
    parts = decay**ages, (owners, np.arange(len(owners)))
    return (sparse.csr_matrix(parts, shape=(n_users, len(owners))) @ baskets).tocsr()
