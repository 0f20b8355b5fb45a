"""Checks of interactions: few rows per user or item, repeated pairs, drifting ratings, leaking columns."""

from collections.abc import Iterator

import numpy as np
from scipy.stats import rankdata

from skllmrec._kernels.target_values import find_heavy_tail, looks_like_ratings
from skllmrec._typing import ArrayLike, FloatArray, IntArray
from skllmrec.preprocessing._findings import Finding

_MIN_DRIFT = 0.25  # least range of the means that is reported, in standard deviations of the ratings
_MIN_LEAK = 0.9  # least rank correlation with y, a mean of y or a number of rows that is reported
_MIN_VALUES = 10  # least number of values from which a correlation is computed


def _rank_correlation(a, b):
    """Spearman's rank correlation, 0 where one of the two is constant."""
    ranks_a, ranks_b = rankdata(a), rankdata(b)
    if ranks_a.std() == 0 or ranks_b.std() == 0:
        return 0.0
    return float(np.corrcoef(ranks_a, ranks_b)[0, 1])


def check_counts(name: str, codes: IntArray, least: int) -> Iterator[Finding]:
    """Find users or items with fewer rows than `least`."""
    counts = np.bincount(codes)
    n_few = int((counts < least).sum())
    if n_few:
        yield Finding(
            what=f"fewer than {least} rows",
            where=name,
            count=n_few,
            of=len(counts),
            advice="too few to learn from ids alone: add text features, or remove them with InteractionFilter",
        )


def check_pairs(n_rows: int, n_pairs: int) -> Iterator[Finding]:
    """Find rows that repeat the user and item of another row."""
    if n_rows > n_pairs:
        yield Finding(
            what="repeated pairs",
            where="user and item",
            count=n_rows - n_pairs,
            of=n_rows,
            advice="a random split puts the same pair into training and test: keep one row each (InteractionFilter)",
        )


def check_drift(y: ArrayLike, times: IntArray) -> Iterator[Finding]:
    """Find a drift of the mean rating over four quarters of the rows, ordered by time."""
    parts = np.array_split(np.asarray(y, dtype=np.float64)[np.argsort(times, kind="stable")], 4)
    means = np.array([part.mean() for part in parts if len(part)])
    spread = np.std(np.concatenate(parts))
    if spread and np.ptp(means) > _MIN_DRIFT * spread:
        shown = " -> ".join(f"{mean:.2f}" for mean in means)
        n_ratings = len(times)
        yield Finding(
            what=f"drift of the mean from the first quarter to the last, {shown},",
            where="y over time",
            count=n_ratings,
            of=n_ratings,
            advice="evaluate with TemporalSplit, and do not compare ratings of different times",
        )


def check_tail(y: FloatArray) -> Iterator[Finding]:
    """Find counts with a heavy tail."""
    tail = None if looks_like_ratings(y) else find_heavy_tail(y)
    if tail is not None:
        yield Finding(
            what=f"heavy tail ({tail})",
            where="y",
            count=tail.n_largest,
            of=int((y > 0).sum()),
            advice="raw as weights, a few rows decide what is learned: give recommenders of implicit feedback "
            "weighter=CountWeighter('log') or 'bm25', or np.log1p(y)",
        )


def leak_targets_of_rows(y: FloatArray | None, users: IntArray, items: IntArray) -> dict[str, FloatArray]:
    """Compute the quantities that no column of X should reveal: name -> one value per row."""
    counts = {"the item's number of rows": _counts(items), "the user's number of rows": _counts(users)}
    if y is None:
        return counts
    means = {"the item's mean of y": _means(y, items), "the user's mean of y": _means(y, users)}
    return {"y": y, **means, **counts}


def leak_targets_of_items(y: FloatArray | None, items: IntArray, positions: IntArray) -> dict[str, FloatArray]:
    """Compute the quantities that no column of the catalogue should reveal: name -> one value per row.

    Parameters
    ----------
    y : ndarray of shape (n_rows,) or None
    items : ndarray of int, shape (n_rows,)
        Code of the item of each row of X.
    positions : ndarray of int, shape (n_catalogue,)
        Code of the item of each row of the catalogue, -1 for an item without rows in X, whose value is NaN.
    """
    first = np.unique(items, return_index=True)[1]
    targets = {"the item's number of rows": _counts(items)}
    if y is not None:
        targets = {"the item's mean of y": _means(y, items), **targets}
    return {name: np.append(values[first], np.nan)[positions] for name, values in targets.items()}


def check_leak(name: str, values: ArrayLike, targets: dict[str, FloatArray]) -> Iterator[Finding]:
    """Find whether a column of numbers reveals the interactions: y itself, a mean of y, or a number of rows.

    Parameters
    ----------
    name : str
        Name of the column.
    values : ndarray of shape (n,)
        Its numbers, NaN where one is missing.
    targets : dict of str to ndarray of shape (n,)
        From `leak_targets_of_rows` or `leak_targets_of_items`.

    Yields
    ------
    finding : Finding
        At most one.
    """
    numbers = np.asarray(values, dtype=np.float64)
    for target, other in targets.items():
        known = np.isfinite(numbers) & np.isfinite(other)
        n_known = int(known.sum())
        if n_known < _MIN_VALUES:
            continue
        correlation = _rank_correlation(numbers[known], other[known])
        if abs(correlation) > _MIN_LEAK:
            yield Finding(
                what=f"rank correlation {correlation:.2f} with {target}",
                where=name,
                count=n_known,
                of=len(known),
                advice="it may have been computed from the interactions, those of the test rows too: leave it out, or "
                "compute it inside the folds",
            )
            return


def _means(y, codes):
    return (np.bincount(codes, weights=y) / np.maximum(np.bincount(codes), 1))[codes]


def _counts(codes):
    return np.bincount(codes)[codes].astype(np.float64)
