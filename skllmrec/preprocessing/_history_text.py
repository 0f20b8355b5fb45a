"""A user's text: what they interacted with, in words."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skllmrec._format import VersionedStateMixin
from skllmrec._ids import IdIndex, column
from skllmrec._sklearn import Interval, StrOptions, all_or_nothing, fit_context, is_frame
from skllmrec._times import time_codes
from skllmrec.preprocessing._columns import OwnContainerMixin, read_numbers, with_last_column
from skllmrec.preprocessing._text_template import TextTemplate


class HistoryText(OwnContainerMixin, TransformerMixin, VersionedStateMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Put a column into X that says in words what the user of each row interacted with in training.

    A user without a description has one all the same: the titles they liked, their own reviews, the tags they gave.
    `fit` reads the training rows, joins the texts of each user's last or heaviest rows, and `transform` looks them
    up; rows of the test set add nothing. A user that `fit` did not see has the text "".

    Parameters
    ----------
    template : str, default="{2}"
        What one row says, as in ``TextTemplate``: columns by name (``"{title} ({review})"``) or position.
    user : str or int, default=0
        Column of X that holds the users' ids.
    time : str or int, default=None
        Column of X that holds the times: numbers or datetimes; None: the rows are in the order of time.
    order : {"time", "weight"}, default="time"
        Which rows come first, and stay where there are more than `n_rows`: the latest, or those of the highest y
        (of equal ones the latest).
    threshold : float, default=None
        Rows with a lower y are left out: nobody is described by what they disliked.
    n_rows : int, default=10
        Most rows that describe a user. Models read a limited number of tokens; what comes first counts.
    separator : str, default="; "
        What stands between two rows.
    name : str, default="history"
        Name of the new column in a frame; in an array it is the last one.

    Attributes
    ----------
    users_ : ndarray of shape (n_users,)
        Ids of the users seen by `fit`, sorted.
    texts_ : ndarray of shape (n_users,), dtype object
        Their texts; the same text twice is said once.
    n_features_in_ : int
        Number of columns seen by `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where they are all strings.

    See Also
    --------
    skllmrec.preprocessing.TextTemplate : Makes one text of several columns.

    Notes
    -----
    Within cross-validation it stands in a ``Pipeline`` before the recommender, so that it is fitted on the training
    rows of each fold. The text of a user holds all of their training rows, the row at hand too: it is made for
    recommenders, which read a user once, not for regression row by row.

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
        self, template="{2}", *, user=0, time=None, order="time", threshold=None, n_rows=10, separator="; ",
        name="history",
    ):  # fmt: skip
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
    def fit(self, X, y=None):
        """Read the history of each user.

        Parameters
        ----------
        X : frame or array-like of shape (n_rows, n_columns)
            One interaction per row.
        y : array-like of shape (n_rows,), default=None
            Ratings or weights; needed for ``order="weight"`` and a threshold.

        Returns
        -------
        self : HistoryText

        Raises
        ------
        ValueError
            If a parameter is not valid, X lacks a column, an id or a time is missing, or y is missing or not finite
            where it is needed.
        TypeError
            If ids are neither strings nor numbers, or times are strings.
        """
        said = TextTemplate(self.template).fit(X)
        self.n_features_in_ = said.n_features_in_
        if hasattr(said, "feature_names_in_"):
            self.feature_names_in_ = said.feature_names_in_
        texts = said.transform(X)
        weights = self._weights(X, y)
        users, codes = IdIndex.from_values(column(X, self.user, name="user"))
        kept = np.flatnonzero(texts != "" if self.threshold is None else (weights >= self.threshold) & (texts != ""))
        times = np.arange(len(texts)) if self.time is None else time_codes(X, self.time)
        keys = (times[kept], weights[kept]) if self.order == "weight" else (kept, times[kept])
        self.users_ = users.ids
        self.texts_ = self._joined(texts[kept], codes[kept], keys, len(users))
        return self

    def transform(self, X):
        """Put the column with the user's history into X.

        Parameters
        ----------
        X : frame or array-like of shape (n_rows, n_columns)
            Rows with the column of the users.

        Returns
        -------
        X : the kind of frame that came in, or ndarray of shape (n_rows, n_columns + 1), dtype object

        Raises
        ------
        ValueError
            If X lacks the column of the users, has a column of the new one's name, or an id is missing.
        """
        check_is_fitted(self)
        if is_frame(X) and self.name in list(X.columns):
            raise ValueError(
                f"HistoryText: X has a column {self.name!r} already, its columns are {list(X.columns)}: set name="
            )
        places = IdIndex(self.users_).encode(column(X, self.user, name="user"))
        texts = np.append(self.texts_, [""])[places]  # -1, a user unknown, is the last one
        return with_last_column(X, self.name, texts)

    def get_feature_names_out(self, input_features=None):
        """Name the columns of the output.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of an array; None: those seen by `fit`, or ``x0, x1, ...``.

        Returns
        -------
        ndarray of shape (n_columns + 1,), dtype object
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", input_features)
        names = [f"x{place}" for place in range(self.n_features_in_)] if names is None else names
        return np.array([*names, self.name], dtype=object)

    def _weights(self, X, y):
        """Return y as float64, or ones where nothing needs it."""
        needed = self.order == "weight" or self.threshold is not None
        if y is None:
            if needed:
                raise ValueError("HistoryText: order='weight' and threshold= need y, but y is None")
        elif needed:
            return read_numbers(X, y)
        else:
            check_consistent_length(X, y)
        return np.ones(len(X))

    def _joined(self, texts, codes, keys, n_users):
        """Join the texts of each user, each text once."""
        joined = np.full(n_users, "", dtype=object)
        if len(codes) == 0:
            return joined
        order = np.lexsort((*keys, codes))[::-1]
        ends = np.flatnonzero(np.diff(codes[order])) + 1
        for rows in np.split(order, ends):
            said = dict.fromkeys(texts[rows])
            joined[codes[rows[0]]] = self.separator.join(list(said)[: self.n_rows])
        return joined

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        return tags
