"""One estimator on one fold: fit, rank the test users once, measure everything on the same lists."""

import functools
import inspect
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from sklearn.pipeline import Pipeline

from skllmrec._peak_memory import PeakMemory
from skllmrec._sklearn import take_columns, take_rows
from skllmrec.inspection._binned import mean_and_error
from skllmrec.metrics import intra_list_diversity, rank_test_users, recall_at_k, serendipity
from skllmrec.preprocessing import TextAnalyzer
from skllmrec.recommenders import FeatureMFRecommender, PopularityRecommender

PER_USER = ("ndcg", "recall", "precision", "hit_rate", "map", "mrr", "ild", "serendipity", "novelty")
PER_FOLD = ("coverage", "gini", "personalization", "popularity_lift")
IN_SPACE = ("ild", "serendipity")  # measured between vectors of items
ERRORS = {"rmse": root_mean_squared_error, "mae": mean_absolute_error}
_N_GROUPS = 10  # of items, by how well known they are
KNOWN = (*PER_USER, *PER_FOLD, *ERRORS)


@dataclass
class Task:
    """What is the same for every estimator and fold.

    Attributes
    ----------
    metrics : list of str
        Names out of `KNOWN`.
    k : int
        Length of the lists.
    threshold : float or None
        Test rows with y at or above it are relevant; None: all.
    candidates : {"all", "fitted", "test"}
        What is ranked.
    space : ItemSpace or None
        Where ``ild`` and ``serendipity`` are measured.
    tables : dict of str to FeatureTable
        Handed to every `fit` that takes them.
    """

    metrics: list
    k: int
    threshold: float | None = None
    candidates: str = "all"
    space: object = None
    tables: dict = field(default_factory=dict)


@dataclass
class FoldResult:
    """What one estimator reached on one fold.

    Attributes
    ----------
    estimator : str
    fold : int
    users : ndarray of shape (n_users,)
    per_user : dict of str to ndarray of shape (n_users,)
    per_fold : dict of str to float
    by_popularity : dict of str to ndarray of shape (n_bins,)
        Recall of what is little known and of what is well known: ``mean, error, n_users`` of each group of items, and
        ``low, high``, the numbers of training users of its items (0 in a group without any). Empty where training
        knows none of the candidates.
    seconds : float
        All that it took, measuring included.
    params, score : dict and float, or None
        What a search chose, and its inner score.
    """

    estimator: str
    fold: int
    users: np.ndarray
    per_user: dict
    per_fold: dict
    by_popularity: dict = field(default_factory=dict)
    seconds: float = 0.0
    params: dict | None = None
    score: float | None = None


class ItemSpace:
    """Vectors of items for measuring diversity, from a table: numbers as they are, text as TF-IDF.

    Parameters
    ----------
    table : FeatureTable
        Every item; all columns but its key are used.
    """

    def __init__(self, table):
        columns = [name for name in table.frame.columns if name != table.key]
        if not columns:
            raise ValueError(f"item_vectors={table!r} has no column beside its key: add the ones that tell items apart")
        values = [np.asarray(take_columns(table.frame, name)) for name in columns]
        self.index = table.index
        if all(column.dtype.kind in "biuf" for column in values):
            self.name = f"the space of {', '.join(columns)}"
            self.vectors = np.column_stack(values).astype(np.float64)
            return
        self.name = f"TF-IDF of {', '.join(columns)}"
        texts = [" ".join(_text(value) for value in row) for row in zip(*values, strict=True)]
        self.vectors = TfidfVectorizer(analyzer=TextAnalyzer()).fit_transform(texts)

    def rows(self, items):
        """Vectors of some items, an array or csr_matrix of shape (n_items, n_features).

        Raises
        ------
        ValueError
            If the table lacks an item.
        """
        positions = self.index.encode(items)
        absent = np.flatnonzero(positions < 0)
        if absent.size:
            raise ValueError(
                f"item_vectors lacks {absent.size} of the {len(items)} items, e.g. {items[absent[0]]!r}: "
                f"add a row for each"
            )
        return self.vectors[positions]


def _text(value):
    return "" if value is None or value != value else str(value)


def metric_label(metric, k):
    """Label of a metric in frames: ``"ndcg@20"``; errors of predictions have no k."""
    return metric if metric in ERRORS else f"{metric}@{k}"


def _serendipity(ranked, task):
    """Serendipity of each user; what they had in training counts as known."""
    history = csr_array(ranked.relevant.shape, dtype=bool) if ranked.history is None else ranked.history
    vectors = task.space.rows(ranked.items)
    return serendipity(ranked.relevant, ranked.recommended, history, vectors, k=task.k, average=False)


def _measure_lists(ranked, task):
    """All metrics of the ranked lists: those per user and those per fold."""
    per_user, per_fold = {}, {}
    for metric in task.metrics:
        label = metric_label(metric, task.k)
        if metric == "ild":
            vectors = task.space.rows(ranked.items)
            per_user[label] = intra_list_diversity(ranked.recommended, vectors, k=task.k, average=False)
        elif metric == "serendipity":
            per_user[label] = _serendipity(ranked, task)
        elif metric in PER_USER:
            per_user[label] = ranked.evaluate(metric, average=False)
        elif metric in PER_FOLD:
            per_fold[label] = ranked.evaluate(metric)
    return per_user, per_fold


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


class FoldError(ValueError):
    """An estimator failed on a fold.

    Parameters
    ----------
    estimator : str
        Its name.
    message : str
        Where it failed, while doing what, and why.
    """

    def __init__(self, estimator, message):
        super().__init__(estimator, message)
        self.estimator = estimator

    def __str__(self):
        return f"estimator {self.args[0]!r} {self.args[1]}"


def _attempt(name, fold, doing, function, *args, **kwargs):
    """Call a function; an error says which estimator failed, where and while doing what."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise FoldError(
            name, f"failed on fold {fold + 1} while {doing}: {type(error).__name__}: {error} "
            f"({Path(last.filename).name}, line {last.lineno})",
        ) from error  # fmt: skip


def accepted_tables(estimator, tables):
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
    while tables and not any(_takes(estimator.fit, name) for name in tables):
        if isinstance(estimator, Pipeline):
            step, estimator = estimator.steps[-1]
            prefix += f"{step}__"
        elif hasattr(estimator, "estimator"):
            estimator = estimator.estimator
        else:
            return {}
    return {f"{prefix}{name}": table for name, table in tables.items() if _takes(estimator.fit, name)}


def _takes(function, name):
    """Whether a function has a parameter of this name."""
    return name in inspect.signature(function).parameters


@functools.cache
def _load_compiled():
    """Fit and rank a little, once in a process: its first estimator would be charged for loading what is compiled."""
    X = [["ann", "dune"], ["ann", "up"], ["bob", "up"]]
    for recommender in (PopularityRecommender(feedback="implicit"), FeatureMFRecommender(1, feedback="implicit")):
        recommender.fit(X).recommend(["bob"], n_items=1)


def evaluate_fold(name, estimator, X, y, fold, train, test, task, seed):
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
    task : Task
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
    _load_compiled()
    started = perf_counter()
    tables = accepted_tables(estimator, task.tables)
    with PeakMemory() as memory:
        start = perf_counter()
        fitted = _attempt(name, fold, "fitting", clone(estimator).fit, X_train, y_train, **tables)
        fitted_at = perf_counter()
    ranking = perf_counter()
    ranked = _attempt(
        name, fold, "ranking", rank_test_users, fitted, X_test, y_test,
        k=task.k, threshold=task.threshold, candidates=task.candidates, random_state=seed,
    )  # fmt: skip
    ranked_at = perf_counter()
    per_user, per_fold = _measure_lists(ranked, task)
    for metric in (m for m in task.metrics if m in ERRORS):
        per_fold[metric] = ERRORS[metric](y_test, _attempt(name, fold, "predicting", fitted.predict, X_test))
    per_fold |= {"fit_seconds": fitted_at - start, "recommend_seconds": ranked_at - ranking}
    per_fold["fit_peak_mb"] = memory.megabytes
    return FoldResult(
        name, fold, ranked.users, per_user, per_fold, _by_popularity(ranked, task.k), perf_counter() - started,
        getattr(fitted, "best_params_", None), getattr(fitted, "best_score_", None),
    )  # fmt: skip
