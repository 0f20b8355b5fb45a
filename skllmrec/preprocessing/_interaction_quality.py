"""What is wrong with interactions: few rows per user or item, repeated pairs, drifting ratings, leaking columns."""

import numpy as np
from scipy.stats import rankdata

from skllmrec.preprocessing._findings import Finding

_DRIFT = 0.25  # in standard deviations of the ratings
_LEAK = 0.9  # rank correlation with y, with a mean of y, or with a number of rows
_ENOUGH = 10  # values of which a correlation is told


def _rank_correlation(a, b):
    """Spearman's rank correlation, 0 where one of the two is constant."""
    a, b = rankdata(a), rankdata(b)
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def check_counts(name, codes, least):
    """Users or items with fewer rows than `least`."""
    counts = np.bincount(codes)
    few = int((counts < least).sum())
    if few:
        yield Finding(
            f"fewer than {least} rows", name, few, len(counts), [],
            "ids alone say little of them: text features help here; InteractionFilter takes them out",
        )  # fmt: skip


def check_pairs(n_rows, n_pairs):
    """Rows whose user and item came before."""
    if n_rows > n_pairs:
        yield Finding(
            "repeated pairs", "user and item", n_rows - n_pairs, n_rows, [],
            "a random split puts the same pair into training and test: keep one row each (InteractionFilter)",
        )  # fmt: skip


def check_drift(y, times):
    """Ratings whose mean moves over four equal parts of time."""
    parts = np.array_split(np.asarray(y, dtype=np.float64)[np.argsort(times, kind="stable")], 4)
    means = np.array([part.mean() for part in parts if len(part)])
    spread = np.std(np.concatenate(parts))
    if spread and np.ptp(means) > _DRIFT * spread:
        shown = " -> ".join(f"{mean:.2f}" for mean in means)
        yield Finding(
            f"drift of the mean from the first quarter to the last, {shown},", "y over time", len(y), len(y), [],
            "judge with TemporalSplit, and do not compare ratings of different times",
        )  # fmt: skip


def truths_of_rows(y, users, items):
    """Compute what a column that describes rows of X must not know: name -> one value per row; y may be None."""
    counts = {"the item's number of rows": _counts(items), "the user's number of rows": _counts(users)}
    if y is None:
        return counts
    means = {"the item's mean of y": _means(y, items), "the user's mean of y": _means(y, users)}
    return {"y": y, **means, **counts}


def truths_of_items(y, items, places):
    """Compute what a column of the catalogue must not know: name -> one value per row, NaN where X lacks the item.

    Parameters
    ----------
    y : ndarray of shape (n_rows,) or None
    items : ndarray of int, shape (n_rows,)
        The item of each row of X.
    places : ndarray of int, shape (n_catalogue,)
        Which item each row of the catalogue is, -1 where X has no row of it.
    """
    first = np.unique(items, return_index=True)[1]
    truths = {"the item's number of rows": _counts(items)}
    if y is not None:
        truths = {"the item's mean of y": _means(y, items), **truths}
    return {name: np.append(values[first], np.nan)[places] for name, values in truths.items()}


def check_leak(name, values, truths):
    """Look whether a column of numbers knows the interactions: y itself, a mean of y, or how many rows there are.

    Parameters
    ----------
    name : str
        The column.
    values : ndarray of shape (n,)
        Numbers, NaN where one is missing.
    truths : dict of str to ndarray of shape (n,)
        From `truths_of_rows` or `truths_of_items`.

    Yields
    ------
    finding : Finding
        At most one.
    """
    values = np.asarray(values, dtype=np.float64)
    for truth, other in truths.items():
        kept = np.isfinite(values) & np.isfinite(other)
        if kept.sum() < _ENOUGH:
            continue
        correlation = _rank_correlation(values[kept], other[kept])
        if abs(correlation) > _LEAK:
            yield Finding(
                f"rank correlation {correlation:.2f} with {truth}", name, int(kept.sum()), len(kept), [],
                "it may have been computed from the interactions, those of the test rows too: leave it out, or "
                "compute it inside the folds",
            )  # fmt: skip
            return


def _means(y, codes):
    return (np.bincount(codes, weights=y) / np.maximum(np.bincount(codes), 1))[codes]


def _counts(codes):
    return np.bincount(codes)[codes].astype(np.float64)
