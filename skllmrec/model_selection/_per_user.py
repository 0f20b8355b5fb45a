"""Cross-validation in which every user has training rows."""

import numpy as np
from sklearn.utils import check_random_state

from skllmrec._typing import Column, RandomState
from skllmrec.model_selection._base import (
    BaseInteractionSplitter,
    check_n_splits,
    folds_from_labels,
    group_codes,
)


class PerUserKFold(BaseInteractionSplitter):
    """Distribute the rows of every user evenly over the folds: the warm-start protocol.

    Every row is in exactly one test fold. The folds differ by at most one in the number of rows of each user, and
    by at most one in the number of all rows, so that every user with at least two rows has training rows in every
    fold. The row of a user with a single row is tested once, by a model that was fitted without this user.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.
    user : str or int, default=0
        Column of X that holds the users' ids.
    shuffle : bool, default=True
        Whether the rows of a user are assigned to the folds in random order instead of that of X.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffle. The type of the ids has no influence: users are numbered in the order of their
        first appearance.

    See Also
    --------
    ColdItemKFold : Test on items without training rows.
    TemporalSplit : Test on rows that are later than all training rows.

    Notes
    -----
    ``split`` raises a ValueError if `n_splits` is not an integer >= 2, exceeds the number of rows, if no user has
    two rows, if the column does not exist, an id is missing, or a seed is given without `shuffle`.

    Examples
    --------
    >>> from skllmrec.model_selection import PerUserKFold
    >>> X = [["ann", "alien"], ["ann", "heat"], ["bob", "alien"], ["bob", "heat"]]
    >>> for train, test in PerUserKFold(n_splits=2, shuffle=False).split(X):
    ...     print(train, test)
    [1 3] [0 2]
    [0 2] [1 3]
    """

    def __init__(
        self, n_splits: int = 5, *, user: Column = 0, shuffle: bool = True, random_state: RandomState = None
    ) -> None:
        self.n_splits = n_splits
        self.user = user
        self.shuffle = shuffle
        self.random_state = random_state

    def _folds(self, X):
        n_splits = check_n_splits(self.n_splits)
        if not self.shuffle and self.random_state is not None:
            raise ValueError("random_state has no effect with shuffle=False: leave it None, or set shuffle=True")
        users, n_users = group_codes(X, self.user, name="user")
        if n_splits > len(users):
            raise ValueError(f"n_splits={n_splits} exceeds the {len(users)} rows of X")
        if n_users == len(users):
            raise ValueError(
                "no user has two rows, so that none could be in training and test: use ColdUserKFold or KFold"
            )
        n_rows = len(users)
        within = check_random_state(self.random_state).permutation(n_rows) if self.shuffle else np.arange(n_rows)
        labels = np.empty(n_rows, dtype=np.intp)
        # sorted by user, consecutive rows go to consecutive folds
        labels[np.lexsort((within, users))] = np.arange(n_rows) % n_splits
        return folds_from_labels(labels, n_splits)
