"""What the splitters of interactions share: the interface, reading ids, checks."""

from abc import abstractmethod
from numbers import Integral

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import indexable

from skllmrec._ids import IdIndex, column


def check_n_splits(n_splits, *, at_least=2):
    """Return the number of splits as an int, or raise a ValueError.

    Raises
    ------
    ValueError
        If there are fewer than two splits.
    """
    if isinstance(n_splits, bool) or not isinstance(n_splits, Integral) or n_splits < at_least:
        raise ValueError(f"n_splits must be an integer >= {at_least}, got {n_splits!r}")
    return int(n_splits)


def group_codes(X, key, *, name):
    """Give the ids of a column numbers by first appearance, so that their dtype and order do not matter.

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

    A subclass implements ``_folds(X)``, which yields (train, test) positions, and ``get_n_splits``.
    """

    def split(self, X, y=None, groups=None):
        """Generate the positions of the training and test rows of each split.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            One row for each interaction.
        y : array-like of shape (n_samples,), default=None
            Not used; only its length is checked.
        groups : object, default=None
            Ignored, exists for compatibility.

        Yields
        ------
        train, test : ndarray of int
            Positions of rows, ascending.
        """
        X, _ = indexable(X, y)
        yield from self._folds(X if hasattr(X, "shape") else np.asarray(X, dtype=object))

    @abstractmethod
    def _folds(self, X):
        """Yield (train, test) positions."""

    def get_n_splits(self, X=None, y=None, groups=None):
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


def folds_of(labels, n_splits):
    """Yield (train, test) positions of the folds that `labels`, 0 to n_splits - 1, assign rows to."""
    for fold in range(n_splits):
        test = labels == fold
        yield np.flatnonzero(~test), np.flatnonzero(test)
