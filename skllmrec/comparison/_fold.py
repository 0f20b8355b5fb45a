"""One estimator on one fold: fit, rank the test users once, measure everything on the same lists."""

import functools
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skllmrec._ids import shown
from skllmrec._kernels.warm_up import load_compiled
from skllmrec._peak_memory import PeakMemory
from skllmrec._sklearn import take_rows
from skllmrec._typing import Array, ArrayLike, Column, Estimator, IntArray, Rows
from skllmrec.exceptions import SkllmrecError
from skllmrec.inspection._binned import mean_and_error
from skllmrec.metrics import Metric, recall_at_k
from skllmrec.metrics._ranking import id_columns_of, rank_quietly
from skllmrec.metrics._registry import takes

_N_GROUPS = 10  # of items, by how well known they are


@dataclass
class EvaluationPlan:
    """What is the same for every estimator and fold.

    Attributes
    ----------
    metrics : list of Metric
    k : int
        Length of the lists.
    threshold : float or None
        Test rows with y at or above it are relevant; None: those with y above 0 or, without y, all.
    candidates : {"all", "fitted", "test"}
        What is ranked.
    exclude_seen : bool
        Whether lists leave out what their user had in training.
    history : str, int or None
        The column of X that makes each test row a question of the next item; None: test users are ranked.
    metric_tables : dict of str to ItemSpace or FeatureTable
        What metrics need: ``item_vectors``, ``item_classes``, ``user_groups``.
    fit_tables : dict of str to FeatureTable
        Passed to every `fit` that takes them.
    """

    metrics: list[Metric]
    k: int
    threshold: float | None = None
    candidates: Literal["all", "fitted", "test"] = "all"
    exclude_seen: bool = True
    history: Column | None = None
    metric_tables: dict[str, Any] = field(default_factory=dict)
    fit_tables: dict[str, Any] = field(default_factory=dict)


@dataclass
class FoldResult:
    """Results of one estimator on one fold.

    Attributes
    ----------
    estimator : str
    fold : int
    users : ndarray of shape (n_users,)
        Their ids; the rows of X that are questions, where those are ranked.
    per_user : dict of str to ndarray of shape (n_users,)
    per_fold : dict of str to float
    by_popularity : dict of str to ndarray of shape (n_bins,)
        Recall of what is little known and of what is well known: ``mean, error, n_users`` of each group of items, and
        ``low, high``, the numbers of training users of its items (0 in a group without any). Empty where training
        knows none of the candidates.
    seconds : float
        Duration of all of it, measuring included.
    params, score : dict and float, or None
        What a search chose, and its inner score.
    """

    estimator: str
    fold: int
    users: Array
    per_user: dict[str, Any]
    per_fold: dict[str, Any]
    by_popularity: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    params: dict[str, Any] | None = None
    score: float | None = None


def _measure_lists(ranked, plan):
    """All metrics of the ranked lists: those per user and those per fold."""
    per_user, per_fold = {}, {}
    for metric in plan.metrics:
        if metric.of_predictions:
            continue
        group, average = (per_user, False) if metric.per == "user" else (per_fold, True)
        group[metric.at(plan.k)] = ranked.evaluate(metric, average=average, **plan.metric_tables)
    return per_user, per_fold


def _measure_predictions(predict, X, y, plan):
    """All metrics that compare predictions with ratings; the test rows are predicted once, if there are any."""
    metrics = [metric for metric in plan.metrics if metric.of_predictions]
    if not metrics:
        return {}
    found = {"y_true": y, "y_pred": predict(X)}
    return {metric.name: metric.function(*(found[need] for need in metric.needs)) for metric in metrics}


def _predict(fitted, X):
    """Predict the rows; a prediction that is not finite is named with its user and item."""
    predicted = np.asarray(fitted.predict(X), dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(predicted))
    if bad.size:
        user, item = (shown(ids[bad[0]]) for ids in id_columns_of(fitted, X))
        raise ValueError(
            f"predict scored the item {item} {predicted[bad[0]]} for the user {user} ({bad.size} such rows of {len(X)})"
        )
    return predicted


def _by_popularity(ranked, k):
    """Recall of little known and of well known items, in groups that hold about a tenth of the relevant pairs each.

    Groups of as many items each would be empty but for the last: most of a catalogue is hardly known, and hardly
    anyone's. Items that are known equally well are in one group, that of their middle pair, so that groups do not
    overlap; some may be empty. Empty for new items.
    """
    counts = ranked.item_counts
    if counts is None or not np.any(counts):
        return {}
    _, level = np.unique(counts, return_inverse=True)
    pairs = np.bincount(level, weights=ranked.relevant.sum(axis=0))
    middle = np.cumsum(pairs) - pairs / 2
    group = np.minimum(_N_GROUPS * middle / max(1, pairs.sum()), _N_GROUPS - 1).astype(np.intp)[level]
    inside = [group == place for place in range(_N_GROUPS)]
    recall = [recall_at_k(ranked.relevant.multiply(some), ranked.recommended, k=k, average=False) for some in inside]
    mean, error, n = map(np.array, zip(*map(mean_and_error, recall), strict=True))
    low, high = (np.array([ends(counts[some]) if some.any() else 0 for some in inside]) for ends in (np.min, np.max))
    return {"mean": mean, "error": error, "n_users": n, "low": low, "high": high}


class FoldError(SkllmrecError, ValueError):
    """An estimator failed on a fold.

    Parameters
    ----------
    estimator : str
        Its name.
    message : str
        Where it failed, while doing what, and why.
    """

    def __init__(self, estimator: str, message: str) -> None:
        super().__init__(estimator, message)
        self.estimator = estimator

    def __str__(self) -> str:
        return f"estimator {self.args[0]!r} {self.args[1]}"


def _attempt(name, fold, doing, function, *args, **kwargs):
    """Call a function; an error says which estimator failed, where and while doing what."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}, line {last.lineno}"
        message = f"failed on fold {fold + 1} while {doing}: {type(error).__name__}: {error} ({where})"
        raise FoldError(name, message) from error


def accepted_tables(estimator: Estimator, tables: dict[str, Any]) -> dict[str, Any]:
    """Name the tables as the `fit` of an estimator takes them, and leave out those that it does not take.

    Parameters
    ----------
    estimator : recommender, Pipeline or search
        A search hands what it gets to its estimator, a Pipeline to the step that the name starts with.
    tables : dict of str to FeatureTable

    Returns
    -------
    fit_params : dict of str to FeatureTable
    """
    prefix = ""
    while tables and not any(takes(estimator.fit, name) for name in tables):
        if isinstance(estimator, Pipeline):
            step, estimator = estimator.steps[-1]
            prefix += f"{step}__"
        elif hasattr(estimator, "estimator"):
            estimator = estimator.estimator
        else:
            return {}
    return {f"{prefix}{name}": table for name, table in tables.items() if takes(estimator.fit, name)}


def evaluate_fold(
    name: str,
    estimator: Estimator,
    X: Rows,
    y: ArrayLike | None,
    fold: int,
    train: IntArray,
    test: IntArray,
    plan: EvaluationPlan,
    seed: int,
) -> FoldResult:
    """Fit a clone on the training rows, rank the test users once, and measure.

    Parameters
    ----------
    name : str
        Name of the estimator.
    estimator : recommender, Pipeline or search
        It is cloned.
    X, y : rows and ratings or weights
        y may be None.
    fold : int
        Number of the fold.
    train, test : ndarray of int
        Rows.
    plan : EvaluationPlan
        What to measure.
    seed : int
        For the order of equal scores; the same for every estimator.

    Returns
    -------
    result : FoldResult

    Raises
    ------
    ValueError
        If the estimator fails; the message names it.
    """
    X_train, X_test = take_rows(X, train), take_rows(X, test)
    y_train, y_test = (None, None) if y is None else (take_rows(y, train), take_rows(y, test))
    load_compiled()
    started = perf_counter()
    tables = accepted_tables(estimator, plan.fit_tables)
    with PeakMemory() as memory:
        start = perf_counter()
        fitted = _attempt(name, fold, "fitting", clone(estimator).fit, X_train, y_train, **tables)
        fitted_at = perf_counter()
    ranking = perf_counter()
    options = {name: getattr(plan, name) for name in ("k", "threshold", "candidates", "exclude_seen", "history")}
    options |= {"random_state": seed, "training": (X_train, y_train)}
    ranked, _, _ = _attempt(name, fold, "ranking", rank_quietly, fitted, X_test, y_test, **options)
    ranked_at = perf_counter()
    per_user, per_fold = _measure_lists(ranked, plan)
    predict = functools.partial(_attempt, name, fold, "predicting", _predict, fitted)
    per_fold |= _measure_predictions(predict, X_test, y_test, plan)
    per_fold |= {"fit_seconds": fitted_at - start, "recommend_seconds": ranked_at - ranking}
    per_fold["fit_peak_mb"] = memory.megabytes
    return FoldResult(
        name,
        fold,
        ranked.users if ranked.rows is None else test[ranked.rows],
        per_user,
        per_fold,
        by_popularity=_by_popularity(ranked, plan.k),
        seconds=perf_counter() - started,
        params=getattr(fitted, "best_params_", None),
        score=getattr(fitted, "best_score_", None),
    )
