"""Ratings in units of their standard deviation."""

import numpy as np

from skllmrec._typing import CsrMatrix, FloatArray

_ROUNDING = 1e-12  # of the mean: a smaller standard deviation is rounding noise


def standardise(weights: CsrMatrix, ratings: FloatArray | None) -> tuple[FloatArray | None, float, float]:
    """Scale ratings to mean zero and variance one.

    Parameters
    ----------
    weights : csr_matrix
        Weights of the observed pairs.
    ratings : ndarray of shape (weights.nnz,) or None
        None for implicit feedback.

    Returns
    -------
    targets : ndarray of shape (weights.nnz,) or None
        ``(ratings - mean) / scale``; None for implicit feedback.
    mean, scale : float
        Weighted mean and standard deviation, 1 where all ratings are equal; 0 and 1 for implicit feedback.

    Examples
    --------
    >>> import numpy as np

    from skllmrec._typing import CsrMatrix, FloatArray
    >>> from scipy import sparse
    >>> from skllmrec._kernels.ratings import standardise
    >>> standardise(sparse.csr_matrix([[1.0, 1.0]]), np.array([2.0, 6.0]))
    (array([-1.,  1.]), 4.0, 2.0)
    """
    if ratings is None:
        return None, 0.0, 1.0
    mean = float(np.average(ratings, weights=weights.data))
    scale = float(np.sqrt(np.average((ratings - mean) ** 2, weights=weights.data)))
    scale = scale if scale > _ROUNDING * abs(mean) else 1.0
    return (ratings - mean) / scale, mean, scale
