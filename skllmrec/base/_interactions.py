"""Rows of interactions as one sparse matrix: checked, aggregated, merged."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array, column_or_1d

from skllmrec._ids import IdIndex
from skllmrec._sklearn import check_sample_weight
from skllmrec._typing import Array, ArrayLike, Columns, CsrMatrix, Estimator, Feedback, FloatArray, IntArray, Rows
from skllmrec.base._columns import ColumnKey
from skllmrec.base._hints import (
    hint_at_column_of_ratings,
    hint_at_events,
    hint_at_ratings,
    implicit_setting,
    missing_ratings,
    negative_weight,
)
from skllmrec.base._magnitude import check_magnitude

_SCALE_WEIGHTS = "Correct it, or divide all weights by the same number"


@dataclass(frozen=True, eq=False)
class InteractionRows:
    """The rows of X that have a weight, as they were before rows of the same pair were summed.

    Parameters
    ----------
    X : dataframe or ndarray of shape (n_rows, n_features)
        Rows whose sample weight is zero are left out.
    users, items : ndarray of shape (n_rows,), intp
        Positions of the rows' users and items in the ids of the `Interactions`.
    weights : ndarray of shape (n_rows,), float64
        The weight of each row: its sample weight, times y for implicit feedback, where zero is no event. A `weighter`
        does not change it.
    passed : tuple (X, y)
        The arguments of the call, all rows included: the data that callbacks of scikit-learn score on.

    Examples
    --------
    >>> from skllmrec.base import BaseRecommender
    >>> class Latest(BaseRecommender):
    ...     def __init__(self, *, user=0, item=1):
    ...         self.user, self.item = user, item
    ...     def _fit_interactions(self, interactions):
    ...         rows = interactions.rows
    ...         print(rows.items, rows.column(2, name="time"))
    ...     def _score_block(self, users, items):
    ...         raise NotImplementedError
    >>> latest = Latest().fit([["ann", "heat", 7], ["bob", "heat", 8], ["bob", "alien", 9]], [1, 1, 1])
    [1 1 0] [7 8 9]
    """

    X: Rows
    users: IntArray
    items: IntArray
    weights: FloatArray
    passed: tuple = (None, None)

    def __len__(self) -> int:
        return len(self.users)

    def column(self, key: Columns, *, name: str) -> Rows:
        """Read a column of X for these rows.

        Parameters
        ----------
        key : column key
            A name, a position, a list, a slice or a callable selector.
        name : str
            The parameter that holds the key, for error messages.

        Returns
        -------
        Series, frame or ndarray of length n_rows

        Raises
        ------
        ValueError
            If X has no such column.
        """
        return ColumnKey.resolve(self.X, key, name=name).read(self.X)


@dataclass(frozen=True)
class Interactions:
    """The data that a recommender learns from: the observed pairs, the features, and the rows they come from.

    Parameters
    ----------
    users, items : IdIndex
        The ids of the rows and columns of `weights`.
    weights : csr_matrix of shape (n_users, n_items), float64
        Sum of the weights of each observed pair, as the `weighter` of the recommender weights it; sorted indices; a
        stored zero is an observed zero.
    ratings : ndarray of shape (weights.nnz,) or None
        Weighted mean rating of each stored pair; None for implicit feedback.
    user_features, item_features : ndarray or csr_matrix or None
        Encoded features of each user and item, shape (n_users, n_user_features), (n_items, n_item_features); in a
        fold-in, of the new ones only.
    rows : InteractionRows or None
        The rows that `fit` or `partial_fit` was called with; in a fold-in the new ones only. They are held by reference
        and must not be stored on the estimator.

    Examples
    --------
    >>> from skllmrec.base import BaseRecommender
    >>> class Silent(BaseRecommender):
    ...     def __init__(self, *, user=0, item=1):
    ...         self.user, self.item = user, item
    ...     def _fit_interactions(self, interactions):
    ...         print(interactions.items.ids, interactions.ratings, interactions.weights.toarray())
    ...     def _score_block(self, users, items):
    ...         raise NotImplementedError
    >>> rows = [["ann", "alien"], ["bob", "heat"], ["bob", "heat"]]
    >>> silent = Silent().fit(rows, [3.0, 4.0, 5.0])
    ['alien' 'heat'] [3.  4.5] [[1. 0.]
     [0. 2.]]
    """

    users: IdIndex
    items: IdIndex
    weights: CsrMatrix
    ratings: FloatArray | None
    user_features: Array | CsrMatrix | None = None
    item_features: Array | CsrMatrix | None = None
    rows: InteractionRows | None = None

    @property
    def trained_shape(self) -> tuple[int, int]:
        """Numbers of users and items with interactions: the first rows and columns; the rest came from tables."""
        with_interactions = np.flatnonzero(np.diff(self.weights.indptr))
        return int(with_interactions[-1]) + 1, int(self.weights.indices.max()) + 1

    def transposed(self) -> tuple[CsrMatrix, FloatArray | None]:
        """Transpose users x items to items x users.

        Returns
        -------
        weights : csr_matrix of shape (n_items, n_users)
        ratings : ndarray of shape (weights.nnz,) or None
            In the order of the transposed weights; None for implicit feedback.
        """
        order = np.arange(self.weights.nnz)
        by_item = sparse.csr_matrix((order, self.weights.indices, self.weights.indptr), self.weights.shape).T.tocsr()
        ratings = None if self.ratings is None else self.ratings[by_item.data]
        by_item.data = self.weights.data[by_item.data]
        return by_item, ratings

    @property
    def targets(self) -> CsrMatrix:
        """Users x items: the ratings (explicit feedback) or the weights, as they are passed to encoders."""
        if self.ratings is None:
            return self.weights
        return sparse.csr_matrix((self.ratings, self.weights.indices, self.weights.indptr), self.weights.shape)


def check_feedback(
    estimator: Estimator, X: Rows, y: ArrayLike | None, sample_weight: ArrayLike | None, *, feedback: Feedback
) -> tuple[FloatArray, FloatArray | None, Array]:
    """Check y and the sample weights.

    Returns
    -------
    weights : ndarray of shape (n_samples,), float64
    ratings : ndarray of shape (n_samples,), float64, or None for implicit feedback
    kept : ndarray of bool of shape (n_samples,)
        False where the sample weight is zero: such rows count as removed.

    Raises
    ------
    ValueError
        If y is missing, has NaN, inf or a wrong length, a weight is negative, all weights are zero, or a number is so
        large that its square may overflow.
    """
    name = type(estimator).__name__
    weights: FloatArray = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    check_magnitude(weights, f"{name}: sample_weight", remedy=_SCALE_WEIGHTS)
    kept = weights > 0
    if not kept.any():
        raise ValueError(f"{name}: every sample weight is zero, no row is left to learn from")
    if feedback == "explicit":
        if y is None:
            raise missing_ratings(estimator, X)
        ratings: FloatArray = _check_numbers(y, len(kept), estimator, feedback)
        hint_at_events(estimator, ratings[kept])
        return weights, ratings, kept
    if y is None:
        hint_at_column_of_ratings(estimator, X, kept)
        return weights, None, kept
    counts: FloatArray = _check_numbers(y, len(kept), estimator, feedback)
    negative = np.flatnonzero(counts < 0)
    if negative.size:
        raise negative_weight(estimator, counts, negative[0])
    hint_at_ratings(estimator, counts)
    weights = weights * counts
    check_magnitude(weights, f"{name}: y times sample_weight", remedy=_SCALE_WEIGHTS)
    return weights, None, kept


def _check_numbers(y, n_samples, estimator, feedback):
    name = type(estimator).__name__
    # finiteness is checked below, so that the message can say where
    y = check_array(y, ensure_2d=False, dtype=None, input_name="y", ensure_all_finite=False)
    y = column_or_1d(y, warn=True)
    if y.dtype.kind in "mM":
        without = "" if feedback == "implicit" else f" and {implicit_setting(estimator)}"
        raise ValueError(
            f"{name}: y must hold ratings or counts, got times (dtype {y.dtype}): pass the column of ratings as y, "
            f"or no y{without}"
        )
    try:
        y = y.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: y must hold numbers, got dtype {y.dtype}: {error}") from error
    if len(y) != n_samples:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {n_samples} rows in X, {len(y)} in y"
        )
    bad = np.flatnonzero(~np.isfinite(y))
    if bad.size:
        raise ValueError(
            f"{name}: y contains NaN or inf, {y[bad[0]]} at position {bad[0]} ({bad.size} in total): remove these "
            f"rows or give them a value"
        )
    check_magnitude(y, f"{name}: y", remedy="Remove or correct the row, or divide all of y by the same number")
    return y


def aggregate(
    users: IntArray, items: IntArray, weights: FloatArray, ratings: FloatArray | None, shape: tuple[int, int]
) -> tuple[sparse.csr_matrix, FloatArray | None]:
    """Sum the rows of equal pairs.

    Parameters
    ----------
    users, items : ndarray of shape (n_samples,), intp
        Positions.
    weights : ndarray of shape (n_samples,)
    ratings : ndarray of shape (n_samples,) or None
    shape : tuple
        (n_users, n_items).

    Returns
    -------
    matrix : csr_matrix of shape `shape`
        Summed weights, indices sorted.
    ratings : ndarray of shape (matrix.nnz,) or None
        Weighted means.
    """
    pairs = users.astype(np.int64) * shape[1] + items
    order = np.argsort(pairs, kind="stable")
    pairs, weights = pairs[order], weights[order]
    starts = np.flatnonzero(np.r_[True, pairs[1:] != pairs[:-1]]) if len(pairs) else np.zeros(0, dtype=np.intp)
    summed = np.add.reduceat(weights, starts) if len(starts) else np.zeros(0)
    distinct = pairs[starts]
    indptr = np.searchsorted(distinct, np.arange(shape[0] + 1) * shape[1])
    index_type = np.int32 if max(len(distinct), *shape) < 2**31 else np.int64
    parts: Any = summed, (distinct % max(shape[1], 1)).astype(index_type), indptr.astype(index_type)
    matrix: sparse.csr_matrix = sparse.csr_matrix(parts, shape=shape)
    matrix.has_sorted_indices = True
    if ratings is None:
        return matrix, None
    return matrix, np.add.reduceat(weights * ratings[order], starts) / summed


def merge(
    known: CsrMatrix, known_ratings: FloatArray | None, added: CsrMatrix, added_ratings: FloatArray | None
) -> tuple[sparse.csr_matrix, FloatArray | None]:
    """Add newly observed interactions to the known ones, on a shape that holds both.

    Parameters
    ----------
    known, added : csr_matrix
        Weights; `added` has at least as many rows and columns.
    known_ratings, added_ratings : ndarray or None
        Ratings of their stored pairs.

    Returns
    -------
    matrix, ratings
        As from `aggregate`.
    """
    parts = [matrix.tocoo() for matrix in (known, added)]
    users = np.concatenate([part.row for part in parts])
    items = np.concatenate([part.col for part in parts])
    weights = np.concatenate([part.data for part in parts])
    ratings = None if known_ratings is None else np.concatenate([known_ratings, added_ratings])
    return aggregate(users, items, weights, ratings, added.shape)


def rows_of(matrix, codes):
    """Rows of a CSR matrix, an empty one where the code is -1."""
    picked = matrix[np.maximum(codes, 0)]
    if (codes >= 0).all():
        return picked
    kept = np.repeat(codes >= 0, np.diff(picked.indptr))
    indptr = np.r_[0, np.cumsum(kept)][picked.indptr]
    return sparse.csr_matrix((picked.data[kept], picked.indices[kept], indptr), shape=picked.shape)


def interactions_of(weights, ratings, codes):
    """Rows of interactions, empty ones where the code is -1.

    Parameters
    ----------
    weights : csr_matrix of shape (n_rows, n_columns)
    ratings : ndarray of shape (weights.nnz,) or None
        Of the stored pairs.
    codes : ndarray of int

    Returns
    -------
    weights : csr_matrix of shape (n_codes, n_columns)
    ratings : ndarray of shape (weights.nnz,) or None
        Of the pairs that were taken.
    """
    if ratings is not None:
        ratings = rows_of(sparse.csr_matrix((ratings, weights.indices, weights.indptr), weights.shape), codes).data
    return rows_of(weights, codes), ratings
