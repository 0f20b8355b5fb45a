"""Choices made inside a fit on interactions held out from it: which value is better, and is it better beyond chance."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from skllmrec._kernels.topk.exact import topk_factors
from skllmrec._kernels.topk.quality import find_hits, ndcg_of_hits
from skllmrec._typing import Array, CsrMatrix, FloatArray, IntArray

SHARE = 0.1  # of the interactions
MIN_HELD_OUT = 50  # fewer decide nothing: callers keep their defaults
MIN_GAIN = 0.5  # standard errors by which a choice must beat the default
CUTOFF = 20  # places of a list that are judged
SAMPLE_ITEMS = 1000  # the most popular ones: strengths of item-item models hardly depend on the rare items
_MAX_USERS = 2048  # enough for the standard error that matters, and bounds the cost of a full ranking
_HOLD_OUTS = (2, 8)  # least and most; their seeds are fixed, so that a fit does not depend on a random state
_ENOUGH = 6_000  # held-out entries, of all hold-outs together


def hold_out_entries(weights: CsrMatrix, seed: int, fraction: float = SHARE) -> tuple[IntArray, IntArray]:
    """Split the stored entries of an interaction matrix at random.

    A held-out entry keeps at least one entry in its row and in its column on the training side; the others go back,
    so that no row or column is judged without training entries.

    Parameters
    ----------
    weights : csr_matrix of shape (n_users, n_items)
    seed : int
    fraction : float, default=0.1
        Expected share of the entries, before some go back.

    Returns
    -------
    train, test : ndarray of int
        Positions in ``weights.data``, ascending.
    """
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    test = np.random.default_rng(seed).random(weights.nnz) < fraction
    left_in_row = np.bincount(rows[~test], minlength=weights.shape[0])
    left_in_column = np.bincount(weights.indices[~test], minlength=weights.shape[1])
    test &= (left_in_row[rows] > 0) & (left_in_column[weights.indices] > 0)
    return np.flatnonzero(~test), np.flatnonzero(test)


def hold_out_last(weights: CsrMatrix, times: Array, seed: int) -> tuple[IntArray, IntArray]:
    """Split the stored entries of an interaction matrix by time: what a sample of the rows did last is held out.

    At most 2,048 rows are sampled, at most a half of those with several times. All entries of a row's last time are
    held out, except those whose column would be left without an entry.

    Parameters
    ----------
    weights : csr_matrix of shape (n_users, n_items)
        Entries of weight zero are never held out.
    times : ndarray of shape (weights.nnz,)
    seed : int

    Returns
    -------
    train, test : ndarray of int
        Positions in ``weights.data``, ascending.
    """
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    events = np.flatnonzero(weights.data > 0)
    owners, when = rows[events], np.unique(times[events], return_inverse=True)[1]
    last, first = np.full(weights.shape[0], -1), np.full(weights.shape[0], len(when))
    np.maximum.at(last, owners, when)
    np.minimum.at(first, owners, when)
    users = np.flatnonzero(first < last)
    n_sampled = min(_MAX_USERS, (len(users) + 1) // 2)
    sampled = np.zeros(weights.shape[0], dtype=bool)
    sampled[np.random.default_rng(seed).choice(users, n_sampled, replace=False)] = True
    test = np.zeros(weights.nnz, dtype=bool)
    test[events] = sampled[owners] & (when == last[owners])
    left = np.bincount(weights.indices[~test], minlength=weights.shape[1])
    test &= left[weights.indices] > 0
    return np.flatnonzero(~test), np.flatnonzero(test)


def hold_out_seeds(n_entries: int) -> range:
    """Seeds of as many hold-outs as it takes to judge on enough entries.

    Parameters
    ----------
    n_entries : int
        Of the matrix of which a tenth is held out each time.

    Returns
    -------
    range
        From 2 to 8 seeds, the same for every fit.

    Examples
    --------
    >>> from skllmrec._kernels.selection.held_out import hold_out_seeds
    >>> hold_out_seeds(10_000), hold_out_seeds(1_000_000)
    (range(0, 6), range(0, 2))
    """
    least, most = _HOLD_OUTS
    return range(min(max(least, -(-_ENOUGH // max(1, round(SHARE * n_entries)))), most))


def popular_items(weights: CsrMatrix, n_items: int = SAMPLE_ITEMS) -> IntArray:
    """Positions of the columns with most entries, ascending.

    Parameters
    ----------
    weights : csr_matrix of shape (n_users, n_items)
    n_items : int

    Returns
    -------
    ndarray of int
    """
    counts = np.bincount(weights.indices, minlength=weights.shape[1])
    return np.sort(np.argsort(-counts, kind="stable")[:n_items])


def thinned(users: IntArray, most: int) -> IntArray:
    """At most so many of the users, at equal distances.

    Parameters
    ----------
    users : ndarray of int
    most : int

    Returns
    -------
    ndarray of int
    """
    return users[:: max(1, -(-len(users) // most))]


def take_entries(weights: CsrMatrix, positions: IntArray) -> CsrMatrix:
    """Keep some stored entries of a CSR matrix.

    Parameters
    ----------
    weights : csr_matrix
    positions : ndarray of int
        Positions in ``weights.data``, ascending.

    Returns
    -------
    csr_matrix
        Of the same shape.
    """
    indptr = np.searchsorted(positions, weights.indptr)
    return sp.csr_matrix((weights.data[positions], weights.indices[positions], indptr), weights.shape)


@dataclass(frozen=True)
class HoldOut:
    """A tenth of the stored entries of an interaction matrix beside the others.

    Attributes
    ----------
    train_entries, test_entries : ndarray of int
        Positions in the data of the matrix, ascending.
    train, test : csr_matrix of shape (n_users, n_items)
    users : ndarray of int
        Those to be judged: some of those who have held-out entries, ascending.
    """

    train_entries: IntArray
    test_entries: IntArray
    train: CsrMatrix
    test: CsrMatrix
    users: IntArray

    @classmethod
    def draw(cls, weights: CsrMatrix, seed: int, most_users: int) -> "HoldOut":
        """Draw one, as `hold_out_entries` does.

        Parameters
        ----------
        weights : csr_matrix of shape (n_users, n_items)
        seed : int
        most_users : int
            Users that are judged at most.

        Returns
        -------
        HoldOut
        """
        train, test = hold_out_entries(weights, seed)
        held_out = take_entries(weights, test)
        users = thinned(judged_users(held_out, seed), most_users)
        return cls(train, test, take_entries(weights, train), held_out, users)


def draw_hold_outs(weights: CsrMatrix, most_users: int) -> list[HoldOut]:
    """As many hold-outs as it takes to judge on enough entries; none if even one would be too small.

    Parameters
    ----------
    weights : csr_matrix of shape (n_users, n_items)
    most_users : int
        Users that are judged at most in each.

    Returns
    -------
    list of HoldOut
    """
    drawn = [HoldOut.draw(weights, seed, most_users) for seed in hold_out_seeds(weights.nnz)]
    return [] if min(part.test.nnz for part in drawn) < MIN_HELD_OUT else drawn


def judged_users(test: CsrMatrix, seed: int) -> IntArray:
    """Users with held-out entries, a sample of them where there are more than 2,048.

    Parameters
    ----------
    test : csr_matrix of shape (n_users, n_items)
    seed : int

    Returns
    -------
    ndarray of int
        Ascending.
    """
    users = np.flatnonzero(np.diff(test.indptr))
    if len(users) > _MAX_USERS:
        users = np.sort(np.random.default_rng(seed).choice(users, _MAX_USERS, replace=False))
    return users


def ranking_quality(
    user_vectors: FloatArray, item_vectors: FloatArray, train: CsrMatrix, test: CsrMatrix, *, seed: int = 0
) -> FloatArray:
    """NDCG at 20 of the held-out entries of each user, ranked among all items that are not in training.

    Parameters
    ----------
    user_vectors : ndarray of shape (n_users, d)
    item_vectors : ndarray of shape (n_items, d)
    train, test : csr_matrix of shape (n_users, n_items)
    seed : int, default=0
        Of the sample of users, where more than 2,048 have a held-out entry.

    Returns
    -------
    ndarray of shape (n_judged,)
        One value per judged user; the same users for the same `test` and `seed`.
    """
    users = judged_users(test, seed)
    train, test = train[users], test[users]
    positions, _ = topk_factors(user_vectors[users], item_vectors, min(CUTOFF, len(item_vectors)), train)
    return list_quality(positions, test)


def list_quality(positions: IntArray, test: CsrMatrix) -> FloatArray:
    """NDCG of ranked lists with the held-out entries as the relevant ones.

    Parameters
    ----------
    positions : ndarray of int, shape (n_rows, k)
        Columns, best first; -1 is padding.
    test : csr_matrix of shape (n_rows, n_columns)
        Each row holds at least one entry.

    Returns
    -------
    ndarray of shape (n_rows,)
    """
    n_relevant = np.diff(test.indptr)
    return ndcg_of_hits(find_hits(test, positions), n_relevant, positions.shape[1])


def is_better(quality: FloatArray, reference: FloatArray, n_errors: float = MIN_GAIN) -> bool:
    """Whether paired values exceed a reference by more than some standard errors of their mean difference.

    Parameters
    ----------
    quality, reference : ndarray of shape (n,)
    n_errors : float, default=0.5
        So many standard errors.

    Returns
    -------
    bool
    """
    difference = quality - reference
    error = difference.std() / np.sqrt(len(difference))
    return bool(difference.mean() > n_errors * error)
