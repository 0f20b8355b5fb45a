"""InteractionFilter: selects interactions by time window, duplicates, threshold and k-core."""

from datetime import date
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from skllmrec._foreign import as_table
from skllmrec._format import VersionedStateMixin
from skllmrec._ids import IdIndex, column
from skllmrec._sklearn import Interval, StrOptions, all_or_nothing, fit_context, take_rows
from skllmrec._terminal import say
from skllmrec._times import read_times, time_codes
from skllmrec._typing import ArrayLike, Column, FloatArray, Rows
from skllmrec.preprocessing._columns import check_columns, checked_table, read_numbers


def _k_core(users, items, min_user, min_item):
    """Mask of the rows of the k-core: users and items with too few rows are removed until none is left.

    Parameters
    ----------
    users, items : ndarray of shape (n_rows,), intp
        Codes of the user and the item of each row.
    min_user, min_item : int
        Smallest number of rows of a user, and of an item.

    Returns
    -------
    kept : ndarray of bool of shape (n_rows,)
    """
    kept = np.ones(len(users), dtype=bool)
    while True:
        enough = (np.bincount(users[kept], minlength=users.max(initial=0) + 1) >= min_user)[users]
        enough &= (np.bincount(items[kept], minlength=items.max(initial=0) + 1) >= min_item)[items]
        if np.array_equal(kept & enough, kept):
            return kept
        kept &= enough


def _one_row_each(users, items, order, which):
    """Mask of the first or the last row of each pair of user and item; `order` sorts the rows."""
    rows = np.lexsort((order, items, users))
    new_pair = (np.diff(users[rows]) != 0) | (np.diff(items[rows]) != 0)
    ends = np.append(new_pair, True) if which == "last" else np.insert(new_pair, 0, True)
    kept = np.zeros(len(users), dtype=bool)
    kept[rows[ends]] = True
    return kept


def _table(report):
    """Format a report as a table of text."""
    head = ("step", "removed", "rows", "users", "items")
    lines = [head, *([str(step.get(key, "")) for key in head] for step in report)]
    width = max(9, *(len(cell) + 2 for line in lines for cell in line[1:]))
    return "\n".join(line[0].ljust(12) + "".join(cell.rjust(width) for cell in line[1:]) for line in lines)


class InteractionFilter(VersionedStateMixin, BaseEstimator):
    """Select interactions: a time window, one row per pair, ratings that count as likes, the k-core.

    It is a filter of rows, which a transformer must not be: it has no `transform`. Use it *before* the split and
    outside of pipelines; as in imbalanced-learn, the method that removes rows is called `fit_resample`, and `fit` only
    checks them. The number of rows that each step removed
    is stored in `report_` and printed with ``verbose=True``. The steps are, in this order:

    1. `start`, `end`: rows outside of the window are removed.
    2. `duplicates`: of several rows of one user and one item, one is kept.
    3. `threshold`: rows with a lower rating are removed, and y is dropped: the result is implicit feedback.
    4. `min_user_interactions`, `min_item_interactions`: users and items with fewer rows are removed, repeatedly until
       none is left (the k-core).

    Parameters
    ----------
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    time : str or int, default=None
        Column of X that holds the times, numbers or datetimes. It is required for a window, and orders the rows of a
        pair. If None, the rows of X must be in the order of time.
    start, end : number or datetime, default=None
        Bounds of the window: ``start <= time < end``. A datetime may be a string, such as ``"2001-01-31"``.
    duplicates : {"last", "first", "sum", "mean", "keep"}, default="last"
        Which row of a pair is kept; "sum" and "mean" keep the last one with the sum or the mean of the y of all.
    threshold : float, default=None
        Smallest rating that counts as a like.
    min_user_interactions, min_item_interactions : int, default=5
        The k of the k-core, for users and for items; 1 removes none.
    verbose : bool, default=False
        Whether to print what was removed.

    Attributes
    ----------
    sample_indices_ : ndarray of shape (n_rows_kept,), intp
        Positions of the rows that were kept, in the order of X: use it to select sample weights.
    report_ : list of dict
        For each step its name (``"step"``), the number of rows that it removed (``"removed"``), and the numbers of
        ``"rows"``, ``"users"`` and ``"items"`` that were left.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of X, if all of them are strings.

    Notes
    -----
    The k-core depends on all rows: it is a choice of the data set, not a part of the model. Report it with every
    result, because it favours active users and popular items. To evaluate on items without training rows, use
    ``ColdItemKFold``.

    Examples
    --------
    >>> from skllmrec.preprocessing import InteractionFilter
    >>> X = [["ann", "alien"], ["ann", "heat"], ["bob", "alien"], ["bob", "heat"], ["bob", "heat"], ["cid", "up"]]
    >>> likes = InteractionFilter(threshold=3.5, min_user_interactions=2, min_item_interactions=2)
    >>> X_likes, y_likes = likes.fit_resample(X, [5, 4, 5, 1, 4, 5])
    >>> X_likes, y_likes
    ([['ann', 'alien'], ['ann', 'heat'], ['bob', 'alien'], ['bob', 'heat']], None)
    >>> print(likes.summary())
    step          removed     rows    users    items
    start                        6        3        3
    duplicates          1        5        3        3
    threshold           0        5        3        3
    k-core              1        4        2        2
    """

    _parameter_constraints = {
        "user": [str, Integral],
        "item": [str, Integral],
        "time": [str, Integral, None],
        "start": [Real, str, date, np.datetime64, None],
        "end": [Real, str, date, np.datetime64, None],
        "duplicates": [StrOptions({"last", "first", "sum", "mean", "keep"})],
        "threshold": [Interval(Real, None, None, closed="neither"), None],
        "min_user_interactions": [Interval(Integral, 1, None, closed="left")],
        "min_item_interactions": [Interval(Integral, 1, None, closed="left")],
        "verbose": ["boolean"],
    }

    def __init__(
        self,
        *,
        user: Column = 0,
        item: Column = 1,
        time: Column | None = None,
        start: Any = None,
        end: Any = None,
        duplicates: Literal["last", "first", "sum", "mean", "keep"] = "last",
        threshold: float | None = None,
        min_user_interactions: int = 5,
        min_item_interactions: int = 5,
        verbose: bool = False,
    ) -> None:
        self.user = user
        self.item = item
        self.time = time
        self.start = start
        self.end = end
        self.duplicates = duplicates
        self.threshold = threshold
        self.min_user_interactions = min_user_interactions
        self.min_item_interactions = min_item_interactions
        self.verbose = verbose

    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Rows, y: ArrayLike | None = None) -> Self:
        """Check the parameters and the rows; nothing is removed.

        Parameters
        ----------
        X : dataframe, array or list of shape (n_rows, n_columns)
            One interaction per row.
        y : array-like of shape (n_rows,), default=None
            Ratings or weights; required for a threshold, sums and means.

        Returns
        -------
        self : InteractionFilter

        Raises
        ------
        ValueError
            If a parameter is not valid, X has no rows, a column does not exist, an id is missing, or y is missing or
            not finite although it is required.
        TypeError
            If X is sparse, or ids are neither strings nor numbers.
        """
        self._read(X, y)
        return self

    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def fit_resample(self, X: Rows, y: ArrayLike | None = None) -> tuple[Any, FloatArray | None]:
        """Select the rows.

        Parameters
        ----------
        X : dataframe, array or list of shape (n_rows, n_columns)
            One interaction per row.
        y : array-like of shape (n_rows,), default=None
            Ratings or weights; required for a threshold, sums and means.

        Returns
        -------
        X : a container of the same type, with n_rows_kept rows
        y : ndarray of shape (n_rows_kept,) or None
            None if y is None or `threshold` is set.

        Raises
        ------
        ValueError
            If a parameter is not valid, X has no rows, a column does not exist, an id or a time is missing, y is
            missing or not finite although it is required, or no row is left.
        TypeError
            If X is sparse, ids are neither strings nor numbers, or the times are strings or cannot be compared.
        """
        X = as_table(X)
        users, items, ratings = self._read(X, y)
        kept = np.ones(len(users), dtype=bool)
        self.report_: list[dict[str, Any]] = []
        self._add_to_report("start", kept, users, items)
        if self.start is not None or self.end is not None:
            kept &= self._in_window(X)
            self._add_to_report("window", kept, users, items)
        if self.duplicates != "keep":
            kept, ratings = self._remove_duplicates(X, ratings, users, items, kept)
            self._add_to_report("duplicates", kept, users, items)
        if self.threshold is not None:
            kept &= np.asarray(ratings) >= self.threshold
            self._add_to_report("threshold", kept, users, items)
        rows = np.flatnonzero(kept)
        rows = rows[_k_core(users[rows], items[rows], self.min_user_interactions, self.min_item_interactions)]
        kept[:] = False
        kept[rows] = True
        self._add_to_report("k-core", kept, users, items)
        self.sample_indices_ = rows
        if self.verbose:
            say(self.summary())
        return take_rows(X, rows), None if ratings is None or self.threshold is not None else ratings[rows]

    def summary(self) -> str:
        """Format the report as a table of text.

        Returns
        -------
        table : str

        Raises
        ------
        NotFittedError
            Before `fit_resample`.
        """
        if not hasattr(self, "report_"):
            raise NotFittedError("InteractionFilter has removed nothing yet: call fit_resample first")
        return _table(self.report_)

    def _read(self, X, y):
        """Check X and y; return the codes of the users and the items of the rows, and y as float64 or None."""
        check_columns(self, checked_table(X, "InteractionFilter"), reset=True)
        self._check(y)
        users = IdIndex.from_values(self._ids(X, "user"))[1]
        items = IdIndex.from_values(self._ids(X, "item"))[1]
        return users, items, None if y is None else read_numbers(X, y)

    def _ids(self, X, side):
        key = getattr(self, side)
        if not isinstance(key, str) and not -self.n_features_in_ <= key < self.n_features_in_:
            raise ValueError(
                f"InteractionFilter: {side}={key} is not a position of a column of X, which has {self.n_features_in_} "
                "feature(s)"
            )
        return column(X, key, name=side)

    def _check(self, y):
        """Raise an error if a parameter requires `time` or y and it is missing."""
        if (self.start is not None or self.end is not None) and self.time is None:
            raise ValueError("InteractionFilter: start= and end= need the column of the times: set time=")
        for name, requires_y in (
            ("threshold", self.threshold is not None),
            ("duplicates", self.duplicates in ("sum", "mean")),
        ):
            if requires_y and y is None:
                raise ValueError(f"InteractionFilter: {name}={getattr(self, name)!r} needs y, but y is None")

    def _in_window(self, X):
        """Mask of the rows within the time window."""
        times = read_times(X, self.time)
        inside = np.ones(len(times), dtype=bool)
        for bound, compare in ((self.start, np.greater_equal), (self.end, np.less)):
            if bound is None:
                continue
            if times.dtype.kind == "M":
                bound = np.datetime64(bound)
            try:
                inside &= compare(times, bound).astype(bool)
            except TypeError as error:
                raise TypeError(
                    f"InteractionFilter: the times of time={self.time!r} cannot be compared with {bound!r}: {error}"
                ) from error
        return inside

    def _remove_duplicates(self, X, y, users, items, kept):
        """Keep one row of each pair among the kept rows; return the new mask and y."""
        rows = np.flatnonzero(kept)
        order = rows if self.time is None else time_codes(X, self.time)[rows]
        which = "first" if self.duplicates == "first" else "last"
        chosen = rows[_one_row_each(users[rows], items[rows], order, which)]
        if self.duplicates in ("sum", "mean"):
            pairs = np.unique(np.stack([users[rows], items[rows]]), axis=1, return_inverse=True)[1].ravel()
            sums = np.bincount(pairs, weights=y[rows])
            if self.duplicates == "mean":
                sums /= np.bincount(pairs)
            y[chosen] = sums[pairs[np.searchsorted(rows, chosen)]]
        kept = np.zeros(len(kept), dtype=bool)
        kept[chosen] = True
        return kept, y

    def _add_to_report(self, step, kept, users, items):
        """Add a step to the report; raise an error if it left no row."""
        n_left = int(kept.sum())
        entry = {
            "step": step,
            "rows": n_left,
            "users": len(np.unique(users[kept])),
            "items": len(np.unique(items[kept])),
        }
        if self.report_:
            entry["removed"] = self.report_[-1]["rows"] - n_left
        self.report_.append(entry)
        if n_left == 0:
            raise ValueError(
                f"InteractionFilter: no row is left after the step {step!r}, of {self.report_[0]['rows']} rows:\n"
                f"{_table(self.report_)}"
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags
