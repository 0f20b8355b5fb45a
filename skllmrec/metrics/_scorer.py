"""Ranking metrics as scikit-learn scorers."""

from collections.abc import Sequence
from typing import Any, Literal

from skllmrec._typing import ArrayLike, Column, Estimator, RandomState, Rows
from skllmrec.metrics._lists_check import warn_of_repeated_rows
from skllmrec.metrics._ranking import RankedUsers, rank_quietly
from skllmrec.metrics._registry import (
    Metric,
    MetricLike,
    as_metric,
    check_of_lists,
    check_ranking_options,
    check_tables,
)


class _RankingScorer:
    """A scorer ``scorer(estimator, X, y=None)``; see `make_ranking_scorer`."""

    def __init__(self, metric: Any, options: dict[str, Any], tables: dict[str, Any]) -> None:
        self._metric = metric
        self._options = options
        self._tables = tables

    def __call__(self, estimator: Estimator, X: Rows, y: ArrayLike | None = None) -> float | dict[str, float]:
        """Return the score of a fitted recommender on X, or one per metric."""
        ranked, n_repeated, n_rows = rank_quietly(estimator, X, y, **self._options)
        if self._options.get("exclude_seen", True):
            of_histories = "history" in self._options
            warn_of_repeated_rows(n_repeated, n_rows, of_histories=of_histories, stacklevel=2)
        if len(ranked.users) == 0:
            raise ValueError(
                f"no {'row with a history' if 'history' in self._options else 'user'} has a relevant item among the "
                f"candidates ({self!r}): lower the threshold, or use another split"
            )
        if isinstance(self._metric, list):
            return {as_metric(metric).name: self._score(ranked, metric) for metric in self._metric}
        return self._score(ranked, self._metric)

    def _score(self, ranked: RankedUsers, metric: MetricLike) -> float:
        value = float(ranked.evaluate(metric, k=self._options["k"], **self._tables))
        return value if as_metric(metric).greater_is_better else -value

    def __repr__(self) -> str:
        """Return the call that makes it."""
        several = isinstance(self._metric, list)
        shown = [_shown(m) for m in (self._metric if several else [self._metric])]
        metric = f"[{', '.join(shown)}]" if several else shown[0]
        options = ", ".join(f"{name}={value!r}" for name, value in (self._options | self._tables).items())
        return f"make_ranking_scorer({metric}, {options})"


def _shown(metric: MetricLike) -> str:
    """Write a metric as in a call."""
    if isinstance(metric, Metric):
        return f"Metric({metric.name!r}, ...)"
    return as_metric(metric).name if callable(metric) else repr(metric)


def make_ranking_scorer(
    metric: MetricLike | Sequence[MetricLike],
    *,
    k: int = 10,
    threshold: float | None = None,
    candidates: Literal["all", "fitted", "test"] = "all",
    exclude_seen: bool = True,
    history: Column | None = None,
    random_state: RandomState = 0,
    item_vectors: Any = None,
    item_classes: Any = None,
    user_groups: Any = None,
) -> _RankingScorer:
    """Make a scorer out of a ranking metric, for ``scoring=`` of GridSearchCV and its like.

    The scorer recommends k items to every user of the test rows and compares them with the relevant ones.
    What a user had in training is excluded, so that a test row that training saw can never be a hit; a
    RepeatedRowsWarning counts such rows. Users without a relevant candidate are left out; k is clipped to the number of
    candidates. Searches and pipelines are looked through: the earlier steps transform X.

    Parameters
    ----------
    metric : str, Metric, callable, or list of these
        One of `get_metric_names` (those of which less is better are negated), a record of one's own, or a function
        ``f(relevant, recommended, k=...)`` of the arrays that the functions of this package take. A list
        makes a scorer that ranks once and returns a dict, which scikit-learn takes for several metrics.
    k : int, default=10
        Length of the lists.
    threshold : float, default=None
        A test row is relevant if ``y >= threshold``; with None if ``y > 0``, or always if y is None.
    candidates : {"all", "fitted", "test"}, default="all"
        What is ranked: the items of `fit` ("fitted"; a new item then does not count as relevant), those of
        the test rows ("test"), or both together.
    exclude_seen : bool, default=True
        Whether to leave out of each list what its user had in training (with `history`: what is in the history); False
        where repeats, as of purchases, are to be recommended, and count.
    history : str or int, default=None
        Column of X that holds, for each row, the items that its user had before, oldest first, as
        `skllmrec.model_selection.add_histories` makes it. Each row with a history then is a question, what comes next
        after it, and metrics are averaged over questions; see `rank_test_users`.
    random_state : int, RandomState instance or None, default=0
        Shuffles the candidates: equal scores are ranked in that order, not by id.
    item_vectors : FeatureTable, default=None
        Every item with columns of numbers, for ``"ild"`` and ``"serendipity"``, best ones that the models do not
        read.
    item_classes : FeatureTable, default=None
        Every item with its classes, for ``"miscalibration"``: columns of numbers are a class each, columns of texts
        name the classes of an item, separated by ``|``, ``,`` or ``;``.
    user_groups : FeatureTable, default=None
        Every user with the column of their group, for ``"fairness_gap"``.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)``; greater is better. It can be pickled if the metric can. It raises a
        ValueError where no user has a relevant candidate, a TypeError where the estimator is no recommender.

    Raises
    ------
    ValueError
        If the metric or an option is unknown, the list is empty, or a metric needs a table that is not passed.
    TypeError
        If a table is not a FeatureTable.

    See Also
    --------
    rank_test_users : The lists behind the scores.

    Examples
    --------
    >>> from sklearn.model_selection import cross_validate
    >>> from skllmrec.metrics import make_ranking_scorer
    >>> from skllmrec.recommenders import PopularityRecommender
    >>> X = [[user, item] for user in range(8) for item in range(6) if (user * item) % 3 != 1]
    >>> scoring = {"ndcg": make_ranking_scorer("ndcg", k=2), "coverage": make_ranking_scorer("coverage", k=2)}
    >>> scores = cross_validate(PopularityRecommender(feedback="implicit"), X, cv=3, scoring=scoring)
    >>> scores["test_ndcg"].shape
    (3,)

    A metric that needs to know more than the interactions:

    >>> import pandas as pd
    >>> from skllmrec.base import FeatureTable
    >>> genres = FeatureTable(pd.DataFrame({"item": range(6), "genre": ["a", "b", "a|b"] * 2}), key="item")
    >>> make_ranking_scorer("miscalibration", k=2, item_classes=genres)
    make_ranking_scorer('miscalibration', k=2, ..., item_classes=FeatureTable(6 rows, ...))
    """
    metric = list(metric) if isinstance(metric, list | tuple) else metric
    if metric == []:
        raise ValueError("metric is an empty list: pass at least one metric")
    several: list[Any] = metric if isinstance(metric, list) else [metric]
    records = [as_metric(single) for single in several]
    for record in records:
        check_of_lists(record)
    tables = {"item_vectors": item_vectors, "item_classes": item_classes, "user_groups": user_groups}
    tables = check_tables(records, tables)
    check_ranking_options(k, threshold, candidates)
    options: dict[str, Any] = {"k": k, "threshold": threshold, "candidates": candidates, "random_state": random_state}
    options |= {} if exclude_seen else {"exclude_seen": False}
    options |= {} if history is None else {"history": history}
    return _RankingScorer(metric, options, tables)
