"""Splits by time: the last rows of each user, or all rows after a point in time."""

from numbers import Integral, Real

import numpy as np

from skllmrec._times import time_codes
from skllmrec._typing import Column
from skllmrec.model_selection._base import BaseInteractionSplitter, check_n_splits, group_codes


class LeaveLastOut(BaseInteractionSplitter):
    """Hold out the last row, or the last few rows, of every user.

    There is one split. All rows of users with no more than `n_rows` rows are training rows. Rows with equal times
    keep their order in X. Some training rows are later than test rows of *other* users; where no training row may
    be later than a test row, use `TemporalSplit` [1]_.

    Parameters
    ----------
    user : str or int, default=0
        Column of X that holds the users' ids.
    time : str or int, default=None
        Column of X that holds the times, numbers or datetimes. If None, the rows of X must be in the order of time.
    n_rows : int, default=1
        Number of rows of each user to hold out.

    Notes
    -----
    ``split`` raises a ValueError if `n_rows` is not an integer >= 1, no user has more rows than that, a column
    does not exist, or an id or a time is missing; a TypeError if the times are strings or cannot be compared.

    References
    ----------
    .. [1] Y. Ji, A. Sun, J. Zhang, C. Li, "A critical study on data leakage in recommender system offline
       evaluation", ACM TOIS 41(3), 2023.

    Examples
    --------
    >>> from skllmrec.model_selection import LeaveLastOut
    >>> X = [["ann", "alien", 20], ["ann", "heat", 10], ["bob", "alien", 5]]
    >>> for train, test in LeaveLastOut(time=2).split(X):
    ...     print(train, test)
    [1 2] [0]
    """

    n_splits = 1

    def __init__(self, *, user: Column = 0, time: Column | None = None, n_rows: int = 1) -> None:
        self.user = user
        self.time = time
        self.n_rows = n_rows

    def _folds(self, X):
        if isinstance(self.n_rows, bool) or not isinstance(self.n_rows, Integral) or self.n_rows < 1:
            raise ValueError(f"n_rows must be an integer >= 1, got {self.n_rows!r}")
        users, n_users = group_codes(X, self.user, name="user")
        rows = np.arange(len(users))
        times = rows if self.time is None else time_codes(X, self.time)
        ends = np.cumsum(np.bincount(users, minlength=n_users))
        order = np.lexsort((rows, times, users))
        n_later = np.empty(len(users), dtype=np.intp)  # number of later rows of the same user
        n_later[order] = ends[users[order]] - 1 - rows
        long_enough = np.diff(ends, prepend=0) > self.n_rows
        test = (n_later < self.n_rows) & long_enough[users]
        if not test.any():
            raise ValueError(
                f"no user has more than n_rows={self.n_rows} rows, so that nothing can be held out: "
                "use another splitter"
            )
        yield np.flatnonzero(~test), np.flatnonzero(test)


class TemporalSplit(BaseInteractionSplitter):
    """Train on the rows before a point in time, test on the rows at or after it.

    Every training row is strictly earlier than every test row. The data are cut between two distinct times, as
    near as possible to the requested share of rows (at the earlier one of two equally near cuts). Rows with equal
    times are never separated, so that the test set can be smaller or larger than requested. With several splits
    the test sets are consecutive windows that end with the last row, and the training set of each holds all rows
    before the window.

    Parameters
    ----------
    time : str or int
        Column of X that holds the times, numbers or datetimes.
    test_size : float or int, default=0.2
        Share of the rows (between 0 and 1, rounded up) or number of rows in each test set.
    n_splits : int, default=1
        Number of windows.

    Notes
    -----
    ``split`` raises a ValueError if `test_size` or `n_splits` is out of range or leaves no training rows, if X has
    too few distinct times, the column does not exist, or a time is missing; a TypeError if the times are strings
    or cannot be compared.

    References
    ----------
    Y. Ji, A. Sun, J. Zhang, C. Li, "A critical study on data leakage in recommender system offline evaluation",
    ACM TOIS 41(3), 2023.

    Examples
    --------
    >>> from skllmrec.model_selection import TemporalSplit
    >>> X = [["ann", "alien", 20], ["ann", "heat", 10], ["bob", "alien", 5], ["bob", "heat", 20]]
    >>> for train, test in TemporalSplit(time=2, test_size=0.5).split(X):
    ...     print(train, test)
    [1 2] [0 3]
    """

    def __init__(self, *, time: Column, test_size: float = 0.2, n_splits: int = 1) -> None:
        self.time = time
        self.test_size = test_size
        self.n_splits = n_splits

    def _n_test_rows(self, n_rows):
        size = self.test_size
        whole = isinstance(size, Integral) and not isinstance(size, bool)
        if not (whole and size >= 1) and not (not whole and isinstance(size, Real) and 0 < size < 1):
            raise ValueError(f"test_size must be a share between 0 and 1 or a number of rows, got {size!r}")
        return int(size) if whole else int(np.ceil(size * n_rows))

    def _folds(self, X):
        n_splits = check_n_splits(self.n_splits, at_least=1)
        times = time_codes(X, self.time)
        n_test = self._n_test_rows(len(times))
        if n_splits * n_test >= len(times):
            raise ValueError(
                f"{n_splits} test set(s) of {n_test} rows leave nothing to train on: X has {len(times)} rows"
            )
        before = np.cumsum(np.bincount(times))  # number of rows up to each distinct time: the possible cuts
        wanted = len(times) - n_test * np.arange(n_splits, 0, -1)
        cuts = np.abs(before[:-1, None] - wanted).argmin(axis=0) if len(before) > 1 else np.zeros(0, dtype=int)
        if len(np.unique(cuts)) < n_splits:
            raise ValueError(
                f"time={self.time!r} has {len(before)} distinct values in {len(times)} rows, too few for "
                f"{n_splits} test set(s) of about {n_test} rows"
            )
        for cut, end in zip(cuts, [*cuts[1:], len(before) - 1], strict=True):
            yield np.flatnonzero(times <= cut), np.flatnonzero((times > cut) & (times <= end))
