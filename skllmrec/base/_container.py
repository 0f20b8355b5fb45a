"""Matrices of users and items are not rows of interactions: they are recognised, and refused with the remedy."""

import numpy as np
from scipy import sparse

from skllmrec._sklearn import is_frame, take_columns
from skllmrec._typing import Estimator, Rows

_FEWEST_COLUMNS = 4  # of what may be a matrix of items
_BLANK = 0.5  # least share of zeros and NaN, in all columns and in those of the ids
_BLANK_OF_ONE = 0.25  # and in one of the columns of ids
_REMEDY = "fit(*interactions_from_matrix(X, users, items)); see skllmrec.interactions_from_matrix"


def _numbers(part):
    """Values as float64, None where they are not numbers."""
    try:
        values = np.asarray(part)
        return values.astype(np.float64) if values.dtype.kind in "iuf" else None
    except (TypeError, ValueError):
        return None


def _blank(values):
    return float(np.mean((values == 0) | np.isnan(values)))


def _ids_alone(estimator, X):
    """Columns of the ids, or None: where ids have names or features are read, X is no bare matrix."""
    if not (isinstance(X, np.ndarray) or is_frame(X)) or len(X.shape) != 2 or X.shape[1] < _FEWEST_COLUMNS:
        return None
    if any(getattr(estimator, name, None) is not None for name in ("user_features", "item_features")):
        return None
    keys = [estimator.user, estimator.item]
    if not all(isinstance(key, int | np.integer) and -X.shape[1] <= key < X.shape[1] for key in keys):
        return None
    return [_numbers(take_columns(X, key)) for key in keys]


def _looks_like_a_matrix(estimator, X):
    """Whether a dense X holds a user in each row and an item in each column.

    Its first columns are then ratings, most of them zero or NaN; as columns of ids they would name the same user and
    item in most rows.
    """
    ids = _ids_alone(estimator, X)
    if ids is None or any(values is None or len(values) == 0 for values in ids):
        return False
    shares = [_blank(values) for values in ids]
    if min(shares) < _BLANK_OF_ONE or np.mean(shares) < _BLANK:
        return False
    values = _numbers(X)
    return values is not None and _blank(values) >= _BLANK and not (values < 0).any() and bool((values > 0).any())


def check_is_no_matrix(estimator: Estimator, X: Rows, *, reset: bool) -> None:
    """Refuse a matrix of users and items, sparse or dense, where rows of interactions are needed.

    Parameters
    ----------
    estimator : recommender
    X : array-like, dataframe or sparse matrix
    reset : bool
        Whether X is that of `fit`: later ones are compared with its number of columns.

    Raises
    ------
    TypeError
        If X is sparse.
    ValueError
        If X is dense and looks like a matrix of users and items.
    """
    name = type(estimator).__name__
    shape = getattr(X, "shape", None)
    if sparse.issparse(X):
        raise TypeError(
            f"{name} takes one row for each interaction, but X is a sparse matrix of shape {shape}. Of a matrix of "
            f"users and items, make rows: {_REMEDY}"
        )
    if reset and _looks_like_a_matrix(estimator, X):
        raise ValueError(
            f"X of shape {shape} looks like a matrix of users and items: most entries are zero or missing, also in "
            f"the columns {estimator.user!r} and {estimator.item!r} that should hold the ids. {name} takes one row for "
            f"each interaction: {_REMEDY}"
        )
