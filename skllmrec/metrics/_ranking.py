"""Rank the users of a test set with a fitted recommender: where estimators meet the array metrics."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from skllmrec._foreign import as_table
from skllmrec._ids import IdIndex, column
from skllmrec._sklearn import take_rows
from skllmrec._typing import Array, ArrayLike, Column, Estimator, FloatArray, IntArray, RandomState, Rows
from skllmrec.metrics._lists import check_k, summarise
from skllmrec.metrics._lists_check import (
    check_unseen,
    count_repeated,
    list_positions,
    pair_matrix,
    warn_of_repeated_rows,
)
from skllmrec.metrics._questions import Questions
from skllmrec.metrics._registry import (
    FROM_CALLER,
    METRICS,
    Metric,
    MetricLike,
    as_metric,
    check_of_lists,
    check_ranking_options,
    one_value_per_user,
)
from skllmrec.metrics._tables import find_table


@dataclass(frozen=True)
class RankedUsers:
    """Test users with what was relevant to them and what they were recommended.

    Parameters
    ----------
    users : ndarray of shape (n_users,)
        Ids of the test users with a relevant candidate, sorted. Where questions of the next item were ranked, the user
        of each question, so that a user can be there several times; what is said of users here is then true of
        questions.
    items : ndarray of shape (n_items,)
        Ids of the candidates: the columns of `relevant`, and what `recommended` points to.
    relevant : csr_array of bool, shape (n_users, n_items)
        The relevant candidates of each user.
    recommended : ndarray of intp, shape (n_users, min(k, n_items))
        Positions in `items`, best first; -1 where a user has fewer unseen candidates.
    item_counts : ndarray of shape (n_items,) or None
        Number of training users of each candidate; None if the recommender has no `seen_`.
    n_training_users : int or None
        Number of training users with an interaction; None if the recommender has no `seen_`.
    history : csr_array of bool, shape (n_users, n_items), or None
        The candidates that each user had in training; None if the recommender has no `seen_`. Those in the history of
        each question.
    rows : ndarray of intp of shape (n_users,), or None
        The row of X that each question is; None where users were ranked.

    See Also
    --------
    rank_test_users : Makes them.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from skllmrec.metrics import RankedUsers
    >>> relevant = csr_array(np.array([[True, False, True], [False, True, False]]))
    >>> ranked = RankedUsers(
    ...     users=np.array(["ann", "bob"], dtype=object),
    ...     items=np.array(["alien", "heat", "up"], dtype=object),
    ...     relevant=relevant,
    ...     recommended=np.array([[1, 0], [1, -1]]),
    ... )
    >>> ranked.evaluate("mrr", average=False)
    array([0.5, 1. ])
    """

    users: Array
    items: Array
    relevant: csr_array
    recommended: Array
    item_counts: Array | None = None
    n_training_users: int | None = None
    history: csr_array | None = None
    rows: IntArray | None = None

    @property
    def n_items(self) -> int:
        """Number of candidates."""
        return len(self.items)

    @property
    def known_items(self) -> csr_array:
        """The `history`, or an empty one where the recommender has no `seen_`."""
        return csr_array(self.relevant.shape, dtype=bool) if self.history is None else self.history

    def evaluate(
        self,
        metric: MetricLike,
        *,
        k: int | None = None,
        average: bool = True,
        item_vectors: Any = None,
        item_classes: Any = None,
        user_groups: Any = None,
    ) -> float | FloatArray:
        """Apply a metric.

        Parameters
        ----------
        metric : str, Metric or callable
            One of `get_metric_names` (plain values: of those whose record says so, the lower is the better), a record
            of one's own, or a function ``f(relevant, recommended, k=...)``.
        k : int, default=None
            Length of the lists that are judged, clipped to the length of the lists; None: all of it.
        average : bool, default=True
            False gives one value per user, which coverage, Gini, personalization and the fairness gap do not have. It
            is not passed to functions of one's own.
        item_vectors, item_classes, user_groups : FeatureTable or array, default=None
            What some metrics need, see `Metric`: a table, or an array with a row for each of `items` (or `users`).

        Returns
        -------
        value : float, or ndarray of shape (n_users,)

        Raises
        ------
        ValueError
            If the metric is unknown, has no values per user, or needs something that is not there: the training
            counts, a table, predictions.

        Examples
        --------
        >>> from skllmrec.metrics import rank_test_users
        >>> from skllmrec.recommenders import PopularityRecommender
        >>> X = [["ann", "alien"], ["bob", "alien"], ["bob", "heat"], ["cem", "up"], ["cem", "heat"]]
        >>> recommender = PopularityRecommender(feedback="implicit").fit(X)
        >>> ranked = rank_test_users(recommender, [["ann", "heat"], ["cem", "brazil"]], k=2)
        >>> ranked.evaluate("mrr")
        0.75
        """
        longest = self.recommended.shape[1]
        k = longest if k is None else min(check_k(k), longest)
        if callable(metric) and all(record.function is not metric for record in METRICS.values()):
            return metric(self.relevant, self.recommended, k=k)
        record = as_metric(metric)
        check_of_lists(record)
        if not average and record.per != "user" and not record.averages:
            raise ValueError(f"{record.name!r} is a property of all lists together: it has no values per user")
        tables = {"item_vectors": item_vectors, "item_classes": item_classes, "user_groups": user_groups}
        return self._apply(record, [self._find(record, need, tables) for need in record.needs], k, average)

    def _apply(self, metric: Metric, arguments: list[Any], k: int, average: bool) -> float | FloatArray:
        """Call the function of a metric, and average its values per user where it does not do so itself."""
        if metric.averages:
            value = metric.function(*arguments, k=k, average=average)
            return value if average else one_value_per_user(metric, value, len(self.users))
        value = metric.function(*arguments, k=k)
        if metric.per == "user":
            return summarise(one_value_per_user(metric, value, len(self.users)), average)
        return float(value)

    def _find(self, metric: Metric, need: str, tables: dict[str, Any]) -> Any:
        """Return one of the things that a metric needs."""
        if need in FROM_CALLER:
            if tables[need] is None:
                raise ValueError(
                    f"metric {metric.name!r} needs {need}: pass a FeatureTable(frame, key=...) with {FROM_CALLER[need]}"
                )
            return find_table(need, tables[need], self.users if need == "user_groups" else self.items)
        value = getattr(self, need)
        if value is None:
            raise ValueError(f"{metric.name!r} needs the training counts: the recommender must have a `seen_` matrix")
        return value


def _unwrap(estimator: Estimator) -> tuple[Estimator, Callable[[Rows], Rows]]:
    """Return the recommender inside searches and pipelines, and a function that gives X as it reaches it."""
    outermost = type(estimator).__name__
    transforms: list[Any] = []
    while not hasattr(estimator, "recommend"):
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(getattr(estimator, "steps", None), list):
            transforms += [step.transform for _, step in estimator.steps[:-1] if step not in (None, "passthrough")]
            estimator = estimator.steps[-1][1]
        else:
            raise TypeError(
                f"{outermost} cannot be ranked: {type(estimator).__name__} has no `recommend` method. Pass a "
                f"fitted recommender, or a Pipeline or search (fitted with refit=True) that ends in one"
            )
    for name in ("user", "item"):
        if not hasattr(estimator, name):
            raise TypeError(
                f"{type(estimator).__name__} has no parameter {name!r}: a recommender names the columns of X "
                f"that hold the ids"
            )
    if not hasattr(estimator, "items_"):
        raise NotFittedError(f"this {type(estimator).__name__} is not fitted: call fit first")

    def rows_of(X: Rows) -> Rows:
        for transform in transforms:
            X = transform(X)
        return X if hasattr(X, "shape") else np.asarray(X, dtype=object)

    return estimator, rows_of


def relevant_rows(y: ArrayLike | None, threshold: float | None, n_rows: int) -> Array:
    """Mark the rows of X that are relevant.

    Parameters
    ----------
    y : array-like of shape (n_rows,), or None
        None: all rows are relevant.
    threshold : float or None
        Rows with y at or above it are relevant; None: those with y above 0.
    n_rows : int

    Returns
    -------
    relevant : ndarray of bool of shape (n_rows,)

    Raises
    ------
    ValueError
        If y does not hold one number for each row, or there is a threshold without y.
    """
    if y is None:
        if threshold is not None:
            raise ValueError(f"threshold={threshold} needs ratings, but y is None: pass y, or threshold=None")
        return np.ones(n_rows, dtype=bool)
    y = np.asarray(y)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.shape != (n_rows,):
        raise ValueError(f"y must have one value per row of X, {n_rows}, got shape {y.shape}")
    try:
        y = y.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y must be numbers, got dtype {y.dtype}: {error}") from error
    missing = np.flatnonzero(np.isnan(y))
    if missing.size:
        raise ValueError(f"y is NaN at position {missing[0]}: remove such rows ({missing.size} in total)")
    return y > 0 if threshold is None else y >= threshold


def _candidate_items(recommender, X, item_ids, candidates, random):
    """Return the ids to rank, in a random order, and what `recommend` gets as its candidates.

    `recommend` breaks ties by the position of the candidates, so their order is shuffled: the order of ids
    often follows popularity. New items are passed as rows of X, which bring their features.
    """
    fitted = np.asarray(recommender.items_)
    known = random.permutation(fitted)
    if candidates == "fitted":
        return known, known
    index, codes = IdIndex.from_values(item_ids)
    is_new = IdIndex(fitted).encode(index.ids) < 0
    kept = random.permutation(len(index) if candidates == "test" else np.flatnonzero(is_new))
    rows = np.unique(codes, return_index=True)[1][kept]
    if candidates == "test":
        return index.ids[kept], take_rows(X, rows) if is_new.any() else index.ids[kept]
    if len(kept) == 0:
        return known, known
    if (fitted.dtype == object) != (index.ids.dtype == object):
        raise TypeError(
            f"the items of X have dtype {index.ids.dtype}, those of fit {fitted.dtype}: "
            f"a string never equals a number, convert them to one type"
        )
    return np.concatenate([known, index.ids[kept]]), (known, take_rows(X, rows))


def id_columns_of(estimator: Estimator, X: Rows) -> tuple[Array, Array]:
    """Read the ids of users and items out of X, as the recommender inside a fitted estimator does.

    Parameters
    ----------
    estimator : fitted recommender, Pipeline or search
    X : rows

    Returns
    -------
    users, items : ndarray of shape (n_rows,)
    """
    recommender, rows_of = _unwrap(estimator)
    rows = rows_of(X)
    return column(rows, recommender.user, name="user"), column(rows, recommender.item, name="item")


def _training_counts(recommender, items):
    """Return how many training users each item has, and how many users there are; None where unknown."""
    seen = getattr(recommender, "seen_", None)
    if seen is None:
        return None, None
    codes = IdIndex(np.asarray(recommender.items_)).encode(items)
    users, columns = seen.nonzero()
    counts = np.bincount(columns, minlength=seen.shape[1])
    # a table can bring users without an interaction, who do not count for the popularity of items
    return np.where(codes >= 0, counts[codes], 0), max(1, len(np.unique(users)))


def _training_pairs(recommender, rows_of, training):
    """Return what training saw as a sparse matrix with the IdIndex of its rows and columns, or None where unknown.

    Where the recommender has no `seen_`, the rows of training tell it, without those of weight zero.
    """
    seen = getattr(recommender, "seen_", None)
    if seen is not None:
        return seen, IdIndex(np.asarray(recommender.users_)), IdIndex(np.asarray(recommender.items_))
    if training is None:
        return None
    X, y = training
    rows = rows_of(X if y is None else take_rows(X, np.flatnonzero(np.asarray(y, dtype=np.float64).ravel() != 0)))
    return pair_matrix(*(column(rows, getattr(recommender, name), name=name) for name in ("user", "item")))


def _training_history(seen, users, items, test_users, candidates):
    """Return which candidates each test user had in training."""
    places = IdIndex(candidates).encode(items.ids)  # of each column of seen among the candidates
    rows = users.encode(test_users)
    known = np.flatnonzero(rows >= 0)
    had = seen[rows[known]].tocoo()
    kept = places[had.col] >= 0
    marks = np.ones(np.count_nonzero(kept), dtype=bool)
    shape = len(test_users), len(candidates)
    return csr_array((marks, (known[had.row[kept]], places[had.col[kept]])), shape=shape)


def rank_test_users(
    estimator: Estimator,
    X: Rows,
    y: ArrayLike | None = None,
    *,
    k: int = 10,
    threshold: float | None = None,
    candidates: Literal["all", "fitted", "test"] = "all",
    exclude_seen: bool = True,
    history: Column | None = None,
    random_state: RandomState = 0,
) -> RankedUsers:
    """Recommend to every user of a test set, and align the lists with what was relevant.

    What a user had in training is excluded from the lists, so that a test row that training saw can never be
    a hit; a RepeatedRowsWarning counts such rows, unless X holds all training rows. Users without a relevant candidate
    are left out.

    With `history`, each row of X is a question instead: what comes next after this history? The recommender answers
    ``recommend(history=...)``, which knows nothing else of the user, and the item of the row alone is relevant: the
    protocol of sequential recommendation, with all candidates ranked.

    Parameters
    ----------
    estimator : fitted recommender, or a fitted Pipeline or search that ends in one
        The earlier steps of a pipeline transform X. A recommender has parameters `user` and `item` (columns
        of X), the attribute `items_` and the method `recommend`.
    X : dataframe or array-like of shape (n_samples, n_features)
        Test rows. The first row of a new user or item brings its features.
    y : array-like of shape (n_samples,), default=None
        Ratings or weights.
    k : int, default=10
        Length of the lists, clipped to the number of candidates.
    threshold : float, default=None
        A row is relevant if ``y >= threshold``; with None if ``y > 0``, or always if y is None. An item is
        relevant to a user if one of their rows is.
    candidates : {"all", "fitted", "test"}, default="all"
        What is ranked: the items of `fit` ("fitted"), those of X ("test"), or both together. With "fitted" an
        item that is new in X is not ranked and does not count as relevant; to count it as a miss, use "all".
    exclude_seen : bool, default=True
        Whether to leave out of each list what its user had in training (with `history`: what is in the history); False
        where repeats, as of purchases, are to be recommended, and count.
    history : str or int, default=None
        Column of X that holds, for each row, the items that its user had before, oldest first, as
        `skllmrec.model_selection.add_histories` makes it. Rows with an empty history are no questions, and left out.
    random_state : int, RandomState instance or None, default=0
        Shuffles the candidates, whose order decides ties: equal scores are not ranked by id. A known item
        still wins a tie with a new one.

    Returns
    -------
    ranked : RankedUsers

    Raises
    ------
    TypeError
        If the estimator holds no recommender, or one without histories where there are some, or X has ids of another
        type than `fit` had.
    NotFittedError
        If the recommender is not fitted.
    ValueError
        If an option is unknown, a column is missing, a history is missing, is no list or holds a missing id, y is not
        numeric or has another length than X, a threshold is given without y, or `recommend` returns something that is
        not a candidate, an item twice, what the user had in training, or the score NaN (the message names user and
        item).

    Examples
    --------
    >>> from skllmrec.metrics import rank_test_users
    >>> from skllmrec.recommenders import PopularityRecommender
    >>> X = [["ann", "alien"], ["bob", "alien"], ["bob", "heat"], ["cem", "up"], ["cem", "heat"]]
    >>> recommender = PopularityRecommender(feedback="implicit").fit(X)
    >>> ranked = rank_test_users(recommender, [["ann", "heat"], ["cem", "brazil"]], k=2)
    >>> [ranked.items[row].tolist() for row in ranked.recommended]
    [['heat', 'up'], ['alien', 'brazil']]
    >>> ranked.evaluate("mrr")
    0.75

    What comes next, after histories of people who are known or not:

    >>> import pandas as pd
    >>> questions = pd.DataFrame({"user": ["dan", "eve"], "item": ["up", "heat"], "history": [["heat"], ["alien"]]})
    >>> columns = {"user": "user", "item": "item", "feedback": "implicit"}
    >>> recommender = PopularityRecommender(**columns).fit(pd.DataFrame(X, columns=["user", "item"]))
    >>> rank_test_users(recommender, questions, history="history", k=2).evaluate("hit_rate", average=False)
    array([1., 1.])
    """
    ranked, n_repeated, n_rows = rank_quietly(
        estimator,
        X,
        y,
        k=k,
        threshold=threshold,
        candidates=candidates,
        exclude_seen=exclude_seen,
        history=history,
        random_state=random_state,
    )
    if exclude_seen:
        warn_of_repeated_rows(n_repeated, n_rows, of_histories=history is not None, stacklevel=2)
    return ranked


def _user_ids(recommender, X, questions):
    """Read the users of the rows; rows of questions need not have any, and are then numbered."""
    if (
        questions is not None
        and isinstance(recommender.user, str)
        and recommender.user not in getattr(X, "columns", ())
    ):
        return np.arange(len(questions.lists))
    return column(X, recommender.user, name="user")


def _read_questions(recommender, X, history):
    """Read the column of the histories, if there is one, and refuse a recommender that cannot answer."""
    if history is None:
        return None
    parameters = inspect.signature(recommender.recommend).parameters.values()
    if not any(one.name == "history" or one.kind is one.VAR_KEYWORD for one in parameters):
        raise TypeError(
            f"{type(recommender).__name__}.recommend has no parameter history, so that it cannot say what comes next: "
            "leave it out, or rank its users without history="
        )
    return Questions.read(X, history)


def rank_quietly(
    estimator: Estimator,
    X: Rows,
    y: ArrayLike | None,
    *,
    k: int,
    threshold: float | None,
    candidates: Literal["all", "fitted", "test"],
    exclude_seen: bool = True,
    history: Column | None = None,
    random_state: RandomState = 0,
    training: tuple[Rows, ArrayLike | None] | None = None,
) -> tuple[RankedUsers, int, int]:
    """Rank as `rank_test_users` does, without its warning.

    Parameters
    ----------
    estimator, X, y, k, threshold, candidates, exclude_seen, history, random_state
        See `rank_test_users`.
    training : tuple (X, y), default=None
        The rows of `fit`, to check the lists of a recommender without `seen_`.

    Returns
    -------
    ranked : RankedUsers
    n_repeated, n_rows : int
        How many of the test rows repeat a pair of training, as far as the recommender knows it; with `history`, how
        many ask for an item of their own history.
    """
    check_ranking_options(k, threshold, candidates)
    recommender, rows_of = _unwrap(estimator)
    questions = _read_questions(recommender, as_table(X), history)
    X = rows_of(as_table(X))
    item_ids = column(X, recommender.item, name="item")
    user_ids = _user_ids(recommender, X, questions)
    items, asked = _candidate_items(recommender, X, item_ids, candidates, check_random_state(random_state))
    index = IdIndex(items)
    codes = index.encode(item_ids)
    wanted = relevant_rows(y, threshold, len(item_ids)) & (codes >= 0)
    rows = np.flatnonzero(wanted if questions is None else wanted & questions.are_asked)
    users, owners, first_rows = _people(user_ids, rows, questions)
    shape = len(users), len(items)
    relevant = csr_array((np.ones(len(rows), dtype=bool), (owners, codes[rows])), shape=shape)
    relevant.sum_duplicates()
    k = min(k, len(items))
    recommended: Array = np.empty((0, k), dtype=np.intp)
    if len(users):
        people = {"users": take_rows(X, first_rows)} if questions is None else {"history": questions.take(rows)}
        ids, scores = recommender.recommend(**people, n_items=k, candidates=asked, exclude_seen=exclude_seen)
        recommended = list_positions(index, ids, scores, users, k)
    if questions is None:
        pairs = _training_pairs(recommender, rows_of, training)
        had, n_repeated = _had_in_training(pairs, user_ids, item_ids, users, items)
        known = had if hasattr(recommender, "seen_") else None
    else:
        known = had = questions.known_items(rows, index)
        n_repeated = questions.count_repeated(item_ids)
    if exclude_seen:
        check_unseen(recommended, had, items, users, where="in training" if questions is None else "in the history")
    counts, n_training_users = _training_counts(recommender, items)
    asked_rows = None if questions is None else rows
    ranked = RankedUsers(users, items, relevant, recommended, counts, n_training_users, known, asked_rows)
    return ranked, n_repeated, len(item_ids)


def _people(user_ids, rows, questions):
    """Return whom lists are for, whose list each relevant row is about, and the first row of each."""
    if questions is not None:
        return user_ids[rows], np.arange(len(rows)), rows
    users, owners = IdIndex.from_values(user_ids[rows])
    return users.ids, owners, rows[np.unique(owners, return_index=True)[1]]


def _had_in_training(pairs, user_ids, item_ids, users, items):
    """Return the candidates that each user had in training, and how many of the rows repeat such a pair."""
    if pairs is None:
        return None, 0
    seen, trained_users, trained_items = pairs
    had = _training_history(seen, trained_users, trained_items, users, items)
    return had, count_repeated(seen, trained_users, trained_items, user_ids, item_ids)
