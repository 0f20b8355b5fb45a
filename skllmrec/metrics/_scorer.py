"""Ranking metrics as scikit-learn scorers."""

from skllmrec.metrics._ranking import LOWER_IS_BETTER, check_metric, check_ranking_options, rank_test_users


class _RankingScorer:
    """A scorer ``scorer(estimator, X, y=None)``; see `make_ranking_scorer`."""

    def __init__(self, metric, **options):
        self._metric = metric
        self._options = options

    def __call__(self, estimator, X, y=None):
        """Return the score of a fitted recommender on X, or one per metric."""
        ranked = rank_test_users(estimator, X, y, **self._options)
        if len(ranked.users) == 0:
            raise ValueError(
                f"no user has a relevant item among the candidates ({self!r}): "
                f"lower the threshold, or use another split"
            )
        if isinstance(self._metric, list):
            return {_name(metric): self._score(ranked, metric) for metric in self._metric}
        return self._score(ranked, self._metric)

    def _score(self, ranked, metric):
        value = float(ranked.evaluate(metric, k=self._options["k"]))
        return -value if _name(metric) in LOWER_IS_BETTER and not callable(metric) else value

    def __repr__(self):
        """Return the call that makes it."""
        several = isinstance(self._metric, list)
        shown = [_name(m) if callable(m) else repr(m) for m in (self._metric if several else [self._metric])]
        metric = f"[{', '.join(shown)}]" if several else shown[0]
        options = ", ".join(f"{name}={value!r}" for name, value in self._options.items())
        return f"make_ranking_scorer({metric}, {options})"


def _name(metric):
    return getattr(metric, "__name__", str(metric))


def make_ranking_scorer(metric, *, k=10, threshold=None, candidates="all", random_state=0):
    """Make a scorer out of a ranking metric, for ``scoring=`` of GridSearchCV and its like.

    The scorer recommends k items to every user of the test rows and compares them with the relevant ones.
    What a user had in training is excluded, so that a test row that training saw can never be a hit; users
    without a relevant candidate are left out; k is clipped to the number of candidates. Searches and pipelines
    are looked through: the earlier steps transform X.

    Parameters
    ----------
    metric : str, callable, or list of these
        ``"ndcg"``, ``"recall"``, ``"precision"``, ``"hit_rate"``, ``"map"``, ``"mrr"``, ``"coverage"``,
        ``"novelty"``, ``"personalization"``, ``"gini"`` and ``"popularity_lift"`` (negated, so that greater is
        better), or a function
        ``f(relevant, recommended, k=...)`` of the arrays that the functions of this package take. A list
        makes a scorer that ranks once and returns a dict, which scikit-learn takes for several metrics.
    k : int, default=10
        Length of the lists.
    threshold : float, default=None
        A test row is relevant if ``y >= threshold``; with None if ``y > 0``, or always if y is None.
    candidates : {"all", "fitted", "test"}, default="all"
        What is ranked: the items of `fit` ("fitted"; a new item then does not count as relevant), those of
        the test rows ("test"), or both together.
    random_state : int, RandomState instance or None, default=0
        Shuffles the candidates: equal scores are ranked in that order, not by id.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)``; greater is better. It can be pickled if the metric can. It raises a
        ValueError where no user has a relevant candidate, a TypeError where the estimator is no recommender.

    Raises
    ------
    ValueError
        If the metric or an option is unknown, or the list is empty.

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
    """
    metric = list(metric) if isinstance(metric, list | tuple) else metric
    if metric == []:
        raise ValueError("metric is an empty list: pass at least one metric")
    for single in metric if isinstance(metric, list) else [metric]:
        check_metric(single)
    check_ranking_options(k, threshold, candidates)
    return _RankingScorer(metric, k=k, threshold=threshold, candidates=candidates, random_state=random_state)
