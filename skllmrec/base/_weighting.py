"""Counts of users and items weighted by the `weighter` of a recommender."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone

from skllmrec._typing import CsrMatrix, Estimator


def fit_weighter(weighter: Estimator | None, counts: CsrMatrix) -> tuple[Any, CsrMatrix]:
    """Fit a clone of a weighter on the counts of the training.

    Parameters
    ----------
    weighter : transformer or None
    counts : csr_matrix of shape (n_users, n_items)

    Returns
    -------
    weighter : fitted transformer or None
    weights : csr_matrix of shape (n_users, n_items)
        The counts themselves without a weighter; else another matrix with the same stored entries.
    """
    if weighter is None:
        return None, counts
    weighter = clone(weighter)
    return weighter, _checked(weighter, weighter.fit_transform(counts.copy()), counts)


def weigh(weighter: Estimator | None, counts: CsrMatrix) -> CsrMatrix:
    """Weight counts by a fitted weighter, as `fit_weighter` does."""
    return counts if weighter is None else _checked(weighter, weighter.transform(counts.copy()), counts)


def _checked(weighter, weights, counts):
    """Bring weights into the pattern of the counts.

    Raises
    ------
    ValueError
        If the weighter returned no matrix of this shape, entries that were not observed, or weights that are negative
        or not finite.
    """
    name = type(weighter).__name__
    if not sparse.issparse(weights) or weights.shape != counts.shape:
        raise ValueError(
            f"weighter={name} must return a sparse matrix of users and items of shape {counts.shape}, got "
            f"{type(weights).__name__} of shape {np.shape(weights)}"
        )
    weights = sparse.csr_matrix(weights, dtype=np.float64)
    weights.sort_indices()
    if not np.array_equal(weights.indptr, counts.indptr) or not np.array_equal(weights.indices, counts.indices):
        raise ValueError(
            f"weighter={name} must weight the {counts.nnz} observed pairs, but its matrix has {weights.nnz} entries, "
            "or at other places"
        )
    wrong = np.flatnonzero(~np.isfinite(weights.data) | (weights.data < 0))
    if len(wrong):
        raise ValueError(
            f"weighter={name} made the weight {weights.data[wrong[0]]} of the count {counts.data[wrong[0]]} "
            f"({len(wrong)} in total): weights are finite and not negative"
        )
    return weights
