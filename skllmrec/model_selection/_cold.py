"""Cross-validation on items or users that have no training rows."""

import heapq
from typing import ClassVar

import numpy as np
from sklearn.utils import check_random_state

from skllmrec._typing import Column, RandomState
from skllmrec.model_selection._base import (
    BaseInteractionSplitter,
    check_n_splits,
    folds_from_labels,
    group_codes,
)


def _balanced_labels(counts, n_splits, random):
    """Assign groups to folds of nearly equal row counts.

    Groups are assigned in the order of falling size, each to the fold with the fewest rows so far (the
    longest-processing-time rule of R. L. Graham, 1969). The sizes are jittered for sorting, so that different seeds
    also distribute the largest groups differently.

    Parameters
    ----------
    counts : ndarray of int, shape (n_groups,)
        Number of rows of each group, at least one.
    n_splits : int
        Number of folds, at most n_groups.
    random : RandomState

    Returns
    -------
    labels : ndarray of intp, shape (n_groups,)
        The fold of each group; every fold has at least one group.
    """
    labels = np.empty(len(counts), dtype=np.intp)
    loads = [(0, fold) for fold in range(n_splits)]
    for group in np.argsort(-counts * random.uniform(0.5, 1.0, len(counts)), kind="stable"):
        load, fold = loads[0]
        labels[group] = fold
        heapq.heapreplace(loads, (load + int(counts[group]), fold))
    return labels


class _ColdKFold(BaseInteractionSplitter):
    """K folds of the ids of one column; `_side` is the name of the parameter that holds the column."""

    _side: ClassVar[str]
    random_state: RandomState

    def _folds(self, X):
        n_splits = check_n_splits(self.n_splits)
        codes, n_groups = group_codes(X, getattr(self, self._side), name=self._side)
        if n_splits > n_groups:
            raise ValueError(f"n_splits={n_splits} exceeds the {n_groups} {self._side}s of X")
        random = check_random_state(self.random_state)
        labels = _balanced_labels(np.bincount(codes, minlength=n_groups), n_splits, random)
        return folds_from_labels(labels[codes], n_splits)


class ColdItemKFold(_ColdKFold):
    """K-fold cross-validation on cold items: the items of a test fold have no training rows.

    Every row is in exactly one test fold. The folds have nearly the same number of rows, as far as the most
    frequent item allows, but not of items. Users whose rows are all on test items have no training rows either.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.
    item : str or int, default=1
        Column of X that holds the items' ids.
    random_state : int, RandomState instance or None, default=None
        Seed of the assignment. The type of the ids has no influence: items are numbered in the order of their
        first appearance.

    See Also
    --------
    ColdUserKFold : The same for users.

    Notes
    -----
    ``split`` raises a ValueError if `n_splits` is not an integer >= 2 or exceeds the number of items, if the
    column does not exist, or an id is missing.

    Examples
    --------
    >>> from skllmrec.model_selection import ColdItemKFold
    >>> X = [["ann", "alien"], ["bob", "alien"], ["ann", "heat"], ["bob", "heat"]]
    >>> for train, test in ColdItemKFold(n_splits=2, random_state=0).split(X):
    ...     print({X[row][1] for row in train}, {X[row][1] for row in test})
    {'alien'} {'heat'}
    {'heat'} {'alien'}
    """

    _side = "item"

    def __init__(self, n_splits: int = 5, *, item: Column = 1, random_state: RandomState = None) -> None:
        self.n_splits = n_splits
        self.item = item
        self.random_state = random_state


class ColdUserKFold(_ColdKFold):
    """K-fold cross-validation on cold users: the users of a test fold have no training rows.

    Every row is in exactly one test fold. The folds have nearly the same number of rows, as far as the most
    active user allows, but not of users.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.
    user : str or int, default=0
        Column of X that holds the users' ids.
    random_state : int, RandomState instance or None, default=None
        Seed of the assignment. The type of the ids has no influence: users are numbered in the order of their
        first appearance.

    See Also
    --------
    ColdItemKFold : The same for items.

    Notes
    -----
    ``split`` raises a ValueError if `n_splits` is not an integer >= 2 or exceeds the number of users, if the
    column does not exist, or an id is missing.

    Examples
    --------
    >>> from skllmrec.model_selection import ColdUserKFold
    >>> X = [["ann", "alien"], ["bob", "alien"], ["ann", "heat"], ["bob", "heat"]]
    >>> for train, test in ColdUserKFold(n_splits=2, random_state=0).split(X):
    ...     print({X[row][0] for row in train}, {X[row][0] for row in test})
    {'ann'} {'bob'}
    {'bob'} {'ann'}
    """

    _side = "user"

    def __init__(self, n_splits: int = 5, *, user: Column = 0, random_state: RandomState = None) -> None:
        self.n_splits = n_splits
        self.user = user
        self.random_state = random_state
