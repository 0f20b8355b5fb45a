"""A linear model of lists: the softmax of its scores in each list is drawn to the relevant entries."""

import numpy as np
from scipy import optimize

from skllmrec._typing import FloatArray, IntArray


def listwise_loss(
    weights: FloatArray, X: FloatArray, targets: FloatArray, starts: IntArray, alpha: float, offsets: FloatArray
) -> tuple[float, FloatArray]:
    r"""Mean cross-entropy of lists, :math:`-\frac 1L \sum_l \sum_{i \in l} t_i \log p_i + \frac\alpha2 |w|^2`.

    :math:`p` is the softmax of :math:`Xw + o` in each list (ListNet, top one [1]_).

    Parameters
    ----------
    weights : ndarray of shape (d,)
    X : ndarray of shape (n, d)
    targets : ndarray of shape (n,)
        Of sum 1 in each list.
    starts : ndarray of int, shape (n_lists,)
        First row of each list.
    alpha : float
    offsets : ndarray of shape (n,)
        :math:`o`, the logarithm of how many entries each row stands for where lists are samples.

    Returns
    -------
    loss : float
    gradient : ndarray of shape (d,)

    References
    ----------
    .. [1] Z. Cao, T. Qin, T.-Y. Liu, M.-F. Tsai and H. Li, "Learning to rank: from pairwise approach to listwise
       approach", ICML 2007.
    """
    lengths = np.diff(np.append(starts, len(X)))
    scores = X @ weights + offsets
    scores -= np.repeat(np.maximum.reduceat(scores, starts), lengths)
    exponentials = np.exp(scores)
    totals = np.add.reduceat(exponentials, starts)
    shares = exponentials / np.repeat(totals, lengths)
    loss = (np.log(totals).sum() - targets @ scores) / len(starts) + alpha / 2 * weights @ weights
    return float(loss), X.T @ (shares - targets) / len(starts) + alpha * weights


def fit_listwise(
    X: FloatArray, y: FloatArray, starts: IntArray, alpha: float, offsets: FloatArray | None = None
) -> FloatArray:
    """Minimise `listwise_loss` with targets that are uniform over the relevant entries of each list.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    y : ndarray of shape (n,)
        Relevance, not negative; lists without a relevant entry are left out.
    starts : ndarray of int, shape (n_lists,)
        First row of each list, ascending, from 0.
    alpha : float
    offsets : ndarray of shape (n,), default=None
        As of `listwise_loss`; None: zeros.

    Returns
    -------
    ndarray of shape (d,)
        Zeros where no list has a relevant entry.
    """
    lengths = np.diff(np.append(starts, len(X)))
    totals = np.add.reduceat(y, starts)
    kept = np.repeat(totals > 0, lengths)
    if not kept.any():
        return np.zeros(X.shape[1])
    targets = (y / np.repeat(np.where(totals > 0, totals, 1.0), lengths))[kept]
    starts = np.append(0, np.cumsum(lengths[totals > 0])[:-1])
    offsets = np.zeros(len(targets)) if offsets is None else offsets[kept]
    found = optimize.minimize(
        listwise_loss,
        np.zeros(X.shape[1]),
        args=(X[kept], targets, starts, alpha, offsets),
        jac=True,
        method="L-BFGS-B",
    )
    return np.asarray(found.x)
