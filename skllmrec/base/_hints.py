"""Hints on y that does not suit a recommender: they name only parameters that it has, and are given once a fit."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from skllmrec._column_names import columns_of_kind
from skllmrec._kernels.target_values import find_heavy_tail, looks_like_ratings
from skllmrec._sklearn import is_frame, take_columns
from skllmrec._typing import Array, Estimator, Feedback, FloatArray, Rows
from skllmrec.base._rating_scale import scale_threshold
from skllmrec.exceptions import HeavyTailWarning, RatingScaleWarning

_LEAST_BINARY = 30  # rows below which y of zeros and ones is no sign of anything
_given: ContextVar[set | None] = ContextVar("given", default=None)  # kinds of warnings, within `once`


@contextmanager
def once() -> Iterator[None]:
    """Give each kind of warning of this module at most once: a recommender that fits others wraps its fit in it."""
    token = _given.set(set()) if _given.get() is None else None
    try:
        yield
    finally:
        if token is not None:
            _given.reset(token)


def _warn(message, category):
    given = _given.get()
    if given is not None:
        if category in given:
            return
        given.add(category)
    warnings.warn(message, category, stacklevel=6)


def setting(estimator: Estimator, name: str, value: str) -> str | None:
    """Say how to set a parameter of a recommender, or of the recommenders it is made of.

    Parameters
    ----------
    estimator : estimator
    name : str
        Of the parameter.
    value : str
        As it is written in code.

    Returns
    -------
    str or None
        E.g. "feedback='implicit'"; None where there is no such parameter.
    """
    has = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    if name in has:
        return f"{name}={value}"
    return f"{name}={value} in each of the estimators" if "estimators" in has else None


def implicit_setting(estimator: Estimator) -> str:
    """Say how to learn from events instead of ratings."""
    found = setting(estimator, "feedback", "'implicit'")
    if found is not None:
        return f"set {found}"
    return "use a recommender of implicit feedback, such as FeatureMFRecommender(feedback='implicit')"


def explicit_setting(estimator: Estimator) -> str:
    """Say how to learn from ratings instead of weights."""
    reads_ratings = getattr(estimator, "_reads_ratings", True)
    found = setting(estimator, "feedback", "'explicit'") if reads_ratings else None
    return (
        f"use {found}" if found else "use a recommender of ratings, such as FeatureMFRecommender(feedback='explicit')"
    )


def missing_ratings(estimator: Estimator, X: Rows) -> ValueError:
    """Return the error for explicit feedback without y; a column of X that is named like ratings is named."""
    columns = columns_of_kind(X.columns, "rating") if is_frame(X) else []
    ratings = f"the ratings, y=X[{columns[0]!r}]" if columns else "the ratings"
    return ValueError(
        f"{type(estimator).__name__} requires y to be passed, but the target y is None: pass {ratings}, or "
        f"{implicit_setting(estimator)} if the rows are events without ratings"
    )


def negative_weight(estimator: Estimator, y: FloatArray, position: int) -> ValueError:
    """Return the error for negative y as weights of implicit feedback."""
    where = f"Negative values in data passed to y of {type(estimator).__name__}"
    if set(np.unique(y).tolist()) <= {-1.0, 0.0, 1.0}:
        return ValueError(
            f"{where}: y[{position}] is {y[position]:g}, and y looks like thumbs down and up. Implicit weights count "
            f"likes: keep the rows with y > 0, or {explicit_setting(estimator)}"
        )
    return ValueError(
        f"{where}: implicit weights count how much a user liked an item, y[{position}] is {y[position]}; for ratings "
        f"{explicit_setting(estimator)}"
    )


def hint_at_ratings(estimator: Estimator, y: FloatArray) -> None:
    """Warn of weights of implicit feedback that look like a rating scale."""
    if looks_like_ratings(y):
        lowest, highest = y.min(), y.max()
        least = scale_threshold(highest)
        _warn(
            f"y looks like ratings between {lowest:g} and {highest:g}: as implicit weights, low ratings count as "
            f"likes. Keep only the rows that are likes (e.g. y >= {least:g}), or {explicit_setting(estimator)}",
            RatingScaleWarning,
        )


def hint_at_column_of_ratings(estimator: Estimator, X: Rows, kept: Array) -> None:
    """Warn of implicit feedback without y where X is laid out as user, item, rating: nobody reads the ratings.

    Further to the right, a column of ratings is one among those that describe.
    """
    names = columns_of_kind(list(X.columns)[2:3], "rating") if is_frame(X) else []
    if not names:
        return
    name = names[0]
    try:
        values = np.asarray(take_columns(X, name), dtype=np.float64)[kept]
    except (TypeError, ValueError):
        return  # no numbers
    values = values[np.isfinite(values)]
    if looks_like_ratings(values):
        lowest, highest = values.min(), values.max()
        least = scale_threshold(highest)
        _warn(
            f"y is None, although X has a column {name!r} that looks like ratings between {lowest:g} and {highest:g}: "
            f"low ratings count as likes. Keep only the rows that are likes (e.g. X[{name!r}] >= {least:g}) "
            f"and drop the column, or pass y=X[{name!r}] and {explicit_setting(estimator)}",
            RatingScaleWarning,
        )


def hint_at_events(estimator: Estimator, y: FloatArray) -> None:
    """Warn of explicit feedback on numbers that are no ratings: 0 and 1, or 1 in every row."""
    if len(y) < _LEAST_BINARY or not np.isin(y, (0.0, 1.0)).all():
        return
    if y.min() < y.max():
        _warn(
            f"y holds only 0 and 1 ({100 * y.mean():.0f} % ones): as ratings, 0 is a dislike, and the prediction is "
            f"the share of ones. If 0 means that nothing happened, remove these rows and {implicit_setting(estimator)}"
            "; if it means thumbs down, write -1 and 1",
            RatingScaleWarning,
        )
    elif setting(estimator, "feedback", "'implicit'"):  # others may learn from which pairs there are
        _warn(
            f"y is {y[0]:g} in every row: as ratings, they say nothing, and every prediction is {y[0]:g}. For events, "
            f"{implicit_setting(estimator)}",
            RatingScaleWarning,
        )


def hint_at_heavy_tail(estimator: Estimator, values: FloatArray, feedback: Feedback) -> None:
    """Warn of raw counts with a heavy tail: a few rows would decide what is learned.

    Parameters
    ----------
    estimator : recommender
    values : ndarray of shape (n,)
        Counts of the observed pairs (implicit feedback) or y.
    feedback : {"explicit", "implicit"}
    """
    tail = find_heavy_tail(values)
    if tail is None or looks_like_ratings(values):
        return
    weighter: Any = setting(estimator, "weighter", "CountWeighter('log')")
    tamed = f"set {weighter} (or 'bm25', 'quantile')" if weighter else "weight them by CountWeighter (log or BM25)"
    if feedback == "implicit":
        message = (
            f"the weights look like counts with a heavy tail: {tail}. A few rows decide what is learned: {tamed}, or "
            "pass y=np.log1p(y)"
        )
    else:
        message = (
            f"y looks like counts with a heavy tail, not like ratings: {tail}. For events and what they count, "
            f"{implicit_setting(estimator)}, with weighter=CountWeighter('log') or 'bm25' against the tail; to predict "
            "the numbers themselves, pass y=np.log1p(y)"
        )
    _warn(message, HeavyTailWarning)
