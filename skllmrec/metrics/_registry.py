"""The table of metrics: what each is called, what it needs, and how it reads."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from skllmrec._typing import ArrayLike, FloatArray, Matrix
from skllmrec.metrics._accuracy import (
    hit_rate_at_k,
    map_at_k,
    mrr_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)
from skllmrec.metrics._diversity import catalog_coverage, gini_index, intra_list_diversity, novelty
from skllmrec.metrics._history import miscalibration, personalization, popularity_lift, serendipity
from skllmrec.metrics._lists import check_k
from skllmrec.metrics._segments import fairness_gap

CANDIDATES = ("all", "fitted", "test")

# what the ranking of the test users brings along
FROM_RANKING = (
    "relevant",
    "recommended",
    "n_items",
    "item_counts",
    "n_training_users",
    "history",
    "known_items",
)
# what the caller passes, and what is in it
FROM_CALLER = {
    "item_vectors": "a column such as the genres that tells items apart, best one that the models do not read",
    "item_classes": "one or more columns that hold the classes of each item, such as its genres",
    "user_groups": "one column that holds the group of each user, such as their age group",
}
FROM_PREDICTIONS = ("y_true", "y_pred")


@dataclass(frozen=True)
class Metric:
    """A metric: its function, what the function needs, and the words for people.

    The metrics of this package are such records, in the table that `get_metric` looks up. A record of one's own can
    be passed wherever the name of a metric can: to `make_ranking_scorer`, `RankedUsers.evaluate` and
    `compare_recommenders`.

    Parameters
    ----------
    name : str
        The name in frames and messages, without ``"@"``.
    function : callable
        Called as ``function(*needs, k=k)``, and with ``average=`` if it has such a parameter; errors of predictions
        as ``function(y_true, y_pred)``. With ``per="user"`` it returns one value per user (NaN where it is undefined
        for a user), unless ``average=True`` is passed; with ``per="test_set"`` it returns a number.
    needs : tuple of str, default=("relevant", "recommended")
        What the function is called with, in this order, out of

        - ``"relevant"`` (csr_array of shape (n_users, n_items)), ``"recommended"`` (ndarray of int, shape
          (n_users, k), columns of `relevant`, -1 is padding), ``"n_items"`` (int);
        - ``"item_counts"`` (ndarray of shape (n_items,), the training users of each item), ``"n_training_users"``
          (int), ``"history"`` (csr_array of shape (n_users, n_items), what each user had in training), for which
          the recommender must have a `seen_` matrix; ``"known_items"`` is `history`, or empty without `seen_`;
        - ``"item_vectors"`` (array or sparse matrix of shape (n_items, n_features)), ``"item_classes"``
          (csr_array of shape (n_items, n_classes)), ``"user_groups"`` (ndarray of shape (n_users,)), which the
          caller passes as tables;
        - or ``"y_true"`` and ``"y_pred"`` (ndarray of shape (n_rows,)), the ratings of the test rows and their
          predictions; these two cannot be combined with the others.
    per : {"user", "test_set"}, default="user"
        Whether there is one value per user, whose mean is reported with an interval and a test, or one value for all
        users together.
    greater_is_better : bool, default=True
        The direction; scorers return the negative where less is better.
    label : str, default=None
        What to call it in a table or a picture; None: the name.
    description : str, default=""
        What it measures, in a phrase.

    Raises
    ------
    ValueError
        If the name is empty or holds an ``"@"``, a need is unknown, or `per` is.
    TypeError
        If the function cannot be called.

    See Also
    --------
    get_metric : The records of this package.

    Examples
    --------
    The share of users whose first recommendation is relevant:

    >>> import numpy as np
    >>> from skllmrec.metrics import Metric, RankedUsers
    >>> def first_hit(relevant, recommended, k):
    ...     return relevant.toarray()[np.arange(len(recommended)), recommended[:, 0]].astype(float)
    >>> metric = Metric("first_hit", first_hit, description="share of users whose first recommendation is relevant")
    >>> from scipy.sparse import csr_array
    >>> ranked = RankedUsers(
    ...     users=np.array(["ann", "bob"], dtype=object),
    ...     items=np.array(["alien", "heat", "up"], dtype=object),
    ...     relevant=csr_array(np.array([[True, False, True], [False, True, False]])),
    ...     recommended=np.array([[2, 0], [0, 2]]),
    ... )
    >>> ranked.evaluate(metric)
    0.5
    """

    name: str
    function: Callable[..., Any]
    needs: tuple[str, ...] = ("relevant", "recommended")
    per: Literal["user", "test_set"] = "user"
    greater_is_better: bool = True
    label: str | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or "@" in self.name:
            raise ValueError(f"the name of a metric must be a text without '@', got {self.name!r}")
        if not callable(self.function):
            raise TypeError(f"metric {self.name!r}: function must be callable, got {type(self.function).__name__}")
        object.__setattr__(self, "needs", tuple(self.needs))
        self._check_needs()

    def _check_needs(self) -> None:
        """Raise a ValueError for needs that are unknown, or that do not go together."""
        known = (*FROM_RANKING, *FROM_CALLER, *FROM_PREDICTIONS)
        unknown = [need for need in self.needs if need not in known]
        if unknown or not self.needs:
            raise ValueError(f"metric {self.name!r}: needs={unknown or self.needs}: choose out of {', '.join(known)}")
        if self.of_predictions and not set(self.needs) <= set(FROM_PREDICTIONS):
            raise ValueError(f"metric {self.name!r} needs lists and predictions: make a metric of each")
        allowed = ("test_set",) if self.of_predictions else ("user", "test_set")
        if self.per not in allowed:
            raise ValueError(f"metric {self.name!r}: per must be one of {allowed}, got {self.per!r}")

    @property
    def of_predictions(self) -> bool:
        """Whether it compares predictions with ratings, so that there are no lists and no k."""
        return not set(FROM_PREDICTIONS).isdisjoint(self.needs)

    @property
    def averages(self) -> bool:
        """Whether the function takes ``average=``."""
        return takes(self.function, "average")

    def at(self, k: int) -> str:
        """Name with the length of the lists, as in ``"ndcg@20"``; errors of predictions have no k.

        Parameters
        ----------
        k : int
            Length of the lists.

        Returns
        -------
        name : str
        """
        return self.name if self.of_predictions else f"{self.name}@{k}"


MetricLike: TypeAlias = str | Metric | Callable[..., Any]


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has a parameter of this name."""
    try:
        return name in inspect.signature(function).parameters
    except ValueError:  # compiled functions may have no signature
        return False


def ndcg_gap(relevant: Matrix | ArrayLike, recommended: ArrayLike, user_groups: ArrayLike, *, k: int = 10) -> float:
    """NDCG of the best served group of users minus that of the worst served one.

    Parameters
    ----------
    relevant, recommended, k
        As for `ndcg_at_k`.
    user_groups : array-like of shape (n_users,)
        Group of each user.

    Returns
    -------
    gap : float
    """
    return fairness_gap(np.asarray(ndcg_at_k(relevant, recommended, k=k, average=False)), user_groups)


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "ndcg",
            ndcg_at_k,
            label="NDCG",
            description="how much of what a user liked is in the list, the more the higher up; 1 is a perfect list",
        ),
        Metric("recall", recall_at_k, description="share of what a user liked that is in the list"),
        Metric("precision", precision_at_k, description="share of the list that the user liked"),
        Metric("hit_rate", hit_rate_at_k, label="hit rate", description="share of users with at least one hit"),
        Metric("map", map_at_k, label="MAP", description="precision at each hit, averaged"),
        Metric("mrr", mrr_at_k, label="MRR", description="one over the place of the first hit, averaged over users"),
        Metric(
            "ild",
            intra_list_diversity,
            ("recommended", "item_vectors"),
            label="diversity within lists",
            description="how unlike each other the items of a list are; 0 is all alike",
        ),
        Metric(
            "serendipity",
            serendipity,
            ("relevant", "recommended", "known_items", "item_vectors"),
            description="hits that are unlike anything the user had",
        ),
        Metric(
            "novelty",
            novelty,
            ("recommended", "item_counts", "n_training_users"),
            description="how little known the recommended items are, in bits",
        ),
        Metric(
            "miscalibration",
            miscalibration,
            ("recommended", "history", "item_classes"),
            greater_is_better=False,
            description="how far the mix of classes (genres, say) of a list is from that of the user's history; 0 is "
            "the same mix",
        ),
        Metric(
            "coverage",
            catalog_coverage,
            ("recommended", "n_items"),
            "test_set",
            description="share of the items that are recommended to anyone",
        ),
        Metric(
            "gini",
            gini_index,
            ("recommended", "n_items"),
            "test_set",
            greater_is_better=False,
            label="Gini index",
            description="how unevenly items are recommended; 0 is evenly",
        ),
        Metric(
            "personalization",
            personalization,
            ("recommended", "n_items"),
            "test_set",
            description="how different the lists of different users are",
        ),
        Metric(
            "popularity_lift",
            popularity_lift,
            ("recommended", "history", "item_counts"),
            "test_set",
            greater_is_better=False,
            label="popularity lift",
            description="how much more popular the lists are than what users had",
        ),
        Metric(
            "fairness_gap",
            ndcg_gap,
            ("relevant", "recommended", "user_groups"),
            "test_set",
            greater_is_better=False,
            label="fairness gap",
            description="NDCG of the best served group of users minus that of the worst served one; 0 is alike",
        ),
        Metric(
            "rmse",
            root_mean_squared_error,
            FROM_PREDICTIONS,
            "test_set",
            greater_is_better=False,
            label="RMSE",
            description="error of predicted ratings, large ones count more",
        ),
        Metric(
            "mae",
            mean_absolute_error,
            FROM_PREDICTIONS,
            "test_set",
            greater_is_better=False,
            label="MAE",
            description="error of predicted ratings",
        ),
    )
}


def get_metric(name: str) -> Metric:
    """Look up a metric of this package.

    Parameters
    ----------
    name : str
        One of `get_metric_names`.

    Returns
    -------
    metric : Metric

    Raises
    ------
    ValueError
        If there is no such metric.

    See Also
    --------
    get_metric_names : The names.

    Examples
    --------
    >>> from skllmrec.metrics import get_metric
    >>> get_metric("gini").needs
    ('recommended', 'n_items')
    """
    if not isinstance(name, str) or name not in METRICS:
        raise ValueError(
            f"metric={name!r} is unknown: pass one of {', '.join(sorted(METRICS))}, a Metric, "
            f"or a function f(relevant, recommended, k=...)"
        )
    return METRICS[name]


def get_metric_names() -> list[str]:
    """Names of all metrics of this package.

    Returns
    -------
    names : list of str
        Sorted.

    See Also
    --------
    get_metric : What stands behind a name.

    Examples
    --------
    >>> from skllmrec.metrics import get_metric_names
    >>> get_metric_names()[:3]
    ['coverage', 'fairness_gap', 'gini']
    """
    return sorted(METRICS)


def as_metric(metric: MetricLike) -> Metric:
    """Return the record of a name, a record or a function.

    Parameters
    ----------
    metric : str, Metric or callable
        A function of this package needs what its record needs; any other is called as
        ``f(relevant, recommended, k=k)`` and gives one value for all users, or with ``average=False`` one per user
        if it has such a parameter.

    Returns
    -------
    metric : Metric
        That of a function has the name of the function.

    Raises
    ------
    ValueError
        If it is neither a known name nor a record nor a function.
    """
    if isinstance(metric, Metric):
        return metric
    if not callable(metric):
        return get_metric(metric)
    name = getattr(metric, "__name__", str(metric)).replace("@", "")
    known = next((record for record in METRICS.values() if record.function is metric), None)
    if known is not None:
        return replace(known, name=name)
    return Metric(name, metric, per="user" if takes(metric, "average") else "test_set")


def check_of_lists(metric: Metric) -> None:
    """Raise a ValueError for a metric that compares predictions with ratings.

    Raises
    ------
    ValueError
        If the metric is one of predictions.
    """
    if metric.of_predictions:
        raise ValueError(
            f"metric {metric.name!r} compares predictions with ratings, not lists: use scikit-learn's scorers, such as "
            "scoring='neg_root_mean_squared_error'"
        )


def check_tables(metrics: Iterable[Metric], tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables that some metric needs.

    Parameters
    ----------
    metrics : iterable of Metric
    tables : dict of str to FeatureTable or None
        By the names in `FROM_CALLER`.

    Returns
    -------
    tables : dict of str to FeatureTable

    Raises
    ------
    ValueError
        If a metric needs a table that is None.
    TypeError
        If something else than a FeatureTable is passed.
    """
    for name, table in tables.items():
        if table is not None and not all(hasattr(table, part) for part in ("frame", "key", "index")):
            raise TypeError(f"{name} must be a FeatureTable(frame, key=...), got {type(table).__name__}")
    needed = {}
    for metric in metrics:
        for need in metric.needs:
            if need in FROM_CALLER:
                if tables.get(need) is None:
                    raise ValueError(
                        f"metric {metric.name!r} needs {need}=FeatureTable(frame, key=...): {FROM_CALLER[need]}"
                    )
                needed[need] = tables[need]
    return needed


def check_ranking_options(k: int, threshold: float | None, candidates: str) -> None:
    """Raise a ValueError for the first bad option of `rank_test_users`.

    Raises
    ------
    ValueError
        If k, the threshold or the candidates are no legal value.
    """
    check_k(k)
    if threshold is not None and (not isinstance(threshold, Real) or np.isnan(float(threshold))):
        raise ValueError(f"threshold must be a number or None, got {threshold!r}")
    if candidates not in CANDIDATES:
        raise ValueError(f"candidates must be one of {CANDIDATES}, got {candidates!r}")


def one_value_per_user(metric: Metric, values: ArrayLike, n_users: int) -> FloatArray:
    """Return the values of a metric per user as float64, (n_users,), or raise a ValueError.

    Raises
    ------
    ValueError
        If there is not one number per user.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (n_users,):
        raise ValueError(
            f"metric {metric.name!r} must return one value per user, {n_users}, but its result has shape "
            f"{values.shape}: for one value of all users pass Metric(..., per='test_set')"
        )
    return values
