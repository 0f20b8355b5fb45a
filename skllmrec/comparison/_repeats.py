"""Test rows whose user and item are in a training row as well, as random splits of repeated pairs make them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skllmrec._ids import column
from skllmrec._sklearn import take_rows
from skllmrec._typing import Column, Estimator, IntArray, Rows
from skllmrec.metrics._lists_check import count_repeated, pair_matrix, said_of_repeated_rows
from skllmrec.metrics._questions import Questions


def id_columns(estimators: Iterable[Estimator]) -> tuple[Column, Column] | None:
    """Find the columns of X that hold the ids: those of the first recommender that gets X as it is.

    Parameters
    ----------
    estimators : iterable of recommenders, Pipelines and searches

    Returns
    -------
    columns : (user, item), or None
        None where every recommender gets an X that steps before it have changed.
    """
    for estimator in estimators:
        while not (hasattr(estimator, "user") and hasattr(estimator, "item")):
            if isinstance(estimator, Pipeline) and len(estimator.steps) == 1:
                estimator = estimator.steps[0][1]
            elif hasattr(estimator, "estimator"):
                estimator = estimator.estimator
            else:
                break
        else:
            return estimator.user, estimator.item
    return None


def count_in_folds(
    X: Rows,
    folds: Sequence[tuple[IntArray, IntArray]],
    columns: tuple[Column, Column] | None,
    *,
    history: Column | None = None,
) -> dict[str, Any] | None:
    """Count the test rows of all folds that repeat a pair of their training rows, or an item of their own history.

    Parameters
    ----------
    X : rows
    folds : sequence of (train, test)
    columns : (user, item), or None
    history : str, int or None, default=None
        The column of the histories, where test rows are questions.

    Returns
    -------
    counts : dict of ``rows, of`` (int) and ``by_fold`` (list of int), or None
        None without columns.
    """
    if columns is None:
        return None
    X = X if hasattr(X, "shape") else np.asarray(X, dtype=object)
    ids = [column(X, key, name=name) for key, name in zip(columns, ("user", "item"), strict=True)]
    if history is not None:
        questions = [(Questions.read(take_rows(X, test), history), take_rows(ids[1], test)) for _, test in folds]
        by_fold = [asked.count_repeated(items) for asked, items in questions]
        return {"rows": sum(by_fold), "of": sum(len(items) for _, items in questions), "by_fold": by_fold}
    by_fold, n_rows = [], 0
    for train, test in folds:
        pairs = pair_matrix(*(take_rows(values, train) for values in ids))
        tested = [take_rows(values, test) for values in ids]
        by_fold.append(count_repeated(*pairs, *tested))
        n_rows += len(tested[0])
    return {"rows": sum(by_fold), "of": n_rows, "by_fold": by_fold}


def words_of_repeated(counts: dict[str, Any], *, exclude_seen: bool, of_histories: bool = False) -> str:
    """Say how many test rows are repeated, and what that means."""
    if not counts["rows"]:
        return "none"
    said = said_of_repeated_rows(counts["rows"], counts["of"], of_histories=of_histories)
    if not exclude_seen:
        return f"{said}; they count as hits where they are listed (exclude_seen=False)"
    return f"{said}; lists leave them out, so that they are never hits: keep one row for each pair before the split"
