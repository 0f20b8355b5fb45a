"""HistoryText: describes users by the texts of their training interactions."""

from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skllmrec._format import VersionedStateMixin
from skllmrec._ids import IdIndex, column
from skllmrec._sklearn import Interval, StrOptions, all_or_nothing, fit_context, is_frame
from skllmrec._times import time_codes
from skllmrec._typing import Array, ArrayLike, Column, Ids, Rows
from skllmrec.preprocessing._columns import (
    OwnContainerMixin,
    check_columns,
    checked_table,
    read_numbers,
    with_last_column,
)
from skllmrec.preprocessing._text_template import TextTemplate


class HistoryText(OwnContainerMixin, TransformerMixin, VersionedStateMixin, BaseEstimator):
    """Append a column to X that describes the user of each row by the texts of their training interactions.

    It is a transformer of tables: it takes rows of interactions (ids, texts, times), not an array of numbers, and
    returns them with one more column. That column describes users who have no description of their own: by the titles
    that they liked, the reviews that they wrote or the tags that they gave. `fit` reads the training rows and joins the
    texts of the last, or the highest rated, rows of each user. `transform` looks up the text of each user and does not
    use the rows of X otherwise. A user without training rows has the text "".

    Parameters
    ----------
    template : str, default="{2}"
        Text of one row, as in ``TextTemplate``: columns by name (``"{title} ({review})"``) or position.
    user : str or int, default=0
        Column of X that holds the users' ids.
    time : str or int, default=None
        Column of X that holds the times, numbers or datetimes. If None, the rows must be in the order of time.
    order : {"time", "weight"}, default="time"
        Order of the rows of a user, of which the first `n_rows` are used: the latest first, or the highest y first
        (the latest first among equal ones).
    threshold : float, default=None
        Rows with a lower y are left out, so that items that a user dislikes do not describe them.
    n_rows : int, default=10
        Largest number of rows that describe a user. Models truncate long texts.
    separator : str, default="; "
        Text between two rows.
    name : str, default="history"
        Name of the new column in a frame. In an array it is the last column.

    Attributes
    ----------
    users_ : ndarray of shape (n_users,)
        Ids of the users seen by `fit`, sorted.
    texts_ : ndarray of shape (n_users,), dtype object
        Texts of the users, each without repetitions.
    n_features_in_ : int
        Number of columns seen by `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen by `fit`, if all of them are strings.

    See Also
    --------
    skllmrec.preprocessing.TextTemplate : Makes one text of several columns.

    Notes
    -----
    For cross-validation, put it into a ``Pipeline`` before the recommender, so that it is fitted on the training rows
    of each fold. The text of a user covers all of their training rows, including the row itself to which it is
    appended: it is made for recommenders, which encode a user once, not for a regression on single rows.

    Examples
    --------
    >>> from skllmrec.preprocessing import HistoryText
    >>> X = [["ann", 1, "Alien"], ["ann", 2, "Heat"], ["bob", 2, "Heat"]]
    >>> history = HistoryText("{2}").fit(X)
    >>> history.texts_
    array(['Heat; Alien', 'Heat'], dtype=object)
    >>> history.transform([["ann", 3, "Up"], ["cid", 3, "Up"]])
    array([['ann', 3, 'Up', 'Heat; Alien'],
           ['cid', 3, 'Up', '']], dtype=object)
    """

    _parameter_constraints = {
        "template": [str],
        "user": [str, Integral],
        "time": [str, Integral, None],
        "order": [StrOptions({"time", "weight"})],
        "threshold": [Interval(Real, None, None, closed="neither"), None],
        "n_rows": [Interval(Integral, 1, None, closed="left")],
        "separator": [str],
        "name": [str],
    }

    def __init__(
        self,
        template: str = "{2}",
        *,
        user: Column = 0,
        time: Column | None = None,
        order: Literal["time", "weight"] = "time",
        threshold: float | None = None,
        n_rows: int = 10,
        separator: str = "; ",
        name: str = "history",
    ) -> None:
        self.template = template
        self.user = user
        self.time = time
        self.order = order
        self.threshold = threshold
        self.n_rows = n_rows
        self.separator = separator
        self.name = name

    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Rows, y: ArrayLike | None = None) -> Self:
        """Collect the texts of each user.

        Parameters
        ----------
        X : frame or array-like of shape (n_rows, n_columns)
            One interaction per row.
        y : array-like of shape (n_rows,), default=None
            Ratings or weights; required for ``order="weight"`` and a threshold.

        Returns
        -------
        self : HistoryText

        Raises
        ------
        ValueError
            If a parameter is not valid, X has no rows or lacks a column, an id or a time is missing, or y is missing or
            not finite although it is required.
        TypeError
            If X is sparse, ids are neither strings nor numbers, or times are strings.
        """
        X = checked_table(X, "HistoryText")
        check_columns(self, X, reset=True)
        texts = TextTemplate(self.template).fit_transform(X)
        weights = self._weights(X, y)
        users, codes = IdIndex.from_values(column(X, self.user, name="user"))
        kept = texts != ""
        if self.threshold is not None:
            kept &= weights >= self.threshold
        kept = np.flatnonzero(kept)
        times = np.arange(len(texts)) if self.time is None else time_codes(X, self.time)
        keys = (times[kept], weights[kept]) if self.order == "weight" else (kept, times[kept])
        self.users_ = users.ids
        self.texts_ = self._join(texts[kept], codes[kept], keys, len(users))
        return self

    def transform(self, X: Rows) -> Any:
        """Append the column with the texts of the users to X.

        Parameters
        ----------
        X : frame or array-like of shape (n_rows, n_columns)
            Rows with the column of the user ids.

        Returns
        -------
        X : a frame of the same library, or ndarray of shape (n_rows, n_columns + 1), dtype object

        Raises
        ------
        ValueError
            If X lacks the column of the user ids or already has a column `name`, an id is missing, or X is an array
            with another number of columns than the one seen by `fit`.
        """
        check_is_fitted(self)
        X = checked_table(X, "HistoryText")
        check_columns(self, X, reset=False)
        if is_frame(X) and self.name in list(X.columns):
            raise ValueError(
                f"HistoryText: X has a column {self.name!r} already, its columns are {list(X.columns)}: set name="
            )
        codes = IdIndex(self.users_).encode(column(X, self.user, name="user"))
        texts = np.append(self.texts_, [""])[codes]  # the code -1 of unknown users selects the last text
        return with_last_column(X, self.name, texts)

    def get_feature_names_out(self, input_features: Ids | None = None) -> Array:
        """Return the names of the output columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of an array. If None, those seen by `fit`, or ``x0, x1, ...``.

        Returns
        -------
        ndarray of shape (n_columns + 1,), dtype object
        """
        check_is_fitted(self)
        names: Any = getattr(self, "feature_names_in_", input_features)
        names = [f"x{position}" for position in range(self.n_features_in_)] if names is None else names
        return np.array([*names, self.name], dtype=object)

    def _weights(self, X, y):
        """Return y as float64, or ones if it is not required."""
        required = self.order == "weight" or self.threshold is not None
        if y is None:
            if required:
                raise ValueError("HistoryText: order='weight' and threshold= need y, but y is None")
        elif required:
            return read_numbers(X, y)
        else:
            check_consistent_length(X, y)
        return np.ones(len(X))

    def _join(self, texts, codes, keys, n_users):
        """Join the distinct texts of each user; `keys` sort the rows, the last key first."""
        joined = np.full(n_users, "", dtype=object)
        if len(codes) == 0:
            return joined
        order = np.lexsort((*keys, codes))[::-1]
        ends = np.flatnonzero(np.diff(codes[order])) + 1
        for rows in np.split(order, ends):
            distinct = list(dict.fromkeys(texts[rows]))
            joined[codes[rows[0]]] = self.separator.join(distinct[: self.n_rows])
        return joined

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        # scikit-learn compares outputs as numbers, these are texts; tests/test_sklearn_checks.py runs what applies
        tags._skip_test = True
        return tags
