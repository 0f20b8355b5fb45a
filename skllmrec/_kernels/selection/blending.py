"""Weights of a blend of scores, chosen on held-out interactions."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import optimize

from skllmrec._kernels.selection.held_out import CUTOFF, list_quality
from skllmrec._kernels.topk.exact import topk_dense
from skllmrec._typing import CsrMatrix, FloatArray

_ROUNDS = 20  # a weight is a multiple of 1/20 at the finest


def ranking_gain(scores: FloatArray, held_out: CsrMatrix, seen: CsrMatrix) -> FloatArray:
    """NDCG at 20 of the held-out columns of each row, ranked among all that were not seen.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_columns)
    held_out, seen : csr_matrix of shape (n_rows, n_columns)
        Each row holds out at least one.

    Returns
    -------
    ndarray of shape (n_rows,)
    """
    positions, _ = topk_dense(np.array(scores), min(CUTOFF, scores.shape[1]), seen)
    return list_quality(positions, held_out)


def select_greedily(scores: Sequence[FloatArray], quality: Callable[[FloatArray], float]) -> FloatArray:
    """Choose the weights of a blend by adding one model at a time, with replacement, as long as that helps.

    It begins with the best single model, so that no single model is better on the given data [1]_.

    Parameters
    ----------
    scores : sequence of ndarray, all of one shape
        The scores of each model.
    quality : callable
        ``quality(blended scores)`` -> float, greater is better.

    Returns
    -------
    ndarray of shape (n_models,)
        Weights of sum 1.

    References
    ----------
    .. [1] R. Caruana, A. Niculescu-Mizil, G. Crew and A. Ksikes, "Ensemble selection from libraries of models",
       ICML 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec._kernels.selection.blending import select_greedily
    >>> scores = np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([-5.0, -5.0])
    >>> select_greedily(scores, lambda blended: -np.abs(blended - [0.5, 0.5]).sum())
    array([0.5, 0.5, 0. ])
    """
    alone = [quality(one) for one in scores]
    best = int(np.argmax(alone))
    counts, total, reached = np.zeros(len(scores)), np.array(scores[best], dtype=np.float64), alone[best]
    counts[best] = 1
    kept, best_so_far = counts.copy(), reached
    for n in range(1, _ROUNDS):
        found = [quality((total + one) / (n + 1)) for one in scores]
        added = int(np.argmax(found))
        counts[added] += 1
        total += scores[added]
        if found[added] > best_so_far:
            kept, best_so_far = counts.copy(), found[added]
    return kept / kept.sum()


def convex_least_squares(predictions: FloatArray, targets: FloatArray, weights: FloatArray) -> FloatArray:
    r"""Non-negative weights of sum 1 that minimise :math:`\sum_r w_r (t_r - \sum_m a_m p_{rm})^2`.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows, n_models)
    targets, weights : ndarray of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_models,)
    """
    root = np.sqrt(weights)[:, np.newaxis]
    A, b = predictions * root, targets * root.ravel()
    # the sum is enforced as one more row that outweighs all others
    heavy = 1e4 * max(np.abs(A).max(initial=1.0), np.abs(b).max(initial=1.0)) * np.sqrt(max(len(b), 1))
    A = np.vstack([A, np.full(A.shape[1], heavy)])
    solution, _ = optimize.nnls(A, np.append(b, heavy))
    return solution / solution.sum()
