"""What counts as relevant where nobody says so: the upper part of a rating scale, else all that is above 0."""

import numpy as np

from skllmrec._kernels.target_values import looks_like_ratings
from skllmrec._typing import ArrayLike

_FEWEST_TO_CHOOSE = 10  # a choice that is said needs less certainty than a warning


def scale_threshold(highest: float) -> float:
    """Lowest rating of a scale that counts as a like: 4 of 5, else 70 % of the highest.

    Examples
    --------
    >>> from skllmrec.base._rating_scale import scale_threshold
    >>> [scale_threshold(highest) for highest in (5, 10, 100)]
    [4.0, 7.0, 70.0]
    """
    return 4.0 if highest == 5 else round(0.7 * float(highest), 2)


def default_threshold(y: ArrayLike) -> tuple[float | None, str]:
    """Choose what is relevant where no threshold is given.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Ratings, counts, hours, ...; finite.

    Returns
    -------
    threshold : float or None
        Values at or above it are relevant; None where the values are no rating scale: those above 0 are.
    reason : str
        Why, in words.

    Examples
    --------
    >>> from skllmrec.base._rating_scale import default_threshold
    >>> default_threshold([1, 3, 4, 5, 5] * 4)
    (4.0, '4 of 5, since the values look like ratings from 1 to 5')
    >>> default_threshold([0.2, 1.5, 1230.0])
    (None, 'the values, from 0.2 to 1230, are no rating scale')
    """
    values = np.asarray(y, dtype=np.float64)
    lowest, highest = (f"{end:g}" for end in (values.min(), values.max()))
    if not looks_like_ratings(values, fewest=_FEWEST_TO_CHOOSE):
        return None, f"the values, from {lowest} to {highest}, are no rating scale"
    threshold = scale_threshold(values.max())
    part = f"{threshold:g} of {highest}" if threshold == 4 else f"70 % of {highest}"
    return threshold, f"{part}, since the values look like ratings from {lowest} to {highest}"
