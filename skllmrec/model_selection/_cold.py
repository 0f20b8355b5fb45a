"""Cross-validation over items or users that training does not know."""

import heapq

import numpy as np
from sklearn.utils import check_random_state

from skllmrec.model_selection._base import BaseInteractionSplitter, check_n_splits, folds_of, group_codes


def _balanced_labels(counts, n_splits, random):
    """Assign groups to folds of nearly equal row counts.

    Large groups first, each to the fold with the fewest rows so far (the longest-processing-time rule of R. L.
    Graham, 1969). The order follows jittered counts, so that different seeds also part the largest groups
    differently.

    Parameters
    ----------
    counts : ndarray of int, shape (n_groups,)
        Rows of each group, at least one.
    n_splits : int
        Number of folds, at most n_groups.
    random : RandomState

    Returns
    -------
    labels : ndarray of intp, shape (n_groups,)
        The fold of each group; every fold has one.
    """
    labels = np.empty(len(counts), dtype=np.intp)
    loads = [(0, fold) for fold in range(n_splits)]
    for group in np.argsort(-counts * random.uniform(0.5, 1.0, len(counts)), kind="stable"):
        load, fold = loads[0]
        labels[group] = fold
        heapq.heapreplace(loads, (load + int(counts[group]), fold))
    return labels


class _ColdKFold(BaseInteractionSplitter):
    """K folds of the ids of one column, which a subclass names in `_side`."""

    _side = None

    def _folds(self, X):
        n_splits = check_n_splits(self.n_splits)
        codes, n_groups = group_codes(X, getattr(self, self._side), name=self._side)
        if n_splits > n_groups:
            raise ValueError(f"n_splits={n_splits} exceeds the {n_groups} {self._side}s of X")
        random = check_random_state(self.random_state)
        labels = _balanced_labels(np.bincount(codes, minlength=n_groups), n_splits, random)
        return folds_of(labels[codes], n_splits)


class ColdItemKFold(_ColdKFold):
    """Hold out items: those of a test fold have no row in training.

    Every row is in exactly one test fold; the folds have nearly the same number of rows (as far as the most
    frequent item lets them), not of items. Users whose rows are all on test items are unknown in that fold, too.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.
    item : str or int, default=1
        Column of X that holds the items' ids.
    random_state : int, RandomState instance or None, default=None
        Seed of the assignment. The type of the ids has no influence: items count in the order of their
        appearance.

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

    def __init__(self, n_splits=5, *, item=1, random_state=None):
        self.n_splits = n_splits
        self.item = item
        self.random_state = random_state


class ColdUserKFold(_ColdKFold):
    """Hold out users: those of a test fold have no row in training.

    Every row is in exactly one test fold; the folds have nearly the same number of rows (as far as the most
    active user lets them), not of users.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.
    user : str or int, default=0
        Column of X that holds the users' ids.
    random_state : int, RandomState instance or None, default=None
        Seed of the assignment. The type of the ids has no influence: users count in the order of their
        appearance.

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

    def __init__(self, n_splits=5, *, user=0, random_state=None):
        self.n_splits = n_splits
        self.user = user
        self.random_state = random_state
