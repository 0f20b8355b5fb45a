"""What the numbers of y look like: a rating scale, or counts with a heavy tail."""

from dataclasses import dataclass

import numpy as np

from skllmrec._typing import FloatArray

_LEAST_ROWS = 20  # below which nothing is a rating scale
_SCALES = (4, 5, 7, 10, 100)  # highest ratings
_LEAST_EVENTS = 100  # below which no tail is heavy: the largest of a few numbers always holds much of their sum
_LEAST_SHARE = 0.1  # of the sum, in the largest hundredth: exponential numbers have 0.06, lognormal ones 0.09 (sigma=1)
_LEAST_RATIO = 20  # of the maximum to the median


def looks_like_ratings(y: FloatArray, *, fewest: int = _LEAST_ROWS) -> bool:
    """Whether numbers look like ratings: a few half-integer levels up to 4, 5, 7, 10 or 100, most in the upper half.

    Counts are mostly 1, so that their mean is in the lower half. Only the scales up to 10 and 100, and those with
    halves, may begin at 0: else a zero is an observed zero.

    Parameters
    ----------
    y : ndarray of shape (n,), finite
    fewest : int, default=20
        Of fewer numbers none look like ratings.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec._kernels.target_values import looks_like_ratings
    >>> looks_like_ratings(np.repeat([1.0, 4.0, 5.0], 10)), looks_like_ratings(np.repeat([1.0, 1.0, 1.0, 2.0, 5.0], 10))
    (True, False)
    """
    if len(y) < fewest or y.max() not in _SCALES or y.min() < 0:
        return False
    levels = np.unique(y)
    are_whole = np.array_equal(levels, np.round(levels))
    if levels[0] == 0 and levels[-1] < 10 and are_whole:
        return False
    return bool(
        3 <= len(levels) <= (101 if levels[-1] == 100 else 21)
        and np.array_equal(levels * 2, np.round(levels * 2))
        and y.mean() > levels[-1] / 2
    )


@dataclass(frozen=True)
class HeavyTail:
    """Figures of counts with a heavy tail; ``str`` names them.

    Parameters
    ----------
    median, maximum : float
        Of the positive numbers.
    share : float
        Share of their sum that the largest hundredth of them holds.
    n_largest : int
        How many that hundredth are.

    Examples
    --------
    >>> from skllmrec._kernels.target_values import HeavyTail
    >>> str(HeavyTail(median=3.0, maximum=52_341.0, share=0.4182, n_largest=10))
    'median 3, maximum 52,000, the largest 1 % hold 42 % of the sum'
    """

    median: float
    maximum: float
    share: float
    n_largest: int

    def __str__(self) -> str:
        # two digits: the folds of a search then say the same, and Python shows an equal warning once
        median, maximum = (_with_two_digits(value) for value in (self.median, self.maximum))
        return f"median {median}, maximum {maximum}, the largest 1 % hold {100 * self.share:.0f} % of the sum"


def _with_two_digits(value):
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


def find_heavy_tail(values: FloatArray) -> HeavyTail | None:
    """Find out whether positive numbers have a heavy tail; zeros do not count.

    The tail is heavy if the largest hundredth holds more than a tenth of the sum and the maximum is at least 20 times
    the median. Rating scales, Poisson, geometric and exponential numbers stay below both.

    Parameters
    ----------
    values : ndarray of shape (n,), finite

    Returns
    -------
    HeavyTail or None
        None: the tail is light, a number is negative, or fewer than 100 are positive.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec._kernels.target_values import find_heavy_tail
    >>> rng = np.random.default_rng(0)
    >>> find_heavy_tail(rng.poisson(3.0, 1000).astype(float)) is None
    True
    >>> find_heavy_tail(rng.lognormal(3.0, 2.0, 1000)).share > 0.2
    True
    """
    positive = values[values > 0]
    if len(positive) < _LEAST_EVENTS or values.min() < 0:
        return None
    maximum, n_largest = positive.max(), -(-len(positive) // 100)
    relative = positive / maximum  # the sum of huge numbers would be infinite
    share = float(np.partition(relative, len(relative) - n_largest)[-n_largest:].sum() / relative.sum())
    median = float(np.median(positive))
    if share <= _LEAST_SHARE or maximum < _LEAST_RATIO * median:
        return None
    return HeavyTail(median, float(maximum), share, n_largest)
