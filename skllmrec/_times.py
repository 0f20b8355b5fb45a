"""Times of interactions: read from a column of X, ordered."""

import numpy as np

from skllmrec._missing import missing_mask
from skllmrec._sklearn import is_frame, take_columns
from skllmrec._typing import Array, Column, IntArray, Rows


def read_times(X: Rows, key: Column) -> Array:
    """Read a column of times.

    Parameters
    ----------
    X : dataframe or array of shape (n_samples, n_features)
        The rows.
    key : str or int
        Name or position of the column.

    Returns
    -------
    times : ndarray of shape (n_samples,)
        As they come: numbers, datetimes or objects.

    Raises
    ------
    ValueError
        If the column does not exist, or a time is missing.
    TypeError
        If the times are strings.
    """
    X = X if hasattr(X, "shape") else np.asarray(X, dtype=object)
    try:
        values = np.asarray(take_columns(X, key))
    except (ValueError, IndexError, KeyError) as error:
        has = f"its columns are {list(X.columns)}" if is_frame(X) else f"it has {X.shape[1]} unnamed columns"
        raise ValueError(f"time={key!r} is not a column of X: {has}") from error
    if values.dtype.kind == "U" or (values.dtype.kind == "O" and any(isinstance(v, str) for v in values)):
        raise TypeError(
            f"time={key!r} holds strings, whose order need not be that of time: convert them to numbers or datetimes"
        )
    missing = np.flatnonzero(missing_mask(values))
    if missing.size:
        raise ValueError(
            f"time={key!r} is missing at position {missing[0]} ({missing.size} in total): remove these rows"
        )
    return values


def time_codes(X: Rows, key: Column) -> IntArray:
    """Rank the distinct times of a column: 0 is the earliest, equal times have equal codes.

    Parameters
    ----------
    X : dataframe or array of shape (n_samples, n_features)
        The rows.
    key : str or int
        Name or position of the column.

    Returns
    -------
    codes : ndarray of shape (n_samples,), intp

    Raises
    ------
    ValueError
        If the column does not exist, or a time is missing.
    TypeError
        If the times are strings or cannot be compared.
    """
    values = read_times(X, key)
    try:
        return np.unique(values, return_inverse=True)[1]
    except TypeError as error:
        raise TypeError(f"the values of time={key!r} cannot be compared: {error}") from error
