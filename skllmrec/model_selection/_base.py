"""Base class of the splitters of interactions, and helpers for checking and for encoding ids."""

from abc import abstractmethod
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import indexable

from skllmrec._foreign import as_table
from skllmrec._ids import IdIndex, column
from skllmrec._typing import ArrayLike, Column, IntArray, Rows


def check_n_splits(n_splits: Any, *, at_least: int = 2) -> int:
    """Return the number of splits as an int, or raise a ValueError.

    Raises
    ------
    ValueError
        If `n_splits` is not an integer, or less than `at_least`.
    """
    if isinstance(n_splits, bool) or not isinstance(n_splits, Integral) or n_splits < at_least:
        raise ValueError(f"n_splits must be an integer >= {at_least}, got {n_splits!r}")
    return int(n_splits)


def group_codes(X: Rows, key: Column, *, name: str) -> tuple[IntArray, int]:
    """Encode the ids of a column by the order of their first appearance, so that their dtype does not matter.

    Returns
    -------
    codes : ndarray of shape (n_samples,), intp
    n_groups : int
    """
    index, codes = IdIndex.from_values(column(X, key, name=name))
    first = np.unique(codes, return_index=True)[1]
    rank = np.empty(len(index), dtype=np.intp)
    rank[np.argsort(first)] = np.arange(len(index))
    return rank[codes], len(index)


class BaseInteractionSplitter(BaseCrossValidator):
    """A cross-validator that reads the columns of X.

    A subclass implements ``_folds(X)``, which yields (train, test) positions, and sets `n_splits`.
    """

    n_splits: int

    def split(self, X: Rows, y: ArrayLike | None = None, groups: object = None) -> Iterator[tuple[IntArray, IntArray]]:
        """Generate the positions of the training and test rows of each split.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            One row for each interaction.
        y : array-like of shape (n_samples,), default=None
            Only its length is checked.
        groups : object, default=None
            Ignored, exists for compatibility.

        Yields
        ------
        train, test : ndarray of int
            Positions of rows in ascending order.
        """
        X, _ = indexable(as_table(X), y)
        yield from self._folds(X if hasattr(X, "shape") else np.asarray(X, dtype=object))

    @abstractmethod
    def _folds(self, X):
        """Yield (train, test) positions."""

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored, exist for compatibility.

        Returns
        -------
        n_splits : int
        """
        return self.n_splits


def folds_from_labels(labels: IntArray, n_splits: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield (train, test) positions for each fold; `labels` holds the fold of each row, 0 to n_splits - 1."""
    for fold in range(n_splits):
        test = labels == fold
        yield np.flatnonzero(~test), np.flatnonzero(test)
