"""From values per user and fold to the frame of a comparison: means, intervals, gains and tests."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skllmrec._optional import import_optional
from skllmrec._typing import ArrayLike, FloatArray, Frame, RandomState
from skllmrec.comparison._statistics import (
    bootstrap_means,
    holm_correction,
    paired_effect_size,
    percentile_interval,
    permutation_p_values,
)

COLUMNS = (
    "estimator",
    "metric",
    "mean",
    "ci_low",
    "ci_high",
    "gain",
    "gain_low",
    "gain_high",
    "effect_size",
    "p_value",
    "p_holm",
    "n_users",
    "n_folds",
)


def pool_users(per_user: Frame, estimators: Sequence[str], metrics: Sequence[str]) -> dict[str, Frame]:
    """Average each user over the folds it was tested in, so that users are the unit of every test.

    Parameters
    ----------
    per_user : pandas.DataFrame
        A row per estimator, fold and user: columns ``estimator``, ``fold``, ``user`` and one per metric.
    estimators, metrics : list of str
        Names, in the order wanted.

    Returns
    -------
    pooled : dict of str to pandas.DataFrame
        For each metric a frame of users x estimators; NaN where a user has no value.
    """
    means = per_user.groupby(["user", "estimator"], sort=False)[list(metrics)].mean()
    return {metric: means[metric].unstack("estimator")[list(estimators)] for metric in metrics}


def relative_gain(value: ArrayLike, reference: ArrayLike) -> FloatArray:
    """``value / reference - 1``; 0 where both are 0, infinite or NaN where only the reference is."""
    value, reference = np.broadcast_arrays(np.asarray(value, float), np.asarray(reference, float))
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = (value - reference) / np.abs(reference)
    return np.where((value == 0) & (reference == 0), 0.0, gain)


def compare_columns(
    tables: list[FloatArray],
    reference: int,
    *,
    level: float,
    n_permutations: int,
    n_resamples: int,
    random_state: RandomState,
) -> list[dict[str, Any]]:
    """Compare the columns of each metric with a reference column, over the same users.

    The metrics share their permutations and resamples, which are drawn once for all of them.

    Parameters
    ----------
    tables : list of ndarray of shape (n_users, n_estimators)
        For each metric one value per user and estimator, NaN where there is none.
    reference : int
        Position of the reference column.
    level : float
        Coverage of the confidence intervals.
    n_permutations, n_resamples : int
        Resamples of the permutation test and of the bootstrap.
    random_state : int
        Seed of both.

    Returns
    -------
    results : list of dict of str to ndarray of shape (n_estimators,)
        Keys ``mean, ci_low, ci_high, gain, gain_low, gain_high, effect_size, p_value, p_holm, n_users``. The
        reference has NaN in place of a test, and gain 0.
    """
    n_estimators = tables[0].shape[1]
    starts = range(0, n_estimators * len(tables), n_estimators)
    differences = np.hstack([values - values[:, [reference]] for values in tables])
    resampled = bootstrap_means(np.hstack(tables), n_resamples=n_resamples, random_state=random_state)
    p_values = permutation_p_values(differences, n_permutations=n_permutations, random_state=random_state)
    results = []
    for values, start in zip(tables, starts, strict=True):
        own = slice(start, start + n_estimators)
        results.append(_describe(values, differences[:, own], resampled[:, own], p_values[own], reference, level))
    return results


def _describe(values, differences, resampled, p_value, reference, level):
    """Means, intervals, gains and tests of the estimators on one metric."""
    present = np.isfinite(values)
    mean = np.where(present, values, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    mean[~present.any(axis=0)] = np.nan
    effect = paired_effect_size(differences)
    p_value[reference] = effect[reference] = np.nan
    ci_low, ci_high = percentile_interval(resampled, level=level)
    gains = relative_gain(resampled, resampled[:, [reference]])
    gain_low, gain_high = percentile_interval(gains, level=level)
    return {
        "mean": mean,
        "ci_low": ci_low,
        "ci_high": ci_high,
        "gain": relative_gain(mean, mean[reference]),
        "gain_low": gain_low,
        "gain_high": gain_high,
        "effect_size": effect,
        "p_value": p_value,
        "p_holm": holm_correction(p_value),
        "n_users": present.sum(axis=0),
    }


def _fold_rows(per_fold, estimators, reference, metrics):
    """Rows of the quantities that exist once per fold: means over folds, without a test."""
    means = per_fold.groupby("estimator", sort=False)[list(metrics)].mean()
    for metric in metrics:
        for name in estimators:
            value = means.at[name, metric]
            gain = float(relative_gain(value, means.at[reference, metric]))
            yield {"estimator": name, "metric": metric, "mean": value, "gain": gain, "n_users": 0}


def summarise(
    per_user: Frame,
    per_fold: Frame,
    *,
    estimators: list[str],
    reference: str,
    user_metrics: list[str],
    fold_metrics: list[str],
    **test_options: Any,
) -> Frame:
    """Build the long frame of a comparison: a row per estimator and metric.

    Parameters
    ----------
    per_user, per_fold : pandas.DataFrame
        Values per estimator, fold (and user): columns ``estimator``, ``fold`` (``user``), one per metric.
    estimators : list of str
        Names in order.
    reference : str
        The name all others are compared with.
    user_metrics, fold_metrics : list of str
        Columns of the two frames, in order.
    **test_options
        ``level``, ``n_permutations``, ``n_resamples``, ``random_state`` of `compare_columns`.

    Returns
    -------
    frame : pandas.DataFrame
        Columns `COLUMNS`; NaN where a quantity does not exist.
    """
    pd = import_optional("pandas", extra="demo", purpose="compare_recommenders")
    rows = []
    pooled = pool_users(per_user, estimators, user_metrics) if user_metrics else {}
    tables = [table.to_numpy(float) for table in pooled.values()]
    results = compare_columns(tables, estimators.index(reference), **test_options) if tables else []
    for metric, result in zip(pooled, results, strict=True):
        rows += [
            {"estimator": name, "metric": metric, **{key: column[j] for key, column in result.items()}}
            for j, name in enumerate(estimators)
        ]
    rows += _fold_rows(per_fold, estimators, reference, fold_metrics)
    table = pd.DataFrame(rows, columns=[c for c in COLUMNS if c != "n_folds"])
    return table.assign(n_folds=per_fold["fold"].nunique())[list(COLUMNS)]
