"""Rank the users of a test set with a fitted recommender: where estimators meet the array metrics."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from skllmrec._foreign import as_table
from skllmrec._ids import IdIndex, column
from skllmrec._sklearn import take_rows
from skllmrec._typing import Array, ArrayLike, Estimator, FloatArray, RandomState, Rows
from skllmrec.metrics._lists import check_k, summarise
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
        Ids of the test users with a relevant candidate, sorted.
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
        The candidates that each user had in training; None if the recommender has no `seen_`.

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


def _unwrap(estimator: Estimator, X: Rows) -> tuple[Estimator, Rows]:
    """Return the recommender inside searches and pipelines, and X as it reaches it."""
    outermost = type(estimator).__name__
    while not hasattr(estimator, "recommend"):
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(getattr(estimator, "steps", None), list):
            for _, step in estimator.steps[:-1]:
                X = X if step in (None, "passthrough") else step.transform(X)
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
    return estimator, X if hasattr(X, "shape") else np.asarray(X, dtype=object)


def _relevant_rows(y, threshold, n_rows):
    """Mark the rows of X that are relevant, (n_rows,)."""
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


def _positions(items, ids, scores):
    """Turn recommended ids into positions in `items`, -1 for padding."""
    ids, scores = np.asarray(ids), np.asarray(scores)
    positions = np.full(ids.shape, -1, dtype=np.intp)
    listed = scores > -np.inf
    positions[listed] = items.encode(ids[listed])
    stray = listed & (positions < 0)
    if stray.any():
        row, place = np.argwhere(stray)[0]
        raise ValueError(f"recommend returned {ids[row, place]!r} for the user in row {row}, which is not a candidate")
    return positions


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


def _training_history(recommender, users, items):
    """Return which candidates each test user had in training, or None where unknown."""
    seen = getattr(recommender, "seen_", None)
    if seen is None:
        return None
    places = IdIndex(items).encode(np.asarray(recommender.items_))  # of each column of seen_ among the candidates
    rows = IdIndex(np.asarray(recommender.users_)).encode(users)
    known = np.flatnonzero(rows >= 0)
    had = seen[rows[known]].tocoo()
    kept = places[had.col] >= 0
    marks = np.ones(np.count_nonzero(kept), dtype=bool)
    return csr_array((marks, (known[had.row[kept]], places[had.col[kept]])), shape=(len(users), len(items)))


def rank_test_users(
    estimator: Estimator,
    X: Rows,
    y: ArrayLike | None = None,
    *,
    k: int = 10,
    threshold: float | None = None,
    candidates: Literal["all", "fitted", "test"] = "all",
    random_state: RandomState = 0,
) -> RankedUsers:
    """Recommend to every user of a test set, and align the lists with what was relevant.

    What a user had in training is excluded from the lists, so that a test row that training saw can never be
    a hit. Users without a relevant candidate are left out.

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
    random_state : int, RandomState instance or None, default=0
        Shuffles the candidates, whose order decides ties: equal scores are not ranked by id. A known item
        still wins a tie with a new one.

    Returns
    -------
    ranked : RankedUsers

    Raises
    ------
    TypeError
        If the estimator holds no recommender, or X has ids of another type than `fit` had.
    NotFittedError
        If the recommender is not fitted.
    ValueError
        If an option is unknown, a column is missing, y is not numeric or has another length than X, a
        threshold is given without y, or `recommend` returns something that is not a candidate.

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
    """
    check_ranking_options(k, threshold, candidates)
    recommender, X = _unwrap(estimator, as_table(X))
    user_ids = column(X, recommender.user, name="user")
    item_ids = column(X, recommender.item, name="item")
    random = check_random_state(random_state)
    items, asked = _candidate_items(recommender, X, item_ids, candidates, random)
    index = IdIndex(items)
    codes = index.encode(item_ids)
    rows = np.flatnonzero(_relevant_rows(y, threshold, len(user_ids)) & (codes >= 0))
    users, user_codes = IdIndex.from_values(user_ids[rows])
    shape = len(users), len(items)
    relevant = csr_array((np.ones(len(rows), dtype=bool), (user_codes, codes[rows])), shape=shape)
    relevant.sum_duplicates()
    k = min(k, len(items))
    recommended = np.empty((0, k), dtype=np.intp)
    if len(users):
        first_rows = rows[np.unique(user_codes, return_index=True)[1]]
        ids, scores = recommender.recommend(take_rows(X, first_rows), n_items=k, candidates=asked, exclude_seen=True)
        recommended = _positions(index, ids, scores)
    counts, n_training_users = _training_counts(recommender, items)
    history = _training_history(recommender, users.ids, items)
    return RankedUsers(users.ids, items, relevant, recommended, counts, n_training_users, history)
