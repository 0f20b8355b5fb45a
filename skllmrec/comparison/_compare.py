"""Compare recommenders: the same folds, the same lists, paired tests over users."""

from numbers import Integral, Real

import numpy as np
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state

from skllmrec._sklearn import num_rows
from skllmrec.base import FeatureTable
from skllmrec.comparison._checkpoint import make_checkpoint
from skllmrec.comparison._evaluate import evaluate_all, make_frames
from skllmrec.comparison._fingerprint import versions
from skllmrec.comparison._fold import ERRORS, IN_SPACE, KNOWN, PER_USER, ItemSpace, Task, metric_label
from skllmrec.comparison._result import Comparison
from skllmrec.comparison._summary import summarise
from skllmrec.model_selection import PerUserKFold

_CANDIDATES = ("all", "fitted", "test")


def _check_names(estimators, reference):
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


def _check_metrics(metrics, y):
    metrics = [metrics] if isinstance(metrics, str) else list(dict.fromkeys(metrics))
    unknown = [metric for metric in metrics if metric not in KNOWN]
    if unknown or not metrics:
        raise ValueError(f"metrics={unknown or metrics!r}: choose one or more of {sorted(KNOWN)}")
    if y is None and not ERRORS.keys().isdisjoint(metrics):
        raise ValueError(f"metrics {sorted(ERRORS)} compare predictions with ratings: pass y")
    return metrics


def _check_options(k, candidates, threshold, y):
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k must be an integer >= 1, got {k!r}")
    if candidates not in _CANDIDATES:
        raise ValueError(f"candidates={candidates!r}: choose one of {list(_CANDIDATES)}")
    if threshold is not None and y is None:
        raise ValueError(f"threshold={threshold!r} asks which ratings are relevant, but y is None: pass y")


def _check_tests(level, n_permutations, n_resamples):
    if not isinstance(level, Real) or not 0 < level < 1:
        raise ValueError(f"level must be above 0 and below 1, such as .95, got {level!r}")
    for name, number in (("n_permutations", n_permutations), ("n_resamples", n_resamples)):
        if isinstance(number, bool) or not isinstance(number, Integral) or number < 1:
            raise ValueError(f"{name} must be an integer >= 1, got {number!r}")


def _check_space(space, metrics):
    """Return the table that some of the metrics are measured in; None where none of them is."""
    if space is not None and not isinstance(space, FeatureTable):
        raise TypeError(f"item_vectors must be a FeatureTable(frame, key=...), got {type(space).__name__}")
    measured = [metric for metric in metrics if metric in IN_SPACE]
    if measured and space is None:
        raise ValueError(
            f"metric {measured[0]!r} needs item_vectors=FeatureTable(frame, key=...): a column such as the genres that "
            "tells items apart, best one that the models do not read"
        )
    return space if measured else None


def _folds(cv, X, y, seed):
    if isinstance(cv, Integral):
        cv = PerUserKFold(cv, random_state=seed)
    return list(check_cv(cv).split(X, y))


def compare_recommenders(
    estimators,
    X,
    y=None,
    *,
    cv,
    metrics=("ndcg", "recall", "coverage", "gini", "novelty"),
    k=20,
    threshold=None,
    reference=None,
    candidates="all",
    item_vectors=None,
    user_table=None,
    item_table=None,
    level=0.95,
    n_permutations=10_000,
    n_resamples=2_000,
    checkpoint_dir=None,
    resume=True,
    n_jobs=None,
    random_state=None,
    verbose=False,
):
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
    metrics : tuple of str, default=("ndcg", "recall", "coverage", "gini", "novelty")
        Out of ``ndcg, recall, precision, hit_rate, map, mrr`` (accuracy, per user), ``ild`` (intra-list
        diversity), ``serendipity``, ``novelty`` (per user), ``coverage, gini, personalization, popularity_lift``
        (per fold), and ``rmse, mae`` (errors of `predict` on all test rows, per fold).
    k : int, default=20
        Length of the lists.
    threshold : float or None, default=None
        Test rows with ``y >= threshold`` are relevant; None: see `rank_test_users`.
    reference : str or None, default=None
        The estimator that the others are compared with; None: the first.
    candidates : {"all", "fitted", "test"}, default="all"
        What is ranked: known items ("fitted"), those of the test rows ("test"; for cold items), or both.
    item_vectors : FeatureTable or None, default=None
        The space of ``ild`` and ``serendipity``, best one that no model reads: columns of numbers are used as they
        are, otherwise the TF-IDF of the words of all columns. None: `item_table`, if there is one.
    user_table, item_table : FeatureTable or None, default=None
        Handed to every `fit` that has such a parameter, through searches and Pipelines.
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
        If a name, metric or option is unknown, a metric lacks what it needs, or an estimator fails (the message
        names it); if there is a `checkpoint_dir`, but no seed, or the ids of the users are neither texts nor numbers.
    TypeError
        If an estimator has no `fit`, or `item_vectors` is not a FeatureTable.
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
    reference = _check_names(estimators, reference)
    metrics = _check_metrics(metrics, y)
    space = _check_space(item_table if item_vectors is None else item_vectors, metrics)
    _check_options(k, candidates, threshold, y)
    _check_tests(level, n_permutations, n_resamples)
    if checkpoint_dir is not None and random_state is None:
        raise ValueError("checkpoint_dir needs random_state=an integer: without it every run splits and ranks anew")
    tables = {"user_table": user_table, "item_table": item_table}
    task = Task(
        metrics, k, threshold, candidates, None if space is None else ItemSpace(space),
        {name: table for name, table in tables.items() if table is not None},
    )  # fmt: skip
    rng = check_random_state(random_state)
    seed = int(rng.randint(np.iinfo(np.int32).max))
    folds = _folds(cv, X, y, seed)
    seeds = rng.randint(np.iinfo(np.int32).max, size=len(folds))
    data = [X, y, user_table, item_table, None if space is None else item_vectors]  # or item_table
    checkpoint = make_checkpoint(
        checkpoint_dir, estimators, data, folds, seeds, (metrics, k, threshold, candidates), resume=resume
    )
    results = evaluate_all(estimators, X, y, folds, task, seeds, checkpoint, n_jobs=n_jobs, verbose=verbose)
    per_user, per_fold, chosen, by_popularity = make_frames(results)
    test_options = {"level": level, "n_permutations": n_permutations, "n_resamples": n_resamples}
    by_user = [metric_label(m, k) for m in metrics if m in PER_USER]
    frame = summarise(
        per_user, per_fold, estimators=list(estimators), reference=reference, user_metrics=by_user,
        fold_metrics=[c for c in per_fold.columns if c not in ("estimator", "fold")],
        random_state=seed, **test_options,
    )  # fmt: skip
    settings = {
        "k": k, "threshold": threshold, "reference": reference, "candidates": candidates,
        "n_folds": len(folds), "n_rows": num_rows(X), "seed": seed,
        "diversity": task.space.name if task.space else None, "versions": versions(), **test_options,
    }  # fmt: skip
    return Comparison(frame, per_user, per_fold, chosen, settings, by_popularity)
