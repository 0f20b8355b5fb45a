"""Which rows are relevant: the threshold that is given or chosen, and whether it leaves something in each fold."""

from collections.abc import Sequence

import numpy as np

from skllmrec._sklearn import num_rows
from skllmrec._typing import Array, ArrayLike, IntArray, Rows
from skllmrec.base._rating_scale import default_threshold
from skllmrec.metrics._ranking import relevant_rows

EVERY_ROW = "every test row"


def find_relevant(threshold: float | None, X: Rows, y: ArrayLike | None) -> tuple[float | None, str, Array]:
    """Choose the threshold where none is given, and mark the relevant rows.

    Parameters
    ----------
    threshold : float or None
        None: see `skllmrec.base._rating_scale.default_threshold`.
    X : rows
    y : array-like of shape (n_samples,), or None

    Returns
    -------
    threshold : float or None
        None: the values above 0 are relevant or, without y, all rows.
    words : str
        What is relevant and why, for people.
    relevant : ndarray of bool of shape (n_samples,)

    Raises
    ------
    ValueError
        If y does not hold a number for each row, or no row is relevant.
    """
    if y is None:
        return threshold, EVERY_ROW, relevant_rows(y, threshold, num_rows(X))
    relevant = relevant_rows(y, None, num_rows(X))  # checks y
    values = np.asarray(y, dtype=np.float64).ravel()
    words = "" if threshold is None else f"y >= {threshold:g}"
    given = threshold
    if threshold is None and len(values):
        threshold, reason = default_threshold(values)
        words = (
            "y > 0" if threshold is None else f"y >= {threshold:g}"
        ) + f" (default: {reason}; threshold= changes it)"
    if threshold is not None:
        relevant = relevant_rows(y, threshold, num_rows(X))
    if len(values) and not relevant.any():
        raise ValueError(_leaves_nothing(given, values, "lower the threshold"))
    return threshold, words, relevant


def _leaves_nothing(threshold, values, advice, where=""):
    subject = "no value of y is above 0, so there is" if threshold is None else f"threshold={threshold!r} leaves"
    advice = advice if threshold is not None else f"pass a threshold that suits y, or {advice}"
    return f"{subject} no relevant row{where}: y is between {values.min():g} and {values.max():g}; {advice}"


def check_folds(
    folds: Sequence[tuple[IntArray, IntArray]], y: ArrayLike | None, relevant: Array, threshold: float | None
) -> None:
    """Raise an error where no test row of a fold is relevant; nothing is trained then.

    Parameters
    ----------
    folds : sequence of (train, test)
    y : array-like of shape (n_samples,), or None
    relevant : ndarray of bool of shape (n_samples,)
    threshold : float or None

    Raises
    ------
    ValueError
        The message names the fold and the range of y in it.
    """
    for place, (_, test) in enumerate(folds if y is not None else ()):
        if not relevant[test].any() and len(relevant[test]):
            values = np.asarray(y, dtype=np.float64).ravel()[test]
            where = f" among the {len(values):,} test rows of fold {place + 1} of {len(folds)}"
            raise ValueError(_leaves_nothing(threshold, values, "lower the threshold, or split otherwise", where))
