"""Compare recommenders: the same folds, the same lists, paired tests over users."""

from collections.abc import Collection, Iterable
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state

from skllmrec._foreign import as_table
from skllmrec._sklearn import num_rows
from skllmrec._terminal import say
from skllmrec._typing import ArrayLike, Column, Estimator, Path, RandomState, Rows
from skllmrec.base import FeatureTable
from skllmrec.comparison._checkpoint import make_checkpoint
from skllmrec.comparison._evaluate import evaluate_all, make_frames
from skllmrec.comparison._fingerprint import versions
from skllmrec.comparison._fold import EvaluationPlan, FoldResult
from skllmrec.comparison._formatting import as_facts
from skllmrec.comparison._item_space import ItemSpace
from skllmrec.comparison._relevance import check_folds, find_relevant
from skllmrec.comparison._repeats import count_in_folds, id_columns
from skllmrec.comparison._result import Comparison
from skllmrec.comparison._summary import summarise
from skllmrec.metrics import Metric
from skllmrec.metrics._lists_check import warn_of_repeated_rows
from skllmrec.metrics._registry import CANDIDATES, METRICS, MetricLike, as_metric, check_tables
from skllmrec.model_selection import PerUserKFold
from skllmrec.recommenders import PopularityRecommender


def _check_names(estimators: dict[str, Estimator], reference: str | None) -> str:
    if not isinstance(estimators, dict) or not estimators:
        raise ValueError(f"estimators must be a non-empty dict of name: estimator, got {type(estimators).__name__}")
    for name, estimator in estimators.items():
        if not isinstance(name, str):
            raise ValueError(f"names of estimators must be strings, got {name!r}")
        if not hasattr(estimator, "fit"):
            raise TypeError(f"estimator {name!r} is a {type(estimator).__name__} without a fit method")
    if reference is None:
        return next(iter(estimators))
    if reference not in estimators:
        raise ValueError(f"reference={reference!r} is not one of the estimators {list(estimators)}")
    return reference


def _ranks_alike(estimator):
    """Whether an estimator ranks alike for every user; searches and Pipelines are opened."""
    while isinstance(estimator, Pipeline) or hasattr(estimator, "estimator"):
        estimator = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator.estimator
    return isinstance(estimator, PopularityRecommender)


def find_baselines(estimators: dict[str, Estimator]) -> list[str]:
    """Names of the estimators that rank alike for every user."""
    return [name for name, estimator in estimators.items() if _ranks_alike(estimator)]


def _check_baselines(baselines: Collection[str] | None, estimators: dict[str, Estimator]) -> list[str]:
    """Return the names of the baselines, in the order of the estimators."""
    if baselines is None:
        return find_baselines(estimators)
    baselines = [baselines] if isinstance(baselines, str) else list(baselines)
    unknown = [name for name in baselines if name not in estimators]
    if unknown:
        raise ValueError(f"baselines={unknown!r}: choose from the estimators {list(estimators)}")
    return [name for name in estimators if name in baselines]


def _check_metrics(metrics: MetricLike | Iterable[MetricLike], y: ArrayLike | None) -> list[Metric]:
    """Return the records of the metrics, each once."""
    metrics = [metrics] if isinstance(metrics, str | Metric) or callable(metrics) else list(metrics)
    unknown = [metric for metric in metrics if isinstance(metric, str) and metric not in METRICS]
    if unknown or not metrics:
        raise ValueError(f"metrics={unknown or metrics!r}: choose one or more of {sorted(METRICS)}, or pass a Metric")
    records: dict[str, Metric] = {}
    for record in map(as_metric, metrics):
        if records.setdefault(record.name, record) != record:
            raise ValueError(f"two different metrics have the name {record.name!r}: rename one")
    _check_ratings(records.values(), y)
    return list(records.values())


def _check_ratings(metrics: Iterable[Metric], y: ArrayLike | None) -> None:
    of_predictions = [metric.name for metric in metrics if metric.of_predictions]
    if y is None and of_predictions:
        raise ValueError(f"metrics {of_predictions} compare predictions with ratings: pass y")


def _check_options(k, candidates, threshold, y):
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k must be an integer >= 1, got {k!r}")
    if candidates not in CANDIDATES:
        raise ValueError(f"candidates={candidates!r}: choose one of {list(CANDIDATES)}")
    if threshold is not None and y is None:
        raise ValueError(f"threshold={threshold!r} asks which ratings are relevant, but y is None: pass y")


def _check_tests(level, n_permutations, n_resamples):
    if not isinstance(level, Real) or not 0 < level < 1:
        raise ValueError(f"level must be above 0 and below 1, such as .95, got {level!r}")
    for name, number in (("n_permutations", n_permutations), ("n_resamples", n_resamples)):
        if isinstance(number, bool) or not isinstance(number, Integral) or number < 1:
            raise ValueError(f"{name} must be an integer >= 1, got {number!r}")


def _check_seed(checkpoint_dir: Path | None, random_state: RandomState) -> None:
    if checkpoint_dir is not None and random_state is None:
        raise ValueError("checkpoint_dir needs random_state=an integer: without it every run splits and ranks anew")


def _folds(cv, X, y, seed):
    if isinstance(cv, Integral):
        cv = PerUserKFold(cv, random_state=seed)
    return list(check_cv(cv).split(X, y))


def compare_recommenders(
    estimators: dict[str, Estimator],
    X: Rows,
    y: ArrayLike | None = None,
    *,
    cv: Any,
    metrics: MetricLike | Iterable[MetricLike] = ("ndcg", "recall", "coverage", "gini", "novelty"),
    k: int = 20,
    threshold: float | None = None,
    reference: str | None = None,
    baselines: Collection[str] | None = None,
    candidates: Literal["all", "fitted", "test"] = "all",
    exclude_seen: bool = True,
    history: Column | None = None,
    item_vectors: FeatureTable | None = None,
    item_classes: FeatureTable | None = None,
    user_groups: FeatureTable | None = None,
    user_table: FeatureTable | None = None,
    item_table: FeatureTable | None = None,
    level: float = 0.95,
    n_permutations: int = 10_000,
    n_resamples: int = 2_000,
    checkpoint_dir: Path | None = None,
    resume: bool = True,
    n_jobs: int | None = None,
    random_state: RandomState = None,
    verbose: bool = False,
) -> Comparison:
    """Compare recommenders on the same folds, with paired tests over users.

    On each fold a clone of each estimator is fitted on the training rows; a search (`GridSearchCV`,
    `HalvingGridSearchCV`, ...) is so tuned inside each training fold. The test users are ranked once, what
    training saw left out, and every metric is read from the same lists. A user who is tested in several folds is
    averaged over them first: users, not rows or folds, are the unit of the intervals and tests.

    Parameters
    ----------
    estimators : dict of str to estimator
        Recommenders, Pipelines that end in one, or searches over them.
    X : dataframe or array-like of shape (n_samples, n_features)
        Interactions, a row each.
    y : array-like of shape (n_samples,), default=None
        Ratings or weights.
    cv : int, splitter or iterable of (train, test)
        An int means ``PerUserKFold(cv)``.
    metrics : str, Metric, callable, or sequence of these, default=("ndcg", "recall", "coverage", "gini", "novelty")
        Names out of ``ndcg, recall, precision, hit_rate, map, mrr`` (accuracy, per user), ``ild`` (intra-list
        diversity), ``serendipity``, ``novelty``, ``miscalibration`` (per user), ``coverage, gini, personalization,
        popularity_lift, fairness_gap`` (per fold), and ``rmse, mae`` (errors of `predict` on all test rows, per
        fold); or metrics of one's own, as a `skllmrec.metrics.Metric`, or as a function
        ``f(relevant, recommended, k=...)``.
    k : int, default=20
        Length of the lists.
    threshold : float or None, default=None
        Test rows with ``y >= threshold`` are relevant. None: where y looks like ratings (a few half-integer levels up
        to 4, 5, 7, 10 or 100, most in the upper half), those of at least 4 of 5, or of 70 % of the highest; otherwise,
        as for counts and hours, those with ``y > 0``; without y all rows. What was chosen and why is said where
        `verbose`, in the settings of the result (``threshold``, ``relevant``) and on its page.
    reference : str or None, default=None
        The estimator that the others are compared with; None: the first.
    baselines : collection of str or None, default=None
        The estimators that know nothing about a single user. They are in the tables, but never called the best, and
        are not in the picture of the gains. None: each `PopularityRecommender`, in a Pipeline or search as well.
    candidates : {"all", "fitted", "test"}, default="all"
        What is ranked: known items ("fitted"), those of the test rows ("test"; for cold items), or both.
    exclude_seen : bool, default=True
        Whether to leave out of each list what its user had in training; test rows that repeat a pair of training can
        then never be hits, and are counted (``settings["repeated_rows"]``, a RepeatedRowsWarning, the page). False
        where repeats, as of purchases, are to be recommended, and count.
    history : str or int, default=None
        Column of X that holds, for each row, the items that its user had before, oldest first, as
        `skllmrec.model_selection.add_histories` makes it, with a `cv` by time. Each test row with a history then is a
        question: what comes next after it? Estimators answer ``recommend(history=...)``, the item of the row alone is
        relevant (`exclude_seen`: what is in the history is left out, not all of training), and questions are the unit
        of means, intervals and tests: those of one user count as independent. The scorer of a search among the
        estimators has a parameter `history` as well.
    item_vectors : FeatureTable or None, default=None
        The space of ``ild`` and ``serendipity``, best one that no model reads: columns of numbers are used as they
        are, otherwise the TF-IDF of the words of all columns. None: `item_table`, if there is one.
    item_classes : FeatureTable or None, default=None
        Every item with its classes, for ``miscalibration``: columns of numbers are a class each, columns of texts name
        the classes of an item, separated by ``|``, ``,`` or ``;``.
    user_groups : FeatureTable or None, default=None
        Every user with the column of their group, for ``fairness_gap``.
    user_table, item_table : FeatureTable or None, default=None
        Passed to every `fit` that has such a parameter, through searches and Pipelines.
    level : float, default=0.95
        Coverage of the confidence intervals.
    n_permutations, n_resamples : int, default=10_000, 2_000
        Size of the permutation test and of the bootstrap.
    checkpoint_dir : path-like or None, default=None
        A folder where the result of each estimator and fold is kept as soon as it is there. A later call reads those
        of the same data, split, parameters, metrics, seed and versions, and computes the others: after an
        interruption it goes on where it stopped, and another estimator may join later. Where `random_state` is None
        nothing could be known again, so it must be an integer.
    resume : bool, default=True
        Whether to read what is in `checkpoint_dir`; False computes everything anew and replaces it.
    n_jobs : int or None, default=None
        Processes over folds and estimators.
    random_state : int, RandomState instance or None, default=None
        For equal scores, resampling, and the splits where `cv` is an int.
    verbose : bool, default=False
        Whether to print a line per estimator and fold, with the time to go.

    Returns
    -------
    comparison : Comparison

    Raises
    ------
    ValueError
        If a name, metric or option is unknown, a metric lacks what it needs, no test row of a fold is relevant (before
        anything is fitted), or an estimator fails, lists an item twice or scores it NaN (the message names it, and the
        fold); if there is a `checkpoint_dir`, but no seed, or the ids of the users are neither texts nor numbers.
    TypeError
        If an estimator has no `fit`, or a table of items or users is not a FeatureTable.
    ImportError
        If pandas is missing.

    References
    ----------
    M. D. Smucker, J. Allan, B. Carterette (2007), "A comparison of statistical significance tests for
    information retrieval evaluation"; W. Krichene, S. Rendle (2020), "On sampled metrics for item
    recommendation" (why every candidate is ranked).

    Examples
    --------
    >>> import pandas as pd
    >>> from skllmrec import FeatureMFRecommender, PopularityRecommender, compare_recommenders
    >>> X = pd.DataFrame({"user": list("aaabbbccc"), "item": list("xyzxywxzw")})
    >>> estimators = {
    ...     "popularity": PopularityRecommender(feedback="implicit"),
    ...     "ids": FeatureMFRecommender(4, feedback="implicit", random_state=0)}
    >>> comparison = compare_recommenders(
    ...     estimators, X, cv=3, metrics=("ndcg", "coverage"), k=2, random_state=0)
    >>> comparison.metrics
    ['ndcg@2', 'coverage@2', 'fit_seconds', 'recommend_seconds', 'fit_peak_mb']
    >>> comparison.frame.shape
    (10, 13)
    """
    X = as_table(X)
    user_table = as_table(user_table, name="user_table")
    item_table = as_table(item_table, name="item_table")
    reference = _check_names(estimators, reference)
    baselines = _check_baselines(baselines, estimators)
    records = _check_metrics(metrics, y)
    space = item_table if item_vectors is None else item_vectors
    given = {"item_vectors": space, "item_classes": item_classes, "user_groups": user_groups}
    tables = check_tables(records, given)
    _check_options(k, candidates, threshold, y)
    _check_tests(level, n_permutations, n_resamples)
    _check_seed(checkpoint_dir, random_state)
    fit_tables = {"user_table": user_table, "item_table": item_table}
    rng = check_random_state(random_state)
    seed = int(rng.randint(np.iinfo(np.int32).max))
    folds = _folds(cv, X, y, seed)
    chosen, words = _settle_relevance(threshold, X, y, folds, verbose=verbose)
    plan = _plan(records, k, chosen, candidates, exclude_seen, history, tables, fit_tables)
    repeated = _count_repeated(X, folds, estimators, plan)
    seeds = rng.randint(np.iinfo(np.int32).max, size=len(folds))
    data = [X, y, user_table, item_table, *(tables.get(name) for name in given)]
    checkpoint = make_checkpoint(checkpoint_dir, estimators, data, folds, seeds, _decisive(plan), resume=resume)
    results = evaluate_all(estimators, X, y, folds, plan, seeds, checkpoint, n_jobs=n_jobs, verbose=verbose)
    settings = {
        **_settings_of(plan),
        "relevant": words,
        "repeated_rows": repeated,
        "reference": reference,
        "baselines": baselines,
        "n_folds": len(folds),
        "n_rows": num_rows(X),
        "seed": seed,
        "versions": versions(),
        "level": level,
        "n_permutations": n_permutations,
        "n_resamples": n_resamples,
    }
    return _comparison(results, list(estimators), plan, settings)


def _settle_relevance(threshold, X, y, folds, *, verbose):
    """Return the threshold and what is relevant in words; raise an error where a fold has nothing relevant."""
    chosen, words, relevant = find_relevant(threshold, X, y)
    check_folds(folds, y, relevant, chosen)
    if verbose and y is not None:
        say(f"relevant: {words}")
    return chosen, words


def _count_repeated(X, folds, estimators, plan):
    """Count the test rows that repeat a pair of training or an item of their history; warn where they are no hits."""
    repeated = count_in_folds(X, folds, id_columns(estimators.values()), history=plan.history)
    if repeated is not None and plan.exclude_seen:
        of_histories = plan.history is not None
        warn_of_repeated_rows(repeated["rows"], repeated["of"], of_histories=of_histories, stacklevel=3)
    return repeated


def _settings_of(plan):
    """Return what the settings of a comparison say about a plan."""
    vectors = plan.metric_tables.get("item_vectors")
    return {
        "k": plan.k,
        "threshold": plan.threshold,
        "candidates": plan.candidates,
        "exclude_seen": plan.exclude_seen,
        "history": plan.history,
        "diversity": None if vectors is None else vectors.name,
        "metrics": [as_facts(metric) for metric in plan.metrics],
    }


def _plan(
    metrics: list[Metric],
    k: int,
    threshold: float | None,
    candidates: Literal["all", "fitted", "test"],
    exclude_seen: bool,
    history: Column | None,
    tables: dict[str, Any],
    fit_tables: dict[str, Any],
) -> EvaluationPlan:
    """Collect what is the same for all estimators and folds; the space of diversity is made once."""
    if "item_vectors" in tables:
        tables = tables | {"item_vectors": ItemSpace(tables["item_vectors"])}
    fit_tables = {name: table for name, table in fit_tables.items() if table is not None}
    return EvaluationPlan(metrics, k, threshold, candidates, exclude_seen, history, tables, fit_tables)


def _decisive(plan: EvaluationPlan) -> tuple[Any, ...]:
    """Return the options that decide the figures of a fold; metrics of this package count by their names."""
    metrics = [metric.name if METRICS.get(metric.name) is metric else metric for metric in plan.metrics]
    return metrics, plan.k, plan.threshold, plan.candidates, plan.exclude_seen, plan.history


def _comparison(
    results: list[FoldResult], estimators: list[str], plan: EvaluationPlan, settings: dict[str, Any]
) -> Comparison:
    """Make the frames of the results, and test the differences."""
    per_user, per_fold, chosen, by_popularity = make_frames(results)
    frame = summarise(
        per_user,
        per_fold,
        estimators=estimators,
        reference=settings["reference"],
        user_metrics=[metric.at(plan.k) for metric in plan.metrics if metric.per == "user"],
        fold_metrics=[column for column in per_fold.columns if column not in ("estimator", "fold")],
        random_state=settings["seed"],
        **{name: settings[name] for name in ("level", "n_permutations", "n_resamples")},
    )
    return Comparison(frame, per_user, per_fold, chosen, settings, by_popularity)
