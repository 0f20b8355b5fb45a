"""Lists of recommendations as arrays: validation, and the mean over users."""

from numbers import Integral

import numpy as np
from scipy.sparse import csr_array, issparse

from skllmrec._typing import ArrayLike, FloatArray, IntArray, Matrix


def check_k(k: int) -> int:
    """Return the cut-off as an int, or raise a ValueError.

    Raises
    ------
    ValueError
        If k is not a positive integer.
    """
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k must be an integer >= 1, got {k!r}")
    return int(k)


def check_size(size: int, *, name: str = "n_items") -> int:
    """Return the number of items of the catalogue, or of users, as an int, or raise a ValueError.

    Raises
    ------
    ValueError
        If the number is not a positive integer.
    """
    if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
        raise ValueError(f"{name} must be an integer >= 1, got {size!r}")
    return int(size)


def check_counts(counts: ArrayLike, *, name: str = "item_counts", most: tuple[str, int] | None = None) -> FloatArray:
    """Return numbers of interactions as float64, (n,), or raise a ValueError.

    Parameters
    ----------
    counts : array-like of shape (n,)
    name : str
        For the message.
    most : str and int, or None
        The name and the value of their upper bound.

    Raises
    ------
    ValueError
        If they are not finite numbers >= 0 in one dimension, or above the bound.
    """
    counts = np.asarray(counts)
    try:
        numbers = counts.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers, got dtype {counts.dtype}") from error
    if numbers.ndim != 1:
        raise ValueError(f"{name} must have one dimension, a count each, got shape {numbers.shape}")
    highest = np.finfo(np.float64).max if most is None else most[1]
    wrong = np.flatnonzero(~((numbers >= 0) & (numbers <= highest)))
    if wrong.size:
        rule = "a finite number >= 0" if most is None else f"between 0 and {most[0]}={most[1]}"
        raise ValueError(f"{name}[{wrong[0]}] is {numbers[wrong[0]]:g}: it must be {rule}")
    return numbers


def check_recommended(recommended: ArrayLike, n_items: int, k: int) -> IntArray:
    """Validate lists of recommendations and cut them at k.

    Parameters
    ----------
    recommended : array-like of int, shape (n_users, n)
        Column indices of the recommended items, best first; -1 is padding.
    n_items : int
        Number of items, the bound of the indices.
    k : int
        Cut-off; what stands behind it is not read.

    Returns
    -------
    lists : ndarray of shape (n_users, min(k, n)), int32 or int64

    Raises
    ------
    ValueError
        If the lists are not two-dimensional and integer, an index is out of range, or an item occurs twice in
        one list.
    """
    lists = np.asarray(recommended)
    if lists.ndim != 2 or lists.shape[1] == 0:
        raise ValueError(f"recommended must have shape (n_users, n) with n >= 1, got shape {lists.shape}")
    if lists.dtype.kind not in "iu":
        raise ValueError(f"recommended must hold column indices (integers, -1 for padding), got dtype {lists.dtype}")
    lists = lists[:, :k]
    if lists.size and (lists.min() < -1 or lists.max() >= n_items):
        row, place = np.argwhere((lists < -1) | (lists >= n_items))[0]
        raise ValueError(
            f"recommended[{row}, {place}] is {lists[row, place]}, but there are {n_items} items: "
            f"pass column indices from 0 to {n_items - 1}, or -1 for padding"
        )
    lists = lists.astype(np.int32 if n_items < 2**31 else np.int64, copy=False)
    _check_distinct(lists)
    return lists


def _check_distinct(lists):
    ordered = np.sort(lists, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        row, place = np.argwhere(twice)[0]
        raise ValueError(
            f"recommended lists item {ordered[row, place]} twice in row {row}: every list must hold distinct items"
        )


def check_relevant(relevant: Matrix | ArrayLike) -> csr_array:
    """Validate the relevant items and make their stored entries the relevant ones.

    Parameters
    ----------
    relevant : sparse matrix or array of shape (n_users, n_items)
        Positive entries are relevant.

    Returns
    -------
    relevant : csr_array of bool, shape (n_users, n_items)
        In canonical format; the argument is left as it is.

    Raises
    ------
    ValueError
        If it is not two-dimensional, or holds NaN or something that is no number.
    """
    matrix = relevant.tocsr() if issparse(relevant) else np.asarray(relevant)
    if matrix.ndim != 2:
        raise ValueError(f"relevant must have shape (n_users, n_items), got shape {matrix.shape}")
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"relevant must hold numbers or truth values, positive where relevant, got {matrix.dtype}")
    matrix = csr_array(matrix)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()  # summing in place would alter the caller's matrix
        matrix.sum_duplicates()
    if matrix.data.dtype.kind == "f" and np.isnan(matrix.data).any():
        row = np.searchsorted(matrix.indptr, np.flatnonzero(np.isnan(matrix.data))[0], side="right") - 1
        raise ValueError(f"relevant holds NaN in row {row}: pass positive values for the relevant items")
    positive = matrix.data > 0
    if positive.all():
        return csr_array((positive, matrix.indices, matrix.indptr), shape=matrix.shape)
    kept = np.concatenate([[0], np.cumsum(positive)])[matrix.indptr]
    return csr_array((positive[positive], matrix.indices[positive], kept), shape=matrix.shape)


def summarise(values: FloatArray, average: bool) -> float | FloatArray:
    """Return one value per user, or their mean without the undefined ones (NaN if none is defined)."""
    if not average:
        return values
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
