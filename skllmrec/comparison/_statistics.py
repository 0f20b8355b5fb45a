"""Paired statistics over users: sign-flip permutation test, bootstrap, Holm correction, effect size."""

import numpy as np
from sklearn.utils import check_random_state

from skllmrec._typing import ArrayLike, FloatArray, RandomState

_BLOCK_ENTRIES = 4_000_000  # resamples x users held at once: 32 MB of float64


def _blocks(n_resamples, n_users):
    """Sizes of the blocks of resamples that keep the working memory bounded."""
    size = max(1, _BLOCK_ENTRIES // max(1, n_users))
    full, rest = divmod(n_resamples, size)
    return [size] * full + [rest] * (rest > 0)


def _as_columns(values):
    values = np.asarray(values, dtype=np.float64)
    return values[:, None] if values.ndim == 1 else values


def _generator(random_state):
    """Turn a scikit-learn style seed into a Generator, whose integers are quicker to draw."""
    return np.random.default_rng(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def permutation_p_values(
    differences: ArrayLike, *, n_permutations: int = 10_000, random_state: RandomState = None
) -> FloatArray:
    """Two-sided paired permutation test of mean difference zero, for several columns at once.

    Under the null hypothesis the two systems are exchangeable for each user, so the sign of each user's
    difference is a fair coin. All columns see the same flips.

    Parameters
    ----------
    differences : array-like of shape (n_users,) or (n_users, n_columns)
        One difference per user; NaN where a user has no value, which leaves the user out of that column.
    n_permutations : int, default=10_000
        Number of random sign patterns, ``m``.
    random_state : int, RandomState instance or None, default=None
        Seed of the patterns.

    Returns
    -------
    p : ndarray of shape (n_columns,), float64
        ``(b + 1) / (m + 1)`` with ``b`` the patterns whose mean is at least as far from zero as the observed
        one: never 0, and 1 where all differences are 0.

    References
    ----------
    B. Phipson, G. K. Smyth (2010), "Permutation p-values should never be zero".
    M. D. Smucker, J. Allan, B. Carterette (2007), "A comparison of statistical significance tests for
    information retrieval evaluation".

    Examples
    --------
    >>> from skllmrec.comparison._statistics import permutation_p_values
    >>> permutation_p_values([0.0, 0.0, 0.0]).tolist()
    [1.0]
    """
    D = np.nan_to_num(_as_columns(differences), nan=0.0)
    observed = np.abs(D.sum(axis=0))
    # sums that agree up to rounding count as equally far
    bar = observed - 1e-10 * np.abs(D).sum(axis=0)
    rng = _generator(random_state)
    at_least = np.zeros(D.shape[1], dtype=np.int64)
    for size in _blocks(n_permutations, len(D)):
        bits = rng.integers(0, 2, size=(size, len(D)), dtype=np.int8)
        # sum of +-d = 2 * (sum over heads) - sum: the matrix of signs is never built
        flipped = 2.0 * (bits.astype(np.float64) @ D) - D.sum(axis=0)
        at_least += (np.abs(flipped) >= bar).sum(axis=0)
    return (at_least + 1.0) / (n_permutations + 1.0)


def bootstrap_means(values: ArrayLike, *, n_resamples: int = 2_000, random_state: RandomState = None) -> FloatArray:
    """Means over resampled users; all columns see the same users, so differences and ratios are paired.

    Parameters
    ----------
    values : array-like of shape (n_users,) or (n_users, n_columns)
        One value per user, NaN where there is none.
    n_resamples : int, default=2_000
        Number of resamples with replacement.
    random_state : int, RandomState instance or None, default=None
        Seed of the resamples.

    Returns
    -------
    means : ndarray of shape (n_resamples, n_columns), float64
        NaN where a resample has no value at all.

    References
    ----------
    B. Efron, R. J. Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13.
    """
    V = _as_columns(values)
    present = np.isfinite(V)
    filled = np.where(present, V, 0.0)
    n_users = len(V)
    rng = _generator(random_state)
    means = []
    for size in _blocks(n_resamples, n_users):
        drawn = rng.integers(0, n_users, size=(size, n_users))
        drawn += n_users * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n_users).reshape(size, n_users).astype(np.float64)
        with np.errstate(invalid="ignore"):
            means.append((counts @ filled) / (counts @ present))
    return np.concatenate(means)


def percentile_interval(resamples: FloatArray, *, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Bootstrap percentile interval of each column.

    Parameters
    ----------
    resamples : ndarray of shape (n_resamples, n_columns)
        A statistic of each resample; NaN and infinite entries are left out.
    level : float, default=0.95
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    low, high : ndarray of shape (n_columns,), float64
        NaN for a column without any finite resample.
    """
    low = np.full(resamples.shape[1], np.nan)
    high = low.copy()
    for j, column in enumerate(resamples.T):
        finite = column[np.isfinite(column)]
        if finite.size:
            low[j], high[j] = np.quantile(finite, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return low, high


def holm_correction(p_values: ArrayLike) -> FloatArray:
    """Holm's step-down adjustment: controls the family-wise error of all p-values given together.

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)
        NaN stands for a test that was not made, and does not count.

    Returns
    -------
    adjusted : ndarray of shape (n_tests,), float64
        Never below the p-value nor above 1; NaN stays NaN.

    References
    ----------
    S. Holm (1979), "A simple sequentially rejective multiple test procedure".

    Examples
    --------
    >>> from skllmrec.comparison._statistics import holm_correction
    >>> holm_correction([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def paired_effect_size(differences: ArrayLike) -> FloatArray:
    """Cohen's d of paired samples: mean of the differences over their standard deviation, column by column.

    Parameters
    ----------
    differences : array-like of shape (n_users,) or (n_users, n_columns)
        One difference per user, NaN where there is none.

    Returns
    -------
    d : ndarray of shape (n_columns,), float64
        0 where all differences are 0, NaN where fewer than two users have a value, infinite where all
        differences are the same but not 0. As a rule of thumb .2 is small, .5 medium, .8 large.

    References
    ----------
    J. Cohen (1988), "Statistical Power Analysis for the Behavioral Sciences", section 2.3.5 (d_z).
    """
    D = _as_columns(differences)
    d = np.full(D.shape[1], np.nan)
    for j, column in enumerate(D.T):
        column = column[np.isfinite(column)]
        if len(column) < 2:
            continue
        mean, deviation = column.mean(), column.std(ddof=1)
        if deviation > 1e-12 * abs(mean):
            d[j] = mean / deviation
        else:
            d[j] = 0.0 if mean == 0 else np.copysign(np.inf, mean)
    return d
