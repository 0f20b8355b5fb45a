"""What is wrong with interactions: few rows per user or item, repeated pairs, drifting ratings, leaking columns."""

import numpy as np
from scipy.stats import rankdata

from skllmrec.preprocessing._findings import Finding

_DRIFT = 0.25  # in standard deviations of the ratings
_LEAK = 0.9  # rank correlation with y, or with the item's or the user's mean of y


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


def check_leak(name, values, y, users, items):
    """Look whether a column of numbers knows the ratings: y itself, or the mean of y of the user or the item."""
    values = np.asarray(values, dtype=np.float64)
    kept = np.isfinite(values)
    if kept.sum() < 10:
        return
    values, y = values[kept], y[kept]
    truths = {"y": y, "the item's mean of y": _means(y, items[kept]), "the user's mean of y": _means(y, users[kept])}
    for truth, other in truths.items():
        correlation = _rank_correlation(values, other)
        if abs(correlation) > _LEAK:
            yield Finding(
                f"rank correlation {correlation:.2f} with {truth}", name, int(kept.sum()), len(kept), [],
                "it may have been computed from the ratings, those of the test rows too: leave it out, or compute it "
                "inside the folds",
            )  # fmt: skip
            return


def _means(y, codes):
    return (np.bincount(codes, weights=y) / np.maximum(np.bincount(codes), 1))[codes]
