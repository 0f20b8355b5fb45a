"""Folds of interactions, and of items that are new in a fold."""

import numpy as np

from skllmrec._typing import IntArray


def assign_folds(owners: IntArray, n_folds: int, generator: np.random.Generator) -> IntArray:
    """Assign interactions to folds at random, those of each user as evenly as possible.

    Parameters
    ----------
    owners : ndarray of int, shape (n,)
        The user of each interaction, ascending.
    n_folds : int
    generator : Generator

    Returns
    -------
    ndarray of int, shape (n,)
        From 0 to n_folds - 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec._kernels.stacking.folds import assign_folds
    >>> np.bincount(assign_folds(np.zeros(7, dtype=int), 3, np.random.default_rng(0))).tolist()
    [2, 2, 3]
    """
    order = np.lexsort((generator.random(len(owners)), owners))
    first = np.searchsorted(owners, owners)
    begin = generator.integers(n_folds, size=int(owners.max(initial=-1)) + 1)  # not always the first fold gets more
    folds = np.empty(len(owners), dtype=np.intp)
    folds[order] = (np.arange(len(owners)) - first + begin[owners]) % n_folds
    return folds


def assign_new_items(items: IntArray, n_folds: int, share: float, generator: np.random.Generator) -> IntArray:
    """Draw items that are new in a fold, each in at most one.

    Parameters
    ----------
    items : ndarray of int, shape (n,)
        Distinct.
    n_folds : int
    share : float
        Of the items that are new in each fold; at most 1 / n_folds.
    generator : Generator

    Returns
    -------
    ndarray of int, shape (n,)
        The fold of each item, -1 for those that are new in none.
    """
    n_new = int(share * len(items))
    folds = np.full(len(items), -1, dtype=np.intp)
    order = generator.permutation(len(items))
    for fold in range(n_folds):
        folds[order[fold * n_new : (fold + 1) * n_new]] = fold
    return folds
