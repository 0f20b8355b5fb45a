"""Selection of lists from pools of candidates: accurate ones that are also diverse, novel, calibrated or limited.

Each function takes `pools`, ndarray of int of shape (n_users, n_pooled), the items of each user's pool, best first and
-1 for padding; `scores` of the same shape, comparable between users (see `standardise`); and returns places in the
pools, (n_users, n_items), -1 where a list ends early.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skllmrec._typing import CsrMatrix, FloatArray, IntArray, Matrix

SMOOTHING = 0.01  # share of the taste in the distribution of a list, as of Steck (2018)


class Limits(NamedTuple):
    """How many items of one value a list may hold.

    Attributes
    ----------
    starts : ndarray of int64 of shape (n_items + 1,)
    values : ndarray of int64
        ``values[starts[i]:starts[i + 1]]`` are those of item i.
    most : ndarray of int64 of shape (n_values,)
    """

    starts: IntArray
    values: IntArray
    most: IntArray

    @classmethod
    def none(cls, n_items: int) -> "Limits":
        """Return limits that allow everything."""
        return cls(np.zeros(n_items + 1, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))


def standardise(scores: FloatArray) -> FloatArray:
    """Scores of each user as standard deviations from their mean over the pool; zeros where all are equal.

    Parameters
    ----------
    scores : ndarray of shape (n_users, n_pooled)
        -inf is padding, and stays.

    Returns
    -------
    ndarray of shape (n_users, n_pooled), float64
    """
    scores = np.asarray(scores, dtype=np.float64)
    real = np.isfinite(scores)
    n = np.maximum(real.sum(axis=1, keepdims=True), 1)
    centred = np.where(real, scores, 0.0)
    centred = np.where(real, centred - centred.sum(axis=1, keepdims=True) / n, 0.0)
    spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / n)
    size = np.abs(np.where(real, scores, 0.0)).max(axis=1, keepdims=True, initial=0.0)
    flat = spread <= 1e-12 * size  # differences of rounding are none
    return np.where(real, np.where(flat, 0.0, centred / np.where(flat, 1.0, spread)), -np.inf)


def _start(pools, n_items, limits):
    """Arrays that the loops share: the pools, limits with their counters, free places, gains, and the lists."""
    pools = np.ascontiguousarray(pools, dtype=np.int64)
    width = pools.shape[1]
    with_counters = (*limits, np.zeros(len(limits.most), np.int64))
    chosen = np.full((len(pools), n_items), -1, dtype=np.int64)
    return pools, with_counters, np.zeros(width, dtype=bool), np.empty(width), chosen


def _csr(matrix):
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data.astype(np.float64)


def _as_vectors(vectors):
    if sparse.issparse(vectors):
        return np.empty((vectors.shape[0], 0)), *_csr(vectors.tocsr())
    nothing = np.empty(0, dtype=np.int64)
    return np.ascontiguousarray(vectors, dtype=np.float64), nothing, nothing, np.empty(0)


def penalise(
    pools: IntArray,
    scores: FloatArray,
    n_items: int,
    strength: float,
    counts: FloatArray,
    limits: Limits,
    *,
    shown: bool = False,
) -> IntArray:
    """Subtract strength * log(1 + count) from the scores.

    Parameters
    ----------
    pools, scores : ndarray of shape (n_users, n_pooled)
    n_items : int
    strength : float
    counts : ndarray of shape (n_candidates,), float64
    limits : Limits
    shown : bool, default=False
        Count what each list shows, in place, before the next user's is selected.

    Returns
    -------
    ndarray of shape (n_users, n_items)
    """
    from skllmrec._kernels.selection.reranking_loops import select_penalised

    pools, limited, taken, gains, chosen = _start(pools, n_items, limits)
    select_penalised(pools, scores, float(strength), counts, float(shown), limited, taken, gains, chosen)
    return chosen


def marginal_relevance(
    pools: IntArray, scores: FloatArray, n_items: int, strength: float, vectors: Matrix, limits: Limits
) -> IntArray:
    """Maximal marginal relevance: (1 - strength) * score - strength * largest cosine to what is selected.

    Parameters
    ----------
    pools, scores : ndarray of shape (n_users, n_pooled)
    n_items : int
    strength : float
        Between 0 and 1.
    vectors : ndarray or csr_matrix of shape (n_candidates, d)
        Of unit length.
    limits : Limits

    Returns
    -------
    ndarray of shape (n_users, n_items)
    """
    from skllmrec._kernels.selection.reranking_loops import select_mmr

    pools, limited, taken, gains, chosen = _start(pools, n_items, limits)
    scratch = np.empty_like(gains), np.empty_like(gains), np.zeros(vectors.shape[1])
    select_mmr(pools, scores, float(strength), _as_vectors(vectors), limited, taken, gains, *scratch, chosen)
    return chosen


def determinantal(
    pools: IntArray, scores: FloatArray, n_items: int, strength: float, vectors: Matrix, limits: Limits
) -> IntArray:
    """Greedy maximum of a determinantal point process with kernel exp(theta q) S exp(theta q).

    With theta = 1 / (2 strength), and multiplied by the strength, the gain in the log-determinant is
    score + strength * log(d^2), where d^2 is what the item adds to the determinant of the cosines of the list.

    Parameters
    ----------
    pools, scores : ndarray of shape (n_users, n_pooled)
    n_items : int
    strength : float
        Not negative.
    vectors : ndarray or csr_matrix of shape (n_candidates, d)
        Of unit length; a row of zeros is an item that is similar to no other.
    limits : Limits

    Returns
    -------
    ndarray of shape (n_users, n_items)
    """
    from skllmrec._kernels.selection.reranking_loops import select_dpp

    pools, limited, taken, gains, chosen = _start(pools, n_items, limits)
    scratch = np.empty_like(gains), np.empty_like(gains), np.zeros(vectors.shape[1]), np.empty((len(gains), n_items))
    select_dpp(pools, scores, float(strength), _as_vectors(vectors), limited, taken, gains, *scratch, chosen)
    return chosen


def calibrate(
    pools: IntArray,
    scores: FloatArray,
    n_items: int,
    strength: float,
    shares: CsrMatrix,
    tastes: CsrMatrix,
    limits: Limits,
) -> IntArray:
    """Calibration: (1 - strength) * sum of scores - strength * KL(taste, shares of the list), greedily.

    Parameters
    ----------
    pools, scores : ndarray of shape (n_users, n_pooled)
    n_items : int
    strength : float
        Between 0 and 1.
    shares : csr_matrix of shape (n_candidates, n_categories)
        Rows of sum 1, or of zeros.
    tastes : csr_matrix of shape (n_users, n_categories)
        Rows of sum 1, or of zeros for users of whom nothing is known.
    limits : Limits

    Returns
    -------
    ndarray of shape (n_users, n_items)
    """
    from skllmrec._kernels.selection.reranking_loops import select_calibrated

    pools, limited, taken, gains, chosen = _start(pools, n_items, limits)
    scratch = np.zeros(shares.shape[1]), np.zeros(shares.shape[1])
    given = float(strength), SMOOTHING, _csr(shares), _csr(tastes)
    select_calibrated(pools, scores, *given, limited, taken, gains, *scratch, chosen)
    return chosen
