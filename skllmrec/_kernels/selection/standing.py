"""How high a score of a model stands among the scores that the model gives the same user."""

import numpy as np

from skllmrec._kernels.topk.exact import topk_dense
from skllmrec._typing import ArrayLike, CsrMatrix, FloatArray, IntArray

_LEAST_SPREAD = 0.01  # of the usual one: less says nothing
_RANKS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128])
_WIDTH = 0.01  # standard deviations within which scores count as equal: rounding must not change a rank


def levels(scores: ArrayLike) -> FloatArray:
    """Mean and standard deviation of the scores of each user.

    Parameters
    ----------
    scores : ndarray of shape (n_users, n_items)

    Returns
    -------
    ndarray of shape (n_users, 2)
    """
    scores = np.asarray(scores, dtype=np.float64)
    return np.column_stack([scores.mean(axis=1), scores.std(axis=1)])


def usual_spread(found: FloatArray) -> float:
    """Return the spread of `levels` that half of the users exceed; 1 where most have none."""
    return float(np.median(found[:, 1])) or 1.0


def standardised(scores: ArrayLike, given: FloatArray, usual: float) -> FloatArray:
    """Scores relative to the `levels` of each user.

    Where the scores of the reference items of a user hardly differ, the usual spread is used instead: divided by next
    to nothing, the scores of other items would outweigh those of all other parts.

    Parameters
    ----------
    scores : ndarray of shape (n_users, n_items)
    given : ndarray of shape (n_users, 2)
        As from `levels`.
    usual : float
        As from `usual_spread`.

    Returns
    -------
    ndarray of shape (n_users, n_items), float64
    """
    spread = np.where(given[:, 1:2] < _LEAST_SPREAD * usual, usual, given[:, 1:2])
    return (np.asarray(scores, dtype=np.float64) - given[:, :1]) / spread


def knot_ranks(n_items: int) -> FloatArray:
    """Return the ranks, ascending, at which `knots` reads the scores of a list of `n_items`."""
    return np.append(_RANKS[n_items > 2 * _RANKS], max(n_items / 2, 1.0))


def knots(scores: FloatArray, seen: CsrMatrix) -> FloatArray:
    """Scores that stand at `knot_ranks` of the unseen items of each user.

    Parameters
    ----------
    scores : ndarray of shape (n_users, n_items)
    seen : csr_matrix of shape (n_users, n_items)

    Returns
    -------
    ndarray of shape (n_users, n_ranks)
        Descending; the last one, of the rank in the middle, is the mean of all scores if that is lower.
    """
    ranks = knot_ranks(scores.shape[1])[:-1].astype(np.intp)
    middle = np.asarray(scores, dtype=np.float64).mean(axis=1, keepdims=True)
    if len(ranks) == 0:
        return middle
    _, best = topk_dense(scores, int(ranks[-1]), seen)
    best = best.astype(np.float64)
    lowest = np.where(np.isfinite(best), best, np.inf).min(axis=1, keepdims=True)
    # who has seen nearly all has no items at the last ranks; who has seen all is compared with the mean
    best = np.where(np.isfinite(best), best, np.where(np.isfinite(lowest), lowest, middle))[:, ranks - 1]
    return np.hstack([best, np.minimum(middle, best[:, -1:])])


def reciprocal_ranks(scores: FloatArray, owners: IntArray, found: FloatArray, spread: FloatArray, n: int) -> FloatArray:
    """Reciprocal ranks of scores among those of the unseen items of their user.

    A rank is interpolated in its logarithm between the knots; scores within a hundredth of the spread count as equal,
    equal scores share the middle (the geometric mean) of their ranks.

    Parameters
    ----------
    scores : ndarray of shape (n_pairs,)
    owners : ndarray of int, shape (n_pairs,)
        Their users, rows of `found` and `spread`.
    found : ndarray of shape (n_users, n_ranks)
        As from `knots`.
    spread : ndarray of shape (n_users,)
        Standard deviations of the scores of the users.
    n : int
        Number of items of the lists that the knots are of.

    Returns
    -------
    ndarray of shape (n_pairs,)
        From 2 / n to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec._kernels.selection.standing import reciprocal_ranks
    >>> found = np.array([[8.0, 4.0, 2.0]])  # at the ranks 1, 2 and 3 of six items
    >>> reciprocal_ranks(np.array([9.0, 4.0, 3.0, 1.0]), np.zeros(4, dtype=int), found, np.zeros(1), 6).round(2)
    array([1.  , 0.5 , 0.41, 0.33])
    """
    logs = np.log(knot_ranks(n))
    own, width = found[owners], _WIDTH * spread[owners]
    upper, lower = (_log_rank(scores + shift, own, logs) for shift in (width, -width))
    return np.exp(-(upper + lower) / 2)


def _log_rank(scores, own, logs):
    """Logarithm of the rank of each score between the knots of its row, which are descending."""
    above = (own > scores[:, np.newaxis]).sum(axis=1)  # knots that are higher
    inside = (above > 0) & (above < len(logs))
    left, right = np.clip(above - 1, 0, None), np.clip(above, None, len(logs) - 1)
    rows = np.arange(len(scores))
    high, low = own[rows, left], own[rows, right]
    share = np.where(inside, (high - scores) / np.where(inside, high - low, 1.0), 0.0)
    return logs[left] + share * (logs[right] - logs[left])
