"""Questions of the next item: what each user had before a row, and splits into training rows and questions."""

from numbers import Integral
from typing import Any

import numpy as np

from skllmrec._foreign import as_table
from skllmrec._ids import column
from skllmrec._sklearn import take_rows
from skllmrec._times import time_codes
from skllmrec._typing import Column, Rows
from skllmrec.model_selection._base import group_codes
from skllmrec.model_selection._temporal import LeaveLastOut, TemporalSplit
from skllmrec.preprocessing._columns import with_last_column


def add_histories(
    X: Rows,
    *,
    user: Column = 0,
    item: Column = 1,
    time: Column | None = None,
    max_history: int | None = 10,
    name: str = "history",
) -> Rows:
    """Append a column that holds, for each row, the items that its user had before it, oldest first.

    Each row then is a question of its own, whatever rows it is split from: what comes next after this history? The
    answer is the item of the row. `rank_test_users`, `make_ranking_scorer` and `compare_recommenders` ask it where
    `history=` names the column. A history holds earlier rows only, so that no row knows of a later one, be it of the
    training or the test set. An item that the user had several times is in it several times.

    Parameters
    ----------
    X : dataframe or array-like of shape (n_samples, n_features)
        One row for each interaction. All of them count; leave out dislikes before.
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    time : str or int, default=None
        Column of X that holds the times, numbers or datetimes. Rows of a user with equal times keep their order in X:
        the first of them is in the histories of the others. If None, the rows of X must be in the order of time.
    max_history : int or None, default=10
        The latest items that a history keeps. None keeps all, which takes memory with the square of a user's rows.
    name : str, default="history"
        Name of the new column in a frame. In an array it is the last column.

    Returns
    -------
    X : a frame of the same library, or ndarray of shape (n_samples, n_features + 1), dtype object
        The new column holds lists of ids; the list of a user's first row is empty.

    Raises
    ------
    ValueError
        If a column does not exist or a frame has one named `name`, an id or a time is missing, or `max_history` is not
        an integer >= 1.
    TypeError
        If the times are strings or cannot be compared.

    See Also
    --------
    next_item_split : Splits into training rows and questions at the same time.

    Examples
    --------
    >>> from skllmrec.model_selection import add_histories
    >>> X = [["ann", "pot", 1], ["bob", "soil", 2], ["ann", "soil", 3], ["ann", "seed", 4]]
    >>> add_histories(X, time=2)[:, -1].tolist()
    [[], [], ['pot'], ['pot', 'soil']]
    """
    X = as_table(X)
    X = X if hasattr(X, "shape") else np.asarray(X, dtype=object)
    whole = isinstance(max_history, Integral) and not isinstance(max_history, bool)
    if max_history is not None and not (whole and max_history >= 1):
        raise ValueError(f"max_history must be an integer >= 1 or None, got {max_history!r}")
    if name in list(getattr(X, "columns", ())):
        raise ValueError(f"X has a column {name!r} already: pass another name=, or drop it")
    users, _ = group_codes(X, user, name="user")
    items = column(X, item, name="item")
    rows = np.arange(len(users))
    order = np.lexsort((rows, rows if time is None else time_codes(X, time), users))
    sorted_items, sorted_users = items[order].tolist(), users[order]
    first = np.searchsorted(sorted_users, sorted_users)
    start = first if max_history is None else np.maximum(first, rows - max_history)
    histories = np.empty(len(rows), dtype=object)
    for row, begin, end in zip(order.tolist(), start.tolist(), rows.tolist(), strict=True):
        histories[row] = sorted_items[begin:end]
    return with_last_column(X, name, histories)


def next_item_split(
    X: Rows,
    *,
    user: Column = 0,
    item: Column = 1,
    time: Column | None = None,
    n_last: int | None = None,
    test_size: float | None = None,
    max_history: int | None = 10,
) -> tuple[Any, Any]:
    """Split interactions into training rows and questions: a history, and the item that came next.

    With `n_last`, the last rows of each user are asked for (`LeaveLastOut`); some training rows are then later than
    questions of other users. With `test_size`, the last rows of all users are (`TemporalSplit`), so that each training
    row is strictly earlier than each question; the first row of a user who is new by then has an empty history, and is
    no question.

    Parameters
    ----------
    X : dataframe or array-like of shape (n_samples, n_features)
        One row for each interaction. Repeated pairs of a user and an item are legal, in histories and as answers.
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    time : str or int, default=None
        Column of X that holds the times, numbers or datetimes; `test_size` needs it. Rows of a user with equal times
        keep their order in X. If None, the rows of X must be in the order of time.
    n_last : int, default=None
        Number of rows of each user with more rows than that to ask for; 1 if `test_size` is None as well.
    test_size : float or int, default=None
        Share of the rows (between 0 and 1, rounded up) or number of rows at the end of time to ask for.
    max_history : int or None, default=10
        The latest items that a history keeps.

    Returns
    -------
    train, questions : frames of the library of X, or arrays
        Rows of X in their order, with the column ``history`` (in arrays the last one) of `add_histories`. A recommender
        that is fitted on `train` answers `questions` in ``rank_test_users(recommender, questions, history="history")``.

    Raises
    ------
    ValueError
        If `n_last` and `test_size` are both given, `test_size` without `time`; as in `add_histories`, `LeaveLastOut` or
        `TemporalSplit`; or if no question has a history.
    TypeError
        If the times are strings or cannot be compared.

    See Also
    --------
    add_histories : Appends the histories alone, for splits of cross-validation and for ratings.

    Examples
    --------
    >>> import pandas as pd
    >>> from skllmrec import MarkovRecommender
    >>> from skllmrec.metrics import rank_test_users
    >>> from skllmrec.model_selection import next_item_split
    >>> X = pd.DataFrame({"user": list("aaabbbccd"), "item": ["pot", "soil", "seed"] * 3, "day": range(9)})
    >>> train, questions = next_item_split(X, user="user", item="item", time="day", n_last=1)
    >>> questions[["user", "history", "item"]]
      user      history  item
    2    a  [pot, soil]  seed
    5    b  [pot, soil]  seed
    7    c        [pot]  soil
    >>> markov = MarkovRecommender(user="user", item="item", time="day").fit(train)
    >>> rank_test_users(markov, questions, history="history", k=1).evaluate("hit_rate")
    1.0
    """
    if n_last is not None and test_size is not None:
        raise ValueError(
            f"n_last={n_last!r} asks for rows of each user, test_size={test_size!r} for the last rows of all: pass one"
        )
    splitter: Any = LeaveLastOut(user=user, time=time, n_rows=1 if n_last is None else n_last)
    if test_size is not None:
        if time is None:
            raise ValueError(f"test_size={test_size!r} splits by time: name the column of the times, time=")
        splitter = TemporalSplit(time=time, test_size=test_size)
    table = add_histories(X, user=user, item=item, time=time, max_history=max_history)
    train, test = next(splitter.split(table))
    histories = table["history"] if hasattr(table, "columns") else table[:, -1]
    asked = test[[len(history) > 0 for history in take_rows(histories, test)]]
    if len(asked) == 0:
        raise ValueError(f"none of the {len(test)} test rows has an earlier row of its user: use another splitter")
    return take_rows(table, train), take_rows(table, asked)
