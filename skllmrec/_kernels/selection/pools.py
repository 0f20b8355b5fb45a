"""Rankings by several models at once: of all items, or of a pool of candidates for each user where there are many."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skllmrec._kernels.selection.blending import ranking_gain
from skllmrec._kernels.topk.exact import topk_dense
from skllmrec._typing import CsrMatrix, FloatArray, IntArray

_BLOCK_SCORES = 2**22  # of each model at a time, 32 MB


@dataclass(frozen=True)
class Rankings:
    """The scores of several models for the same users and items.

    Attributes
    ----------
    scores : list of ndarray of shape (n_users, n_columns)
        One for each model.
    held_out, seen : csr_matrix of shape (n_users, n_columns)
        Each user has at least one held-out item; what was seen is not ranked.
    """

    scores: list
    held_out: sparse.csr_matrix
    seen: sparse.csr_matrix

    def gains(self, scores: FloatArray) -> FloatArray:
        """NDCG of each user by given scores, (n_users,)."""
        return ranking_gain(scores, self.held_out, self.seen)

    def among(self, items: IntArray) -> "Rankings":
        """Rank only some items, for the users who have held-out ones among them.

        Parameters
        ----------
        items : ndarray of int
            Ascending.

        Returns
        -------
        Rankings
        """
        held_out = self.held_out[:, items]
        users = np.flatnonzero(np.diff(held_out.indptr))
        scores = [one[np.ix_(users, items)] for one in self.scores]
        return Rankings(scores, held_out[users], self.seen[users][:, items])


@dataclass(frozen=True)
class PooledRankings(Rankings):
    """The scores of a pool of items of each user; a column is a place in these pools.

    Attributes
    ----------
    pool : ndarray of int, shape (n_users, n_columns)
        The item at each place, ascending; -1 at the end of shorter pools, where `seen` has entries.
    """

    pool: np.ndarray

    def among(self, items: IntArray) -> "PooledRankings":
        """Rank only some items, as `Rankings.among`; the others count as seen."""
        chosen = np.zeros(max(items.max(), self.pool.max()) + 2, dtype=bool)
        chosen[items] = True
        kept = chosen[self.pool]  # -1 indexes the last entry, which is never chosen
        held_out = sparse.csr_matrix(self.held_out.toarray() & kept)
        users = np.flatnonzero(np.diff(held_out.indptr))
        scores, left_out = [one[users] for one in self.scores], sparse.csr_matrix(~kept[users])
        return PooledRankings(scores, held_out[users], left_out, self.pool[users])


def pool_entries(lists: list[IntArray], held_out: CsrMatrix) -> tuple[IntArray, IntArray]:
    """Unite lists of items and held-out items, user by user.

    Parameters
    ----------
    lists : list of ndarray of int, shape (n_users, k)
        Padded by -1.
    held_out : csr_matrix of shape (n_users, n_items)

    Returns
    -------
    users, items : ndarray of int
        Each pair once, ascending.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from skllmrec._kernels.selection.pools import pool_entries
    >>> pool_entries([np.array([[3, 0]]), np.array([[3, -1]])], sparse.csr_matrix([[0, 1, 0, 0]]))
    (array([0, 0, 0]), array([0, 1, 3]))
    """
    n_users, n_items = held_out.shape
    parts = [np.repeat(np.arange(n_users), np.diff(held_out.indptr)) * np.int64(n_items) + held_out.indices]
    for one in lists:
        users, places = np.nonzero(one >= 0)
        parts.append(users * np.int64(n_items) + one[users, places])
    return np.divmod(np.unique(np.concatenate(parts)), n_items)


def pool_rankings(
    models: Sequence[Callable[[IntArray], FloatArray]], n_best: int, held_out: CsrMatrix, seen: CsrMatrix
) -> PooledRankings:
    """Score, for each user, the held-out items and the best unseen items of each model.

    Parameters
    ----------
    models : list of callable
        From ascending rows to their scores, ndarray of shape (n_rows, n_items).
    n_best : int
        Items that each model brings into the pool of a user.
    held_out, seen : csr_matrix of shape (n_users, n_items)
        Without common entries; each user has held-out items.

    Returns
    -------
    PooledRankings
    """
    n_users, n_items = held_out.shape
    size, blocks = max(1, _BLOCK_SCORES // n_items), []
    for start in range(0, n_users, size):
        rows = np.arange(start, min(start + size, n_users))
        scores = [model(rows) for model in models]
        lists = [topk_dense(one, n_best, seen[rows])[0] for one in scores]
        users, items = pool_entries(lists, held_out[rows])
        blocks.append((rows[users], items, *(one[users, items] for one in scores)))
    users, items, *scores = map(np.concatenate, zip(*blocks, strict=True))
    first = np.searchsorted(users, np.arange(n_users + 1))
    places = users, np.arange(len(users)) - first[users]
    shape = n_users, np.diff(first).max()
    pool = _placed(items, places, shape, -1)
    keys, wanted = users * np.int64(n_items) + items, held_out.tocoo()
    found = np.searchsorted(keys, wanted.row * np.int64(n_items) + wanted.col)
    held_out = sparse.csr_matrix((np.ones(len(found), dtype=bool), (places[0][found], places[1][found])), shape)
    return PooledRankings(
        [_placed(one, places, shape, 0.0) for one in scores], held_out, sparse.csr_matrix(pool < 0), pool
    )


def _placed(values, places, shape, rest):
    out = np.full(shape, rest)
    out[places] = values
    return out
